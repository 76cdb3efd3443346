"""What the composition decides itself: how patient it is, and what parts that end are to it."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.app import _patience
from edge.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("told", "age"), [(0, math.inf), (3600, 3600)])
def test_a_connection_has_an_age_only_where_one_is_set(told: float, age: float) -> None:
    """No limit is spelled 0, as for connections of one address."""
    patience = _patience(Settings(kafka_url="kafka://kafka:9092", max_age_seconds=told))
    assert (patience.ping, patience.dead, patience.stalled, patience.age) == (20, 60, 600, age)


FAULTY = """
import sys
from edge.__main__ import main
from edge.feed.follow import Source

async def run(self):
    {what}

Source.run = run
sys.exit(main())
"""


@pytest.mark.parametrize("what", ["raise ValueError('a defect')", "return"])
def test_a_part_that_ends_by_itself_is_a_fault(what: str) -> None:
    """An edge without its source would be a server of silence: it ends with an exit code and the reason."""
    environment = {
        **{name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "VIRTUAL_ENV"}},
        "KAFKA_URL": "kafka://127.0.0.1:9",
        "EDGE_HOST": "127.0.0.1",
        "EDGE_PORT": "0",
    }
    ended = subprocess.run(
        [sys.executable, "-c", FAULTY.format(what=what)],
        check=False,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert "a part of the edge ended by itself" in ended.stderr
    assert ("a defect" in ended.stderr) == (what != "return")
