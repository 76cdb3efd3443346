"""What a client with cursors says, message by message: each is answered once, in order, or the session ends."""

import asyncio
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Opcode

from edge.feed.position import Cursor, parse
from edge.wire.requests import request_of
from tests.edge.kit.conversation import masked
from tests.fuzz.bench import Bench
from tests.fuzz.corpus import inputs, mutated

_ENDS = {1007, 4500}
"""Text that is not UTF-8, and more than ten errors."""


async def say(bench: Bench, said: list[bytes]) -> None:
    """Say it on one connection, and see that nothing but that is answered."""
    frames = await bench.feed(b"".join(masked(Opcode.TEXT, text) for text in said), "/?history=0")
    told = [json.loads(bytes(frame.data)) for frame in frames if frame.opcode is Opcode.TEXT]
    assert told.pop(0)["action"] == "welcome"
    closed = [Close.parse(frame.data).code for frame in frames if frame.opcode is Opcode.CLOSE]
    assert closed == [] or (len(closed) == 1 and closed[0] in _ENDS)
    answers = [each for each in told if each["action"] not in {"created", "caught_up"}]
    assert len(answers) == len(said) or (closed and len(answers) < len(said))
    for text, answer in zip(said, answers, strict=False):
        action, _ = request_of(text)
        assert answer["action"] in {
            "error",
            {"ack": "acked", "filter": "filtered", "token": "authorized"}.get(action or ""),
        }
        if answer["action"] == "acked":
            # What was never sent is never taken for dealt with: the feed is longer by then.
            cursor = parse(answer["payload"]["position"])
            assert isinstance(cursor, Cursor)
            assert cursor.position <= bench.edge.log.head


def test_every_message_that_was_ever_worth_keeping_is_answered(runner: asyncio.Runner, bench: Bench) -> None:
    for text in inputs("request"):
        runner.run(say(bench, [text]))


@given(said=st.lists(mutated("request"), min_size=1, max_size=12))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_client_may_say_whatever_it_likes(runner: asyncio.Runner, bench: Bench, said: list[bytes]) -> None:
    runner.run(say(bench, said))
