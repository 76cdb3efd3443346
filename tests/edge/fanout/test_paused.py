"""Who is sent nothing for now, without anybody who sends."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from edge.fanout.paused import Paused
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.replay import Replay
from edge.wire.websocket_encodings import PLAIN
from streams.contract import Offset

keys = count()


@dataclass(eq=False)
class Client:
    """A client, and nothing but where it is."""

    session: Session
    key: int = field(default_factory=lambda: next(keys))


def client(position: int) -> Client:
    """Make one."""
    return Client(Session(Position(position), PLAIN))


def reader_of_a_replay(position: int) -> Client:
    """Make one that reads another log than the live one."""
    made = client(position)
    replay: Replay[Any] = Replay(Log(limit=1000, reach=0), first=Offset(0), reach=0, address="")
    made.session.skip_to(Position(position), replay=replay)
    return made


def paused(*clients: Client) -> Paused[Client]:
    """Pause them all."""
    made: Paused[Client] = Paused()
    for each in clients:
        made.add(each)
    return made


def test_clients_before_a_position_are_named_once() -> None:
    """One that was let go of or has moved since is not; however often they were paused."""
    one, two, gone, moved = client(3), client(4), client(3), client(3)
    made = paused()
    for _ in range(50):
        for each in (one, two, gone, moved):
            made.add(each)
            made.discard(each)
    for each in (one, one, two, gone, moved):
        made.add(each)
    made.discard(gone)
    moved.session.skip_to(Position(5), b"")
    made.add(moved)
    assert made.clients == {one, two, moved}
    assert made.before(Position(3), 9) == []
    assert made.before(Position(4), 9) == [one]
    made.discard(one)
    made.discard(two)
    assert made.before(Position(5), 9) == []
    assert made.before(Position(6), 9) == [moved]


def test_what_is_kept_is_bounded_by_who_is_paused() -> None:
    """A client may be paused and go on for ever."""
    one, stays = client(3), client(1)
    made = paused(stays)
    for position in range(3, 1000):
        one.session.skip_to(Position(position))
        made.add(one)
    assert len(made._places) < 100  # noqa: SLF001 - what would be kept
    assert made.before(Position(999), 9) == [stays]
    assert made.before(Position(1000), 9) == [one]


def test_some_are_named_at_a_time() -> None:
    """Thousands may have fallen behind at once."""
    made = paused(*(client(3) for _ in range(5)))
    assert [len(made.before(Position(4), 2)) for _ in range(4)] == [2, 2, 1, 0]


def test_who_has_been_sent_everything_does_not_wait() -> None:
    late, at_head = client(3), client(5)
    made = paused(late, at_head, late)
    assert made.waiting(Position(5)) == 1
    assert made.waiting(Position(6)) == 2


def test_who_reads_a_replay_waits_and_is_not_looked_for() -> None:
    """Its replay says by itself who was left behind."""
    reader = reader_of_a_replay(3)
    made = paused(reader)
    assert (made.clients, made.before(Position(9), 9), made.waiting(Position(0))) == ({reader}, [], 1)


def test_places_of_another_log_are_forgotten_and_clients_are_not() -> None:
    one = client(3)
    made = paused(one)
    made.forget_places()
    assert (made.clients, made.before(Position(9), 9), made.waiting(Position(9))) == ({one}, [], 0)
