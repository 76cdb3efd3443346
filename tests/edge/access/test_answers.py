"""Answers by status."""

from edge.access.answers import Answers


def test_no_client_chooses_how_many_series_there_are() -> None:
    """Law 16: what aiohttp may answer besides is one series."""
    answers = Answers()
    for status in range(100, 600):
        answers.note(status)
    answers.note(503)
    assert (len(answers.counts), answers.counts["503"], answers.counts["other"]) == (15, 2, 486)
