"""What a replay does next, by readers that are positions."""

import pytest

from edge.fanout.sources import meets
from edge.feed.log import Appended, Log
from edge.feed.position import Gap, Position, before
from edge.feed.replay import HELD_SECONDS, LINGER_SECONDS, LONGEST_SECONDS, Replay
from edge.feed.seats import Seat, Step
from edge.feed.start import Bounds
from edge.feed.topic import Raw, Read
from streams.contract import Millis, Offset
from tests.edge.kit.records import at, cursor, log_of, publication, record

END = Offset(1000)


class Reader:
    """One that is somewhere."""

    def __init__(self, position: int) -> None:
        self.position = Position(position)


def value(offset: int, length: int = 100) -> bytes:
    """Make a record of one post."""
    return record(publication(offset, text="x" * length))


def raws(first: int, count: int, length: int = 100) -> list[Raw]:
    """Make records."""
    return [Raw(Offset(offset), value(offset, length), Millis(0)) for offset in range(first, first + count)]


def replay_of(first: int = 100, *, limit: int = 1 << 20, begin: int = 0, reach: int = 5) -> Replay[Reader]:
    """Make one that has begun to read, and has read nothing."""
    replay: Replay[Reader] = Replay(Log(limit=limit, reach=reach), first=Offset(first), reach=reach, address="a")
    replay.begin(Bounds(Offset(begin), END))
    return replay


def read(replay: Replay[Reader], count: int, now: float = 0, length: int = 100) -> None:
    """Read and append, for a reader that wants it."""
    assert replay.log.next_offset is not None
    replay.take(Read(raws(replay.log.next_offset, count, length), Offset(0), END))
    for _ in range(count):
        assert replay.step(now, END) is Step.APPEND
        assert isinstance(replay.append(), Appended)


def move(replay: Replay[Reader], reader: Reader, position: Position) -> None:
    """Have a reader be sent everything before a position."""
    reader.position = position
    replay.sent(position)


def seat_at(offset: int) -> Seat:
    """Make a seat behind the post of a record."""
    return Seat(cursor(offset, 1, value(offset)))


def test_it_begins_as_far_back_as_repeats_reach_and_neighbours_may_stand() -> None:
    """The first record that it offers is a little before the one that was asked for."""
    replay = replay_of(100)
    assert (replay.log.next_offset, replay.log.offer_from) == (63, 68)
    assert replay_of(3).log.next_offset == 0


def test_it_reads_while_somebody_waits_and_never_beyond_the_log() -> None:
    """Then it rests; so it does when it has what the log has."""
    replay = replay_of(3)
    assert replay.step(0, END) is Step.REST
    seat = seat_at(3)
    replay.sit(seat)
    assert replay.step(0, Offset(0)) is Step.REST
    assert replay.step(0, END) is Step.READ
    read(replay, 4)
    assert replay.has_reached(seat)
    assert replay.place(seat) == at(3, 1)
    reader = Reader(at(3, 1))
    replay.enter(reader)
    replay.stand_up(seat)
    replay.take(Read(raws(4, 2), Offset(6), END))
    assert replay.step(0, Offset(4)) is Step.REST
    assert replay.step(0, Offset(5)) is Step.APPEND


def test_it_reads_ahead_of_the_fastest_reader_by_some_writes() -> None:
    """However much there is."""
    replay = replay_of(0)
    replay.sit(Seat(cursor(0, 1, value(0, 50_000))))
    read(replay, 2, length=50_000)
    replay.enter(Reader(at(0, 1)))
    replay.seats.clear()
    read(replay, 4, length=50_000)
    assert replay.step(0, END) is Step.REST


def test_a_replay_without_readers_is_over_after_a_while() -> None:
    """Not while somebody is there again."""
    replay = replay_of()
    assert not replay.look(0)
    seat = seat_at(100)
    replay.sit(seat)
    assert not replay.look(LINGER_SECONDS)
    replay.stand_up(seat)
    assert not replay.look(LINGER_SECONDS)
    assert not replay.look(2 * LINGER_SECONDS - 0.1)
    assert replay.step(2 * LINGER_SECONDS, END) is Step.OVER
    assert not replay.may_share(seat)


