"""What a client says, and what it is answered."""

import json
from typing import Any

import pytest

from edge.access.grant import Grant
from edge.clients.conversation import ERRORS, FILTERS, FILTERS_SECONDS, NONSENSE, Conversation, Tally
from edge.fanout.session import Session
from edge.feed.position import before
from edge.feed.selection import Selection, Selections
from edge.wire.allowance import Violation
from edge.wire.events import Message, TooBig
from edge.wire.requests import MAX_AUTHORS
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.records import at, cursor, record

SENT = cursor(3, 1, record(1))


class Bench:
    """A client that was sent everything up to the first post of record 3."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.tally = Tally()
        self.selections = Selections(limit=MAX_AUTHORS)
        self.session = Session(at(3, 1), CURSOR)
        self.can_select = True
        self.conversation = Conversation(self.session, self, self.tally, self.selections)

    def select(self, selection: Selection | None) -> str | None:
        """Select, or not."""
        if not self.can_select:
            return None
        self.session.selection = selection
        return str(SENT)

    def renew(self, grant: Grant, selection: Selection | None) -> bool:
        """Go on with it, or not."""
        if not self.can_select:
            return False
        self.session.grant, self.session.selection = grant, selection
        return True

    def cursor(self) -> str | None:
        """Say where it is."""
        return str(SENT)

    def tell(self, data: bytes) -> bool:
        """Never be told anything here."""
        raise AssertionError(data)

    def leave(self) -> None:
        """Never leave."""

    pause_writing = resume_writing = stop = expect_close = leave

    def says(self, said: Message | TooBig) -> Any:
        """Return the answer, decoded, or what ends the session."""
        answer = self.conversation.answer(said, self.now)
        if isinstance(answer, Violation):
            return answer
        message = json.loads(answer.text)
        assert (message["action"], answer.cursor) == (answer.action, message.get("cursor", ""))
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


@pytest.mark.parametrize(
    ("authors", "selected"),
    [
        ([7, 9, 7], [7, 9]),
        ([], None),
        (None, None),
        ([0, 2**63 - 1], [0, 2**63 - 1]),
        (list(range(3000)), [*range(3000)]),
    ],
)
def test_a_filter_chooses_what_follows_its_answer(authors: list[int] | None, selected: list[int] | None) -> None:
    """The answer says how many authors there are, and where it stands in the feed. No author is everybody."""
    bench = Bench()
    assert bench.asks(action="filter", id=1, payload={"authors": authors}) == {
        "action": "filtered",
        "id": 1,
        "payload": {"authors": len(selected or [])},
        "cursor": str(SENT),
    }
    chosen = bench.session.selection
    assert (None if chosen is None else chosen.authors.tolist()) == selected


@pytest.mark.parametrize(
    "payload",
    [{}, {"authors": 7}, {"authors": ["7"]}, {"authors": [-1]}, {"authors": [2**63]}, {"authors": [7.0]},
     {"authors": [1] * 3001}, [], None],
)  # fmt: skip
def test_what_is_no_filter_changes_nothing(payload: object) -> None:
    bench = Bench()
    bench.asks(action="filter", payload={"authors": [7]})
    before = bench.session.selection
    answer = bench.asks(action="filter", id=1, payload=payload)
    assert (answer["action"], answer["id"], answer["payload"]["code"]) == ("error", 1, "bad_filter")
    assert bench.session.selection is before


def test_a_filter_for_which_there_is_no_room_is_refused() -> None:
    """Law 16: all filters of an edge have so many authors; and the old one stays."""
    bench = Bench()
    others = bench.selections.the(Selection(range(10, 10 + MAX_AUTHORS - 1)))
    assert bench.asks(action="filter", payload={"authors": [7]})["action"] == "filtered"
    assert bench.asks(action="filter", payload={"authors": [7, 8]})["payload"]["code"] == "busy"
    assert bench.session.selection is not None
    assert bench.session.selection.authors.tolist() == [7]
    assert others is not None


def test_a_client_that_takes_nothing_cannot_choose_now() -> None:
    bench = Bench()
    bench.can_select = False
    assert bench.asks(action="filter", id=3, payload={"authors": [7]})["payload"]["code"] == "busy"


def test_filters_are_bounded_in_time() -> None:
    """Law 16: to read one of 3,000 authors takes more than any other message."""
    bench = Bench()
    answers = [bench.asks(action="filter", payload={"authors": [n]}) for n in range(FILTERS + 1)]
    assert [answer["action"] for answer in answers] == ["filtered"] * FILTERS + ["error"]
    assert answers[-1]["payload"]["code"] == "busy"
    bench.now += FILTERS_SECONDS
    assert bench.asks(action="filter", payload={"authors": None})["action"] == "filtered"
