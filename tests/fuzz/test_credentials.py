"""Where tokens stand in a request: whatever stands there is answered, and lets nobody in who has no token."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.access.bearers import Bearers, Given
from edge.access.keys import Keys, secrets_of
from edge.access.sign_in import Demands
from edge.access.tokens import Rules
from tests.edge.kit.tokens import NOW, SECRET, signed
from tests.fuzz.bench import Bench, serving
from tests.fuzz.corpus import inputs, mutated
from tests.strict import Handshake

GOOD = signed({"sub": "alice"})
_SHOWN = 12
"""So much of a token said again is no accident."""


@pytest.fixture(scope="module")
def bench(runner: asyncio.Runner) -> Iterator[Bench]:
    bearers = Bearers(Given(Keys(secrets_of(SECRET))), Rules(), clock=lambda: NOW)
    with serving(runner, bearers, Demands(in_query=True)) as made:
        yield made


async def show(bench: Bench, lines: bytes, query: bytes = b"") -> None:
    """Show what stands in these lines and in the query, for a WebSocket and for a page of posts."""
    lines, query = (each.replace(b"TOKEN", GOOD.encode()) for each in (lines, query))
    upgrade = Handshake("/?history=0").request.removesuffix(b"\r\n").replace(b"history=0", b"history=0" + query)
    page = b"GET /posts?offset=-1%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % query
    for head in (upgrade, page):
        answer = await bench.ask(head + lines + b"\r\n\r\n")
        # Of what has no end nothing is said.
        if answer:
            status = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
            assert status is not None
            assert int(status[1]) < 500
        assert GOOD[-_SHOWN:].encode() not in answer


def test_whoever_shows_what_was_ever_worth_keeping_is_answered(runner: asyncio.Runner, bench: Bench) -> None:
    for lines in inputs("credentials"):
        runner.run(show(bench, lines))


@given(lines=mutated("credentials"), query=st.sampled_from([b"", b"&token=TOKEN", b"&token=%00", b"&token=a&token=b"]))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whoever_shows_whatever_is_answered(runner: asyncio.Runner, bench: Bench, lines: bytes, query: bytes) -> None:
    runner.run(show(bench, lines, query))