def test_it_is_told_who_has_moved() -> None:
    """And whoever leaves is told once."""
    moves: list[int] = []
    replay: Replay[Reader] = Replay(
        Log(limit=1 << 20, reach=1), first=Offset(0), reach=1, address="a", moved=lambda: moves.append(1)
    )
    reader = Reader(0)
    replay.enter(reader)
    replay.leave(reader)
    replay.leave(reader)
    assert len(moves) == 2
    replay.enter(reader)
    assert (replay.end(), replay.is_over, len(replay.readers), len(moves)) == ([reader], True, 0, 4)


class Asked(Reader):
    """A reader that may not be asked where it is."""

    @property
    def position(self) -> Position:
        """Say so."""
        raise AssertionError("it was looked at")

    @position.setter
    def position(self, position: Position) -> None:
        """Be anywhere."""


def test_no_reader_is_looked_at_to_know_whether_more_is_wanted() -> None:
    """Thousands that are behind move each for itself, and each time that is to be known."""
    replay = replay_of()
    fast = Reader(at(68, 1))
    replay.sit(seat := seat_at(68))
    read(replay, 26, length=10_000)
    replay.enter(fast)
    replay.stand_up(seat)
    replay.readers |= {Asked(0): None for _ in range(5)}
    assert replay.step(0, END) is Step.REST
    move(replay, fast, replay.log.head)
    assert replay.step(0, END) is Step.READ


def test_who_may_share() -> None:
    """Who stands a little before, or no further ahead than a replay of its own would have to read."""
    replay = replay_of(100, limit=20_000)
    assert [replay.may_share(seat_at(offset)) for offset in (67, 68, 104, 105)] == [False, True, True, False]
    replay.sit(seat_at(104))
    read(replay, 45)
    replay.enter(Reader(at(104, 1)))
    replay.seats.clear()
    for reader in list(replay.readers) * 20:
        move(replay, reader, replay.log.head)
        read(replay, 1)
    assert replay.log.tail > at(70, 1)
    assert replay.log.next_offset == 128
    assert [replay.may_share(seat_at(offset)) for offset in (70, 120, 132, 133)] == [False, True, True, False]


@pytest.mark.parametrize(("offset", "expired"), [(100, True), (105, True), (107, False)])
def test_where_retention_has_cut_off_what_repeats_take_it_has_expired(offset: int, expired: bool) -> None:
    """Of the records that are left the first five can only be read."""
    replay = replay_of(offset, begin=102)
    seat = seat_at(offset)
    replay.sit(seat)
    while not replay.has_reached(seat):
        replay.take(Read(raws(replay.log.next_offset or 0, 1), Offset(0), END))
        assert replay.step(0, END) is Step.APPEND
        assert isinstance(replay.append(), Appended)
    assert replay.place(seat) == (Gap("expired") if expired else at(offset, 1))


def test_what_is_no_place_there_is_a_gap() -> None:
    """A forged cursor; and one that the log cannot know."""
    replay = replay_of(3)
    replay.sit(seat_at(9))
    read(replay, 10)
    assert replay.place(Seat(cursor(5, 1, b"another"))) == Gap("recreated")
    assert replay.place(seat_at(50)) == Gap("unknown")


def replay_before_a_hole(*seats: Seat) -> Replay[Reader]:
    """Make one that has read a record that may be offered, and what comes behind two that are missing: 69 and 70."""
    replay = replay_of(100)
    for seat in seats:
        replay.sit(seat)
    replay.step(0, END)
    # Nothing is offered before these.
    assert replay.take(Read([], Offset(65), END)) is None
    assert replay.log.next_offset == 65
    replay.take(Read([raws(66, 1)[0], raws(68, 1)[0], *raws(71, 1)], Offset(72), END))
    assert [isinstance(replay.append(), Appended) for _ in range(2)] == [True] * 2
    return replay


