"""What is acknowledged is answered when it is stored."""

from edge.clients.acknowledging import Acknowledging
from edge.clients.owed import MOST, Answer, Later
from edge.clients.unacknowledged import Unacknowledged
from edge.fanout.session import Session
from edge.feed.position import before
from edge.positions.device import Device, Key
from edge.wire.encoding import Notice
from edge.wire.messages import acked
from edge.wire.requests import Id, Refused
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.acknowledged import HeldPositions
from tests.edge.kit.records import at, cursor, record

SENT = str(cursor(3, 1, record(1)))
OLDER = str(before(Offset(2)))
PHONE = Device(Key("alice", "phone"))


class Bench:
    """A session that was sent everything up to the first post of record 3."""

    def __init__(self, positions: HeldPositions | None, device: Device | None = PHONE) -> None:
        self.unacknowledged = Unacknowledged()
        self.acknowledging = Acknowledging(Session(at(3, 1), CURSOR, device=device), positions, self.unacknowledged)
        self.owed: list[Later] = []

    def later(self, id: Id) -> Later:  # noqa: A002 - as it is called in the message
        """Owe an answer."""
        self.owed.append(Later(id, lambda: None))
        return self.owed[-1]

    def acknowledge(self, id: Id, token: str = SENT) -> Answer | None:  # noqa: A002
        """Acknowledge."""
        return self.acknowledging.answer(id, token, 1000, self.later)

    def answers(self) -> list[Answer | None]:
        """Return what was answered later."""
        given = [later.given for later in self.owed]
        return [each() if callable(each) else each for each in given]


def _code(answer: Answer | None) -> str:
    return answer.action if isinstance(answer, Notice) else "later" if answer is None else answer.code


def test_where_nothing_stores_it_the_answer_comes_at_once() -> None:
    """With the cursor as it was said; no device is needed."""
    bench = Bench(None, None)
    assert bench.acknowledge(7, OLDER) == acked(7, OLDER)


def test_what_was_not_sent_cannot_be_acknowledged() -> None:
    for positions in (None, HeldPositions()):
        bench = Bench(positions)
        for token in (str(cursor(3, 2, record(1))), str(before(Offset(4))), "", "0" * 31, "A" * 32):
            assert _code(bench.acknowledge(1, token)) == "bad_cursor"
        assert (positions is None or positions.waiting) in (True, [])


def test_a_position_is_stored_for_a_device_alone() -> None:
    positions = HeldPositions()
    assert _code(Bench(positions, None).acknowledge(1)) == "no_device"
    assert positions.waiting == []


def test_it_is_answered_when_it_is_stored() -> None:
    """With what is stored then; what is acknowledged meanwhile is stored later."""
    positions = HeldPositions()
    bench = Bench(positions)
    assert [bench.acknowledge(id_, token) for id_, token in ((1, OLDER), (2, SENT), (3, SENT))] == [None] * 3
    assert [waiting[:3] for waiting in positions.waiting] == [
        ("phone", OLDER, 1),
        ("phone", SENT, 2),
        ("phone", SENT, 3),
    ]
    positions.store(but=1)
    assert bench.answers() == [acked(1, SENT), acked(2, SENT), None]
    positions.store()
    assert bench.answers() == [acked(id_, SENT) for id_ in (1, 2, 3)]


def test_where_too_many_wait_it_is_refused() -> None:
    """That is an error like any other. The next one is numbered as if this had not been."""
    positions = HeldPositions()
    bench = Bench(positions)
    positions.is_full = True
    assert _code(bench.acknowledge(1)) == "busy"
    positions.is_full = False
    bench.acknowledge(2)
    assert positions.waiting[0][2] == 1
    positions.store()
    assert bench.answers() == [acked(2, SENT)]


def test_what_was_put_off_is_not_kept() -> None:
    """Law 16: a store that is away for hours makes nothing grow. What was put off is not answered again."""
    positions = HeldPositions()
    bench = Bench(positions)
    for number in range(10 * MOST):
        bench.acknowledge(number)
        bench.owed[-1].put_off()
    acks = bench.acknowledging._acks  # noqa: SLF001 - what it keeps is nobody else's business
    assert acks is not None
    assert len(acks) == 1
    bench.acknowledge("last")
    positions.store()
    *others, last = bench.answers()
    assert all(isinstance(answer, Refused) for answer in others)
    assert last == acked("last", SENT)


def test_a_session_that_ends_leaves_its_store() -> None:
    """Where it has one, and a device."""
    positions = HeldPositions()
    for bench in (Bench(None), Bench(positions, None), Bench(positions)):
        bench.acknowledge(1)
        bench.acknowledge(2, "none")
        assert len(bench.unacknowledged) == 1
        bench.acknowledging.leave()
        assert len(bench.unacknowledged) == 0
    assert positions.left == [PHONE]
