"""Answers by status."""

from edge.access.answers import Answers


def test_no_client_chooses_how_many_series_there_are() -> None:
    """Law 16: what aiohttp may answer besides is one series."""
    answers = Answers()
    for status in range(100, 600):
        answers.note(status)
    answers.note(503)
    named = answers.counts.keys() - {"other"}
    assert (answers.counts["503"], answers.counts["other"]) == (2, 500 - len(named))
    assert len(named) < 25