def test_missing_records_are_a_gap_to_seats_before_them() -> None:
    """Also to one in a record that is missing: it is not known whether more was. Others have missed nothing."""
    before_it, in_it, behind_it = seat_at(68), seat_at(70), seat_at(71)
    assert replay_before_a_hole(before_it).append() == Gap("interrupted")
    replay = replay_before_a_hole(in_it, behind_it)
    assert replay.append() == Gap("interrupted")
    assert list(replay.seats) == [in_it]
    # A replay of its own is begun for the next one.
    assert not replay.may_share(behind_it)
    assert replay_before_a_hole(before_it).take(Read([], Offset(71), END)) == Gap("interrupted")


def test_missing_records_are_a_gap_to_readers() -> None:
    """Whatever was read is before them."""
    replay = replay_before_a_hole(seat_at(100))
    replay.enter(Reader(at(68, 1)))
    assert replay.append() == Gap("interrupted")


@pytest.mark.parametrize("seat", [Seat(before(Offset(71))), seat_at(71)])
def test_missing_records_are_nothing_to_a_seat_behind_them(seat: Seat) -> None:
    """It goes on there; one that is before them has a replay of its own."""
    replay = replay_before_a_hole(seat)
    assert isinstance(replay.append(), Appended)
    assert replay.has_reached(seat)
    assert replay.place(seat) == seat.position
    assert [replay.may_share(seat_at(offset)) for offset in (68, 70, 71)] == [False, False, True]
    replay = replay_before_a_hole(seat)
    assert replay.take(Read([], Offset(71), END)) is None
    assert (replay.log.next_offset, replay.log.tail) == (71, at(71, 0))


def test_what_was_shown_before_missing_records_is_a_repeat_behind_them() -> None:
    """As for everybody who has read the records there are."""
    seat = seat_at(100)
    replay = replay_before_a_hole(seat)
    replay.append()
    replay.take(Read([Raw(Offset(72), value(68), Millis(0))], Offset(73), END))
    assert replay.append() == Appended(0, 1)


def test_it_goes_on_where_it_was_once_kafka_is_back() -> None:
    """The newest record comes again; what retention has removed meanwhile is gone."""
    assert replay_of(100).begin(Bounds(Offset(0), END)) == 63
    replay = replay_of(3)
    replay.sit(seat_at(3))
    assert replay.begin(Bounds(Offset(0), END)) == 0
    read(replay, 3)
    assert replay.begin(Bounds(Offset(0), END)) == 2
    assert replay.begin(Bounds(Offset(3), END)) == 3
    assert replay.begin(Bounds(Offset(4), END)) == Gap("expired")


def held(readers: int, slow: int) -> tuple[Replay[Reader], list[Reader]]:
    """Make a replay whose readers have read all there is, but for some that have read nothing."""
    replay = replay_of(0, limit=40_000)
    seat = seat_at(0)
    replay.sit(seat)
    read(replay, 1)
    replay.stand_up(seat)
    everybody = [Reader(at(0, 1)) for _ in range(readers)]
    for reader in everybody:
        replay.enter(reader)
    while True:
        replay.take(Read(raws(replay.log.next_offset or 0, 1), Offset(0), END))
        for reader in everybody[slow:]:
            move(replay, reader, replay.log.head)
        if replay.step(0, END) is Step.REST:
            return replay, everybody
        replay.append()


@pytest.mark.parametrize(("readers", "slow", "seconds"), [(10, 1, HELD_SECONDS), (10, 2, LONGEST_SECONDS)])
def test_others_wait_for_slow_readers_for_so_long(readers: int, slow: int, seconds: float) -> None:
    """The few for a moment, more of them longer; what they held is forgotten, and the others have room again."""
    replay, everybody = held(readers, slow)
    assert replay.step(seconds - 0.1, END) is Step.REST
    assert replay.left_behind == []
    assert replay.step(seconds, END) is Step.APPEND
    assert replay.left_behind == everybody[:slow]
    assert list(replay.readers) == everybody[slow:]
    assert replay.log.tail > at(0, 1)
    assert not replay.may_share(seat_at(0))


