"""Answers by status."""

import re
from pathlib import Path

from edge.access.answers import Answers

EDGE = Path(__file__).parents[3] / "edge"


def test_no_client_chooses_how_many_series_there_are() -> None:
    """Law 16: what aiohttp may answer besides is one series."""
    answers = Answers()
    for status in range(100, 600):
        answers.note(status)
    answers.note(503)
    named = answers.counts.keys() - {"other"}
    assert (answers.counts["503"], answers.counts["other"]) == (2, 500 - len(named))
    assert len(named) < 25


def test_each_refusal_has_its_own_series() -> None:
    """What the edge refuses clients with is none of the others."""
    sources = [path.read_text("utf-8") for path in EDGE.rglob("*.py")]
    refused = {status for text in sources for status in re.findall(r"\bRejected\(\s*(\d{3})\b", text)}
    assert {"400", "401", "403", "405", "414", "426", "429", "503"} <= refused
    answers = Answers()
    for status in refused:
        answers.note(int(status))
    assert answers.counts.keys() == refused
