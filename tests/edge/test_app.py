"""What the composition decides itself: how patient it is, and what parts that end are to it."""

import asyncio
import math
import os
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest

from edge import garbage_collection
from edge.app import _patience, edge_serving
from edge.feed.topic import Feed
from edge.mock.app import MockSettings
from edge.mock.topic import MemoryTopic
from edge.settings import Settings
from edge.telemetry import TurnTimes
from tests.edge.kit.issuer import Issuer, Signer, publishing
from tests.edge.kit.output import Output

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("told", "age"), [(0, math.inf), (3600, 3600)])
def test_a_connection_has_an_age_only_where_one_is_set(told: float, age: float) -> None:
    """No limit is spelled 0, as for connections of one address."""
    patience = _patience(Settings(kafka_url="kafka://kafka:9092", max_age_seconds=told))
    assert (patience.ping, patience.dead, patience.stalled, patience.age) == (20, 60, 600, age)


async def test_readiness_waits_for_the_key_without_which_nobody_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rollout while the issuer is away would replace edges that work by edges that refuse everybody."""
    # Python's garbage collection is the tests'.
    monkeypatch.setattr(garbage_collection, "configure", lambda: None)
    issuer = Issuer(Signer())
    issuer.may_answer.clear()
    topic = MemoryTopic()
    async with publishing(issuer) as url:
        settings = MockSettings(
            kafka_url="kafka://127.0.0.1:9",
            edge_host="127.0.0.1",
            edge_port=0,
            jwt_jwks_url=url,
            auth_required=True,
            drain_seconds=0,
        )
        async with (
            asyncio.timeout(30),
            edge_serving(settings, Feed(topic.connect, topic.connect), TurnTimes(), Output()) as edge,
            aiohttp.ClientSession() as session,
        ):
            probe = f"http://127.0.0.1:{edge.listener.addresses[0][1]}/readyz"
            said = ""
            while not said.startswith("Nobody can sign in yet: JWT_JWKS_URL has given no key"):
                async with session.get(probe) as answer:
                    status, said = answer.status, await answer.text()
                assert status == HTTPStatus.SERVICE_UNAVAILABLE
            issuer.may_answer.set()
            while status != HTTPStatus.OK:
                async with session.get(probe) as answer:
                    status = answer.status


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