def test_a_reader_that_is_alone_takes_its_time() -> None:
    """Nobody waits for it; and when others have gone, those that come later begin to wait anew."""
    replay, (slow, fast) = held(2, 1)
    replay.leave(fast)
    assert replay.step(LONGEST_SECONDS, END) is Step.REST
    move(replay, fast, replay.log.head)
    replay.enter(fast)
    assert replay.step(2 * LONGEST_SECONDS, END) is Step.REST
    assert replay.left_behind == []
    move(replay, slow, replay.log.head)
    assert replay.step(2 * LONGEST_SECONDS, END) is Step.APPEND


def test_readers_that_keep_up_are_not_left_behind_for_one_that_was() -> None:
    """The wait is over once the slowest is in the newer half."""
    replay, (slow, fast) = held(2, 1)
    move(replay, slow, replay.log.kept.middle)
    assert replay.step(1, END) is Step.APPEND
    while replay.step(1, END) is Step.APPEND:
        replay.append()
        replay.take(Read(raws(replay.log.next_offset or 0, 1), Offset(0), END))
        move(replay, fast, replay.log.head)
    assert replay.step(LONGEST_SECONDS + 0.5, END) is Step.REST
    assert replay.step(LONGEST_SECONDS + 1, END) is Step.APPEND


def test_a_page_is_as_long_as_there_is_room() -> None:
    """It is answered when it holds up itself, or when there is no more; one that is too slow is left behind, too."""
    replay = replay_of(0, limit=40_000)
    page = seat_at(0)
    page.until, page.takes_less = END, True
    replay.sit(page)
    while (step := replay.step(0, END)) is not Step.REST:
        if step is Step.READ:
            replay.take(Read(raws(replay.log.next_offset or 0, 1), Offset(0), END))
        else:
            replay.append()
    assert replay.has_reached(page)
    assert page in replay.seats
    replay.enter(Reader(replay.log.head))
    assert replay.step(1, END) is Step.REST
    assert replay.step(1 + HELD_SECONDS, END) is Step.APPEND
    assert page not in replay.seats
    other = replay_of(0)
    other.sit(page)
    read(other, 2)
    assert not other.has_reached(page)
    other.step(0, Offset(2))
    assert other.has_reached(page)


def test_a_reader_may_want_the_first_record_that_may_be_offered() -> None:
    """Where retention has cut, that is behind those by which repeats are known."""
    replay = replay_of(0, begin=40)
    seat = Seat(before(Offset(0)), or_earliest=True)
    replay.sit(seat)
    read(replay, 4)
    assert not replay.has_reached(seat)
    read(replay, 4)
    assert replay.has_reached(seat)
    assert replay.may_share(seat)
    assert replay.place(seat) == at(44, 1)
    assert replay.place(Seat(before(Offset(0)))) == Gap("expired")
    replay.log.kept.forget(at(46, 1))
    assert not replay.may_share(seat)
    assert replay.place(seat) == Gap("expired")


def test_where_nothing_may_be_offered_there_is_no_first_record() -> None:
    replay = replay_of(0, begin=997)
    seat = Seat(before(Offset(0)), or_earliest=True)
    replay.sit(seat)
    read(replay, 3)
    replay.step(0, END)
    assert replay.has_reached(seat)
    assert replay.place(seat) == Gap("expired")


def test_where_a_replay_meets_the_log() -> None:
    """Where that has what follows; not before its tail, beyond its head, or while it shows nothing."""
    log = log_of(*(value(offset) for offset in range(10, 14)), first=10)
    assert [meets(log, at(offset, 1)) for offset in (9, 10, 13, 14)] == [False, True, True, False]
    begun = Log(limit=1 << 20, reach=5)
    begun.begin(Offset(0), Offset(5))
    assert not meets(begun, begun.head)
