"""For any order of acknowledgements, failures and ends: what is stored is what was acknowledged, and none is lost."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.positions.device import DEVICES, Device, Key
from edge.positions.pending import Pending
from edge.positions.store import Row
from tests.edge.kit.positions import MemoryStore

PHONE, TABLET = Key("alice", "phone"), Key("alice", "tablet")


class Session:
    """A session that acknowledges, and keeps what it is told."""

    def __init__(self, key: Key = PHONE) -> None:
        self.device = Device(key)
        self.count = 0
        self.told: list[tuple[int, str]] = []

    def acknowledge(self, pending: Pending, position: str, now: float = 0) -> bool:
        """Say how far it is."""
        self.count += 1
        return pending.acknowledge(self.device, position, self.count, self.hear, now)

    def hear(self, number: int, position: str) -> None:
        """Keep it in mind."""
        self.told.append((number, position))


def _succeed(pending: Pending, further: dict[Key, str] | None = None) -> None:
    for told in pending.succeeded(further or {}):
        told.tell()


def test_the_newest_position_of_a_device_is_written_once() -> None:
    """Whoever acknowledges it, and in whatever order; all are told."""
    pending, first, second = Pending(), Session(), Session()
    first.acknowledge(pending, "3")
    second.acknowledge(pending, "5")
    first.acknowledge(pending, "4")
    assert pending.take(10) == [Row(PHONE, "5")]
    assert (len(pending), pending.devices) == (0, 1)
    _succeed(pending)
    assert (first.told, second.told, pending.devices) == ([(2, "5")], [(1, "5")], 0)
    assert first.device.stored == second.device.stored == "5"


def test_what_is_further_on_is_told() -> None:
    pending, session = Pending(), Session()
    session.acknowledge(pending, "3")
    pending.take(10)
    _succeed(pending, {PHONE: "8"})
    assert (session.told, session.device.stored) == ([(1, "8")], "8")


def test_what_comes_meanwhile_is_written_next() -> None:
    pending, session = Pending(), Session()
    session.acknowledge(pending, "3")
    pending.take(10)
    session.acknowledge(pending, "4")
    assert pending.devices == 1
    _succeed(pending)
    assert (session.told, pending.devices) == ([(1, "3")], 1)
    assert pending.take(10) == [Row(PHONE, "4")]


def test_what_fails_is_written_with_what_has_come_meanwhile() -> None:
    """Before what came later; the age counts from the first that is not stored."""
    pending, phone, tablet = Pending(), Session(), Session(TABLET)
    assert pending.age(1) == 0
    phone.acknowledge(pending, "3", now=1)
    pending.take(10)
    tablet.acknowledge(pending, "1", now=2)
    phone.acknowledge(pending, "4", now=3)
    assert pending.age(4) == 3
    pending.failed()
    assert pending.age(4) == 3
    assert pending.take(10) == [Row(PHONE, "4"), Row(TABLET, "1")]
    _succeed(pending)
    assert (phone.told, tablet.told, pending.age(5)) == ([(2, "4")], [(1, "1")], 0)


def test_so_many_are_written_at_a_time() -> None:
    """The longest waiting first."""
    pending = Pending()
    for number in range(5):
        Session(Key("alice", str(number))).acknowledge(pending, "1")
    written: list[list[str]] = []
    while len(pending):
        written.append([row.key.device for row in pending.take(2)])
        _succeed(pending)
    assert written == [["0", "1"], ["2", "3"], ["4"]]


def test_who_has_left_is_told_nothing_and_its_position_is_stored() -> None:
    pending, session, gone = Pending(), Session(), Session(TABLET)
    assert not pending.leave(session.device)
    session.acknowledge(pending, "3")
    pending.take(10)
    session.acknowledge(pending, "4")
    assert pending.leave(session.device)
    _succeed(pending)
    assert pending.take(10) == [Row(PHONE, "4")]
    _succeed(pending)
    assert session.told == []
    assert not pending.leave(gone.device)


def test_a_position_that_was_refuted_is_replaced() -> None:
    """Although what is acknowledged then may be before it; what the session had acknowledged before goes with it."""
    pending, session = Pending(), Session()
    session.device.stored = "7"
    session.acknowledge(pending, "9")
    session.device.refute()
    session.acknowledge(pending, "1")
    session.acknowledge(pending, "2")
    assert pending.take(10) == [Row(PHONE, "2", "7")]
    _succeed(pending)
    session.acknowledge(pending, "3")
    assert pending.take(10) == [Row(PHONE, "3")]


def test_a_position_that_another_session_has_acknowledged_is_not_replaced() -> None:
    """It may be behind the gap already: it moves forward as ever."""
    pending, session, other = Pending(), Session(), Session()
    session.device.refute("7")
    other.acknowledge(pending, "9")
    session.acknowledge(pending, "1")
    assert pending.take(10) == [Row(PHONE, "9", "7")]


def test_what_was_being_written_is_refuted_too() -> None:
    """The session has heard of the gap when its last position of before was on its way."""
    for is_own in (True, False):
        pending, session = Pending(), Session()
        session.device.stored = "7"
        session.acknowledge(pending, "9")
        pending.take(10)
        session.device.refute()
        session.acknowledge(pending, "1")
        _succeed(pending, {} if is_own else {PHONE: "99"})
        assert pending.take(10) == [Row(PHONE, "1", "9" if is_own else "7")]


@pytest.mark.parametrize("is_being_written", [True, False])
def test_a_first_position_that_is_not_stored_is_refuted_too(*, is_being_written: bool) -> None:
    """It is gone with what follows it, or is replaced where it was on its way."""
    pending, session = Pending(), Session()
    session.acknowledge(pending, "9")
    if is_being_written:
        pending.take(10)
    session.device.refute()
    session.acknowledge(pending, "1")
    if is_being_written:
        _succeed(pending)
    assert pending.take(10) == [Row(PHONE, "1", "9")]


def test_a_failure_keeps_what_is_to_be_replaced() -> None:
    pending, session = Pending(), Session()
    session.device.refute("7")
    session.acknowledge(pending, "1")
    pending.take(10)
    session.acknowledge(pending, "2")
    pending.failed()
    assert pending.take(10) == [Row(PHONE, "2", "7")]
    session.device.refute("2")
    session.acknowledge(pending, "0")
    pending.failed()
    assert pending.take(10) == [Row(PHONE, "0", "2")]


def test_a_foreign_position_is_replaced() -> None:
    """By what was acknowledged, or by what has come since; nobody is told once more."""
    pending, session = Pending(room=1), Session()
    pending.replace(Row(PHONE, "1", "7"), 3)
    assert (pending.devices, pending.age(4), pending.newest(PHONE, "7")) == (1, 1, "1")
    assert pending.take(10) == [Row(PHONE, "1", "7")]
    _succeed(pending)
    session.acknowledge(pending, "3")
    pending.replace(Row(PHONE, "1", "7"), 3)
    pending.replace(Row(TABLET, "1", "7"), 3)
    assert pending.take(10) == [Row(PHONE, "3", "7")]
    _succeed(pending)
    assert (session.told, pending.devices) == ([(1, "3")], 0)


def test_a_device_goes_on_where_it_was_although_that_is_not_stored_yet() -> None:
    """On this edge: what waits is further on than what was read, or takes its place."""
    pending, session = Pending(), Session()
    assert (pending.newest(PHONE, ""), pending.newest(PHONE, "3")) == ("", "3")
    session.acknowledge(pending, "5")
    assert [pending.newest(PHONE, stored) for stored in ("", "3", "7")] == ["5", "5", "7"]
    pending.take(10)
    assert pending.newest(PHONE, "3") == "5"
    session.device.refute("7")
    session.acknowledge(pending, "1")
    assert pending.newest(PHONE, "7") == "1"


def test_so_many_devices_wait_at_most() -> None:
    """In all, and of a subject; those that wait already go on."""
    pending = Pending(room=DEVICES + 1)
    sessions = [Session(Key("alice", str(number))) for number in range(DEVICES)]
    assert all(session.acknowledge(pending, "1") for session in sessions)
    assert not Session(PHONE).acknowledge(pending, "1")
    bob, carol = Session(Key("bob", "1")), Session(Key("carol", "1"))
    assert bob.acknowledge(pending, "1")
    assert not carol.acknowledge(pending, "1")
    pending.take(100)
    assert bob.acknowledge(pending, "2")
    assert not carol.acknowledge(pending, "1")
    _succeed(pending)
    assert carol.acknowledge(pending, "1")
    assert Session(PHONE).acknowledge(pending, "1")


STEPS = st.one_of(
    st.tuples(st.just("ack"), st.integers(0, 3), st.integers(0, 30)),
    st.tuples(st.just("gap"), st.integers(0, 3)),
    st.tuples(st.just("leave"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["take", "store", "answer", "fail", "replace"]), st.integers(1, 2)),
)


class Model:
    """Four sessions of two devices, and a store that may answer, or fail before or behind the change."""

    def __init__(self) -> None:
        self.pending = Pending()
        self.store = MemoryStore()
        self.sessions = [Session(key) for key in (PHONE, PHONE, PHONE, TABLET)]
        self.acknowledged: defaultdict[Key, set[str]] = defaultdict(set)
        self.newest: dict[int, str] = {}
        """What a session has acknowledged, the newest, since its last gap, by how often it had."""
        self.said: dict[tuple[int, int], str] = {}
        self.rows: list[Row] | None = None
        self.further: dict[Key, str] | None = None
        self.doubted: list[Row] = []
        """What was not written, since something further on is stored."""

    def ack(self, number: int, position: int) -> None:
        """Acknowledge."""
        session, token = self.sessions[number], f"{position:03}"
        self.acknowledged[session.device.key].add(token)
        assert session.acknowledge(self.pending, token)
        self.said[number, session.count] = token

    def gap(self, number: int) -> None:
        """Tell a session of a gap: what it had acknowledged may be of another feed."""
        self.sessions[number].device.refute()
        for key in [key for key in self.said if key[0] == number]:
            del self.said[key]

    def leave(self, number: int) -> None:
        """End a session, and begin another one of its device."""
        key = self.sessions[number].device.key
        self.pending.leave(self.sessions[number].device)
        self.check_told(number)
        for said in [said for said in self.said if said[0] == number]:
            del self.said[said]
        self.sessions[number] = Session(key)
        self.sessions[number].device.stored = self.pending.newest(key, self.store.positions.get(key, ""))

    def take(self, limit: int) -> None:
        """Begin to write."""
        if self.rows is None and len(self.pending):
            self.rows = self.pending.take(limit)

    def write(self, _: int = 0) -> None:
        """Store what is being written, unless that was done."""
        if self.rows is None or self.further is not None:
            return
        before = dict(self.store.positions)
        self.further = self.store.store(self.rows)
        for row in self.rows:
            was, now = before.get(row.key, ""), self.store.positions[row.key]
            assert now in self.acknowledged[row.key]
            assert now >= was or was == row.replaces

    def answer(self, _: int = 0) -> None:
        """Have the store answer."""
        if self.rows is not None:
            self.write()
            assert self.further is not None
            self.doubted = [
                row._replace(replaces=self.further[row.key]) for row in self.rows if row.key in self.further
            ]
            for told in self.pending.succeeded(self.further):
                told.tell()
            self.rows = self.further = None
            for number in range(len(self.sessions)):
                self.check_told(number)

    def fail(self, _: int = 0) -> None:
        """Have it fail, before or behind the change."""
        if self.rows is not None:
            self.pending.failed()
            self.rows = self.further = None

    def replace(self, _: int = 0) -> None:
        """Find what is stored instead to be foreign."""
        for row in self.doubted:
            self.pending.replace(row, 0)

    def check_told(self, number: int) -> None:
        """See that what a session is told is stored, and is as far on as what it has acknowledged since its gap."""
        session = self.sessions[number]
        for count, position in session.told:
            assert position in self.acknowledged[session.device.key]
            assert all(position >= said for (of, n), said in self.said.items() if of == number and n <= count)
        session.told.clear()

    def finish(self) -> None:
        """Store all that waits."""
        self.answer()
        while len(self.pending):
            self.take(1)
            self.answer()


def _run(steps: list[Any]) -> Model:
    model = Model()
    actions: dict[str, Callable[..., None]] = {
        "ack": model.ack, "gap": model.gap, "leave": model.leave, "take": model.take, "store": model.write,
        "answer": model.answer, "fail": model.fail, "replace": model.replace,
    }  # fmt: skip
    for name, *arguments in steps:
        actions[name](*arguments)
    model.finish()
    return model


@given(st.lists(STEPS, max_size=40))
def test_what_is_stored_was_acknowledged_and_moves_forward_or_by_compare_and_swap(steps: list[Any]) -> None:
    """Whoever fails or leaves; and nobody is told that more is stored than is."""
    model = _run(steps)
    assert model.pending.devices == 0
    assert set(model.store.positions) == set(model.acknowledged)


@given(st.lists(STEPS.filter(lambda step: step[0] not in ("gap", "replace")), max_size=40))
def test_nothing_that_was_acknowledged_is_lost_while_the_feed_goes_on(steps: list[Any]) -> None:
    model = _run(steps)
    assert model.store.positions == {key: max(positions) for key, positions in model.acknowledged.items()}
