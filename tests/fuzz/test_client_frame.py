"""What a client sends after its handshake: the edge closes, or goes on, and nobody else notices."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.bench import Bench
from tests.fuzz.corpus import inputs, mutated


def test_a_client_may_send_any_input_that_was_ever_worth_keeping(runner: asyncio.Runner, bench: Bench) -> None:
    for data in inputs("client_frame"):
        runner.run(bench.feed(data))


@given(data=mutated("client_frame"), more=st.binary(max_size=20))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_client_may_send_whatever_it_likes(runner: asyncio.Runner, bench: Bench, data: bytes, more: bytes) -> None:
    runner.run(bench.feed(data + more))
