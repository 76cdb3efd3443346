"""What a client says, and what it is answered."""

import json
from typing import Any

import pytest

from edge.clients.conversation import ERRORS, NONSENSE, Conversation, Tally
from edge.fanout.session import Session
from edge.feed.position import before
from edge.wire.allowance import Violation
from edge.wire.events import Message, TooBig
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.records import at, cursor, record

SENT = cursor(3, 1, record(1))


class Bench:
    """A client that was sent everything up to the first post of record 3."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tally = Tally()
        self.conversation = Conversation(Session(at(3, 1), CURSOR), self.tally)

    def says(self, said: Message | TooBig) -> Any:
        """Return the answer, decoded, or what ends the session."""
        answer = self.conversation.answer(said, self.now)
        if isinstance(answer, Violation):
            return answer
        message = json.loads(answer.text)
        assert (message["action"], answer.cursor) == (answer.action, "")
        return message

    def asks(self, **members: Any) -> Any:
        """Return the answer to a request."""
        return self.says(Message(json.dumps(members).encode(), is_text=True))


@pytest.mark.parametrize("seen", [SENT, cursor(3, 1, b"another"), before(Offset(3)), before(Offset(0))])
def test_what_was_sent_can_be_acknowledged(seen: object) -> None:
    """At once, since nothing stores it; ``position`` is the cursor as it was said."""
    bench = Bench()
    assert bench.asks(action="ack", id=7, payload={"cursor": str(seen)}) == {
        "action": "acked",
        "id": 7,
        "payload": {"position": str(seen)},
    }
    assert (bench.tally.requests, bench.tally.errors) == ({"ack": 1}, {})


@pytest.mark.parametrize("seen", [cursor(3, 2, record(1)), before(Offset(4)), "", "0" * 31, "A" * 32])
def test_a_cursor_beyond_what_was_sent_is_none_of_ours(seen: object) -> None:
    """Nor is what is no cursor at all."""
    bench = Bench()
    answer = bench.asks(action="ack", id="a", payload={"cursor": str(seen)})
    assert (answer["action"], answer["id"], answer["payload"]["code"]) == ("error", "a", "bad_cursor")
    assert (bench.tally.requests, bench.tally.errors) == ({"ack": 1}, {"bad_cursor": 1})


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (TooBig(is_text=True), "too_big"),
        (TooBig(is_text=False), "too_big"),
        (Message(b'{"action":"ack","id":1}', is_text=False), "bad_message"),
        (Message(b"hello", is_text=True), "bad_message"),
        (Message(b'{"action":"dance"}', is_text=True), "unknown_action"),
    ],
)
def test_what_cannot_be_done_is_an_error_and_the_session_goes_on(said: Message | TooBig, code: str) -> None:
    """Without an id where none can be read."""
    bench = Bench()
    answer = bench.says(said)
    assert set(answer) == {"action", "payload"}
    assert (answer["payload"]["code"], set(answer["payload"])) == (code, {"code", "message"})
    assert bench.asks(action="ack", payload={"cursor": str(SENT)})["action"] == "acked"
    assert (bench.tally.requests, bench.tally.errors) == ({"other": 1, "ack": 1}, {code: 1})


def test_more_than_ten_errors_in_a_minute_make_no_sense() -> None:
    """4500. Ten are answered, and what is done does not count."""
    bench = Bench()
    for _ in range(ERRORS):
        assert bench.asks(action="dance")["action"] == "error"
        assert bench.asks(action="ack", payload={"cursor": str(SENT)})["action"] == "acked"
        bench.now += 5.9
    assert bench.asks(action="dance") == NONSENSE
    assert NONSENSE.disconnect.code == 4500


def test_errors_are_forgotten_after_a_minute() -> None:
    """Each by itself: at ten in any minute a session goes on for ever."""
    bench = Bench()
    for _ in range(5 * ERRORS):
        assert bench.asks(action="dance")["action"] == "error"
        bench.now += 6
    bench.now += 0.1
    assert bench.asks(action="dance")["action"] == "error"
