"""What a client says, and what it is answered."""

import json
from typing import Any

import pytest

from edge.access.grant import Grant
from edge.clients.conversation import ERRORS, FILTERS, FILTERS_SECONDS, NONSENSE, Conversation, Tally
from edge.clients.owed import MOST
from edge.clients.renewing import TOKENS
from edge.clients.unacknowledged import Unacknowledged
from edge.fanout.session import Session
from edge.feed.position import before
from edge.feed.selection import Selection, Selections
from edge.positions.device import Device, Key
from edge.wire.allowance import Violation
from edge.wire.encoding import Notice
from edge.wire.events import Message, TooBig
from edge.wire.requests import MAX_AUTHORS
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.acknowledged import HeldPositions
from tests.edge.kit.records import at, cursor, record
from tests.edge.kit.sign_in import Desk, granted

SENT = cursor(3, 1, record(1))


PHONE = "phone"


def _message(**members: Any) -> Message:
    return Message(json.dumps(members).encode(), is_text=True)


def _decoded(answer: Notice) -> Any:
    message = json.loads(answer.text)
    assert (message["action"], answer.cursor) == (answer.action, message.get("cursor", ""))
    return message


class Bench:
    """A client that was sent everything up to the first post of record 3."""

    def __init__(self, *, stores: bool = False, device: Device | None = None, grant: Grant | None = None) -> None:
        self.now = 1000.0
        self.tally = Tally()
        self.selections = Selections(limit=MAX_AUTHORS)
        self.session = Session(at(3, 1), CURSOR, device=device, grant=grant)
        self.can_select = True
        self.store = HeldPositions() if stores else None
        self.ready = 0
        self.bearers = Desk({"mine": granted("7", expires_at=1704067200)})
        self.conversation = Conversation(
            self.session,
            self,
            self.tally,
            self.selections,
            ready=self.note_ready,
            bearers=self.bearers,
            unacknowledged=Unacknowledged(),
            positions=self.store,
        )

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
        answers = self.hears(said)
        if isinstance(answers, Violation):
            return answers
        [answer] = answers
        return answer

    def note_ready(self) -> None:
        """Count how often answers were said to be ready."""
        self.ready += 1

    def hears(self, said: Message | TooBig | None = None) -> Any:
        """Return the answers that are known, decoded, or what ends the session."""
        conversation = self.conversation
        answers = conversation.answers(self.now) if said is None else conversation.answer(said, self.now)
        return answers if isinstance(answers, Violation) else [_decoded(answer) for answer in answers]

    def says_all(self, *requests: dict[str, Any]) -> Any:
        """Return all answers to requests that come one after the other."""
        return [answer for request in requests for answer in self.hears(_message(**request))]

    def asks(self, **members: Any) -> Any:
        """Return the answer to a request."""
        return self.says(_message(**members))


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


def test_a_user_that_chooses_fast_makes_no_error() -> None:
    """``busy`` is never the client's: how many messages it may send at all is bounded where they are read."""
    bench = Bench()
    answers = [bench.asks(action="filter", payload={"authors": [n]}) for n in range(130)]
    assert [answer["payload"].get("code") for answer in answers] == [None] * FILTERS + ["busy"] * (130 - FILTERS)
    assert bench.tally.errors == {"busy": 130 - FILTERS}
    for _ in range(ERRORS):
        assert bench.asks(action="dance")["payload"]["code"] == "unknown_action"
    assert bench.asks(action="dance") == NONSENSE


def test_no_token_that_the_edge_is_too_busy_for_is_an_error() -> None:
    bench = Bench(grant=granted("7"))
    answers = [bench.asks(**TOKEN) for _ in range(3 * ERRORS)]
    assert [answer["payload"].get("code") for answer in answers] == [None] * TOKENS + ["busy"] * (3 * ERRORS - TOKENS)


def _ack(number: int, seen: object = SENT) -> dict[str, Any]:
    return {"action": "ack", "id": number, "payload": {"cursor": str(seen)}}


def _filter(number: int, *authors: int) -> dict[str, Any]:
    return {"action": "filter", "id": number, "payload": {"authors": authors}}


def _given(answers: Any) -> list[tuple[str, int]]:
    return [(answer["payload"].get("code", answer["action"]), answer["id"]) for answer in answers]


def _signed_in() -> Bench:
    return Bench(stores=True, device=Device(Key("alice", PHONE)))


def test_what_is_acknowledged_is_answered_when_it_is_stored() -> None:
    """With what is stored then; it may be further on."""
    bench = _signed_in()
    assert bench.says_all(_ack(1, before(Offset(2))), _ack(2)) == []
    assert bench.store is not None
    assert [waiting[:2] for waiting in bench.store.waiting] == [(PHONE, str(before(Offset(2)))), (PHONE, str(SENT))]
    bench.store.store()
    assert bench.ready == 2
    assert bench.hears() == [{"action": "acked", "id": number, "payload": {"position": str(SENT)}} for number in (1, 2)]
    assert bench.hears() == []


def test_a_filter_waits_for_what_is_stored_and_is_chosen_then() -> None:
    """The answers keep the order of the requests, and ``filtered`` stands where it takes effect."""
    bench = _signed_in()
    assert bench.store is not None
    assert bench.says_all(_ack(1), _filter(2, 7), _ack(3)) == []
    assert (bench.session.selection, len(bench.store.hurried)) == (None, 1)
    bench.store.store()
    assert _given(bench.hears()) == [("acked", 1), ("filtered", 2), ("acked", 3)]
    assert bench.session.selection is not None


def test_errors_keep_the_order_too() -> None:
    bench = _signed_in()
    assert bench.store is not None
    assert bench.says_all(_ack(1), {"action": "dance", "id": 2}, _ack(3, before(Offset(4))), _ack(4)) == []
    assert len(bench.store.hurried) == 1
    bench.store.store()
    assert _given(bench.hears()) == [("acked", 1), ("unknown_action", 2), ("bad_cursor", 3), ("acked", 4)]


def test_a_store_that_is_away_keeps_no_filter_waiting() -> None:
    """Acknowledgements are put off, which is no error of the client's; they stay with the store."""
    bench = _signed_in()
    assert bench.store is not None
    bench.store.is_away = True
    for number in range(0, 4 * ERRORS, 2):
        assert bench.says_all(_ack(number)) == []
        bench.now += FILTERS_SECONDS
        assert _given(bench.says_all(_filter(number + 1, number))) == [("busy", number), ("filtered", number + 1)]
    assert (bench.store.hurried, len(bench.store.waiting)) == ([], 2 * ERRORS)
    assert bench.tally.errors == {"busy": 2 * ERRORS}
    bench.store.store()
    assert bench.hears() == []


def test_a_store_that_fails_lets_the_filter_through() -> None:
    """It was asked to hurry."""
    bench = _signed_in()
    assert bench.store is not None
    assert bench.says_all(_ack(1), _filter(2, 7)) == []
    bench.store.hurried[0]()
    assert bench.ready == 1
    assert _given(bench.hears()) == [("busy", 1), ("filtered", 2)]
    bench.store.store()
    assert (bench.ready, bench.hears()) == (1, [])


def test_one_filter_waits_at_most() -> None:
    """Law 16: each may have 3,000 authors. The second one is not kept waiting, and neither is what was before it."""
    bench = _signed_in()
    bench.says_all(_ack(1), _filter(2, 7))
    assert _given(bench.says_all(_filter(3, 8))) == [("busy", 1), ("filtered", 2), ("filtered", 3)]


def test_so_many_answers_are_owed_at_most() -> None:
    """Law 16: then all that wait are put off, and the next one waits again."""
    bench = _signed_in()
    assert bench.says_all(*map(_ack, range(MOST))) == []
    assert _given(bench.says_all(_ack(MOST))) == [("busy", number) for number in range(MOST)]
    assert bench.store is not None
    bench.store.store()
    assert _given(bench.hears()) == [("acked", MOST)]


PHONE_OF_7 = Device(Key("7", PHONE))
FILTER = {"action": "filter", "payload": {"authors": [7]}}
TOKEN = {"action": "token", "id": "t", "payload": {"token": "mine"}}
AUTHORIZED = {"action": "authorized", "id": "t", "payload": {"expires_at": "2024-01-01T00:00:00Z"}}


def test_a_session_goes_on_with_another_token() -> None:
    bench = Bench(grant=granted("7"))
    assert bench.says_all(TOKEN) == [AUTHORIZED]
    assert (bench.session.grant, bench.tally.requests) == (granted("7", expires_at=1704067200), {"token": 1})


@pytest.mark.parametrize("payload", [{}, {"token": None}, {"token": ["mine"]}])
def test_what_is_no_token_is_refused_as_one(payload: object) -> None:
    bench = Bench(grant=granted("7"))
    assert bench.asks(action="token", payload=payload)["payload"]["code"] == "token_refused"
    assert bench.session.grant == granted("7")


def test_a_token_waits_for_its_key_and_what_comes_behind_it_for_the_token() -> None:
    """Answers keep the order of the requests; acknowledgements are taken meanwhile."""
    bench = Bench(grant=granted("7"))
    bench.bearers.unknown.add("mine")
    assert bench.says_all(TOKEN, {"action": "ack", "payload": {"cursor": str(SENT)}}, FILTER) == []
    assert (bench.session.grant, bench.session.selection) == (granted("7"), None)
    bench.bearers.fetch()
    assert (bench.ready, bench.session.grant) == (1, granted("7"))
    assert [answer["action"] for answer in bench.hears()] == ["authorized", "acked", "filtered"]
    assert bench.session.grant == granted("7", expires_at=1704067200)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_token_goes_on_in_its_turn(is_known: bool) -> None:
    """Not before what was asked for before it is answered, although its key was there first."""
    bench = Bench(stores=True, device=PHONE_OF_7, grant=granted("7"))
    assert bench.store is not None
    if not is_known:
        bench.bearers.unknown.add("mine")
    assert bench.says_all({"action": "ack", "payload": {"cursor": str(SENT)}}, TOKEN) == []
    bench.bearers.fetch()
    assert bench.hears() == []
    assert bench.session.grant == granted("7")
    bench.store.store()
    assert [answer["action"] for answer in bench.hears()] == ["acked", "authorized"]
    assert bench.session.grant == granted("7", expires_at=1704067200)


def test_a_token_that_was_put_off_changes_nothing_when_its_key_comes() -> None:
    """The client was told to ask again."""
    bench = Bench(grant=granted("7"))
    bench.bearers.unknown.add("mine")
    answers = bench.says_all(TOKEN, FILTER, FILTER)
    assert [answer["payload"].get("code", answer["action"]) for answer in answers] == ["busy", "filtered", "filtered"]
    bench.bearers.fetch()
    assert (bench.hears(), bench.session.grant) == ([], granted("7"))
