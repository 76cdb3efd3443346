"""Long polls that wait are woken by what is for them, a few at a time, and never forgotten."""

from collections.abc import Callable
from weakref import WeakSet

import pytest

from edge.clients.post_waiters import AT_ONCE, SLICE_SECONDS, Waiter, Waiters
from edge.feed.joins import never
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume, place_of
from edge.feed.reads import Chunk, Reading
from edge.feed.selection import Selection
from edge.wire.json_encoding import JSON, JsonEncoding
from streams.contract import Offset
from tests.edge.kit.lines import Turns
from tests.edge.kit.records import cursor, log_of, publication, record


class Polls:
    """Polls that wait at the end of a log, and the turns of a loop."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.turns = Turns()
        self.waiters = Waiters(log, self.turns)
        self.woken: list[int] = []

    def add(self, number: int, at: Cursor | None = None, encoding: JsonEncoding = JSON) -> Waiter:
        """Have a poll wait; where it is not said, at the end."""
        place = self.log.cursor_at(self.log.head) if at is None else at
        return self.waiters.add(place, Reading(encoding), lambda: self.woken.append(number))

    def append(self, *posts: int) -> None:
        """Write a record, and say so."""
        assert self.log.next_offset is not None
        self.log.append(self.log.next_offset, record(*posts))
        self.waiters.publish()


def waiting(count: int) -> Polls:
    """Make some polls that wait."""
    polls = Polls(log_of(record(1)))
    for number in range(count):
        polls.add(number)
    return polls


def test_all_are_woken_by_a_post_in_their_order_a_few_in_a_turn() -> None:
    polls = waiting(10)
    polls.append(2)
    assert polls.woken == []
    for turn in range(1, 4):
        polls.turns.turn()
        assert polls.woken == list(range(min(10, turn * AT_ONCE)))
    assert len(polls.waiters) == 0
    polls.turns.rest()
    assert polls.woken == list(range(10))


def test_a_record_without_a_post_wakes_nobody_and_moves_all_on() -> None:
    """Else the log would move past a reader that it has nothing for."""
    polls = Polls(log_of(record(1), limit=1 << 14))
    waiter = polls.add(0)
    for _ in range(100):
        polls.append(1)
        polls.turns.rest()
    assert (polls.woken, waiter.cursor) == ([], polls.log.cursor_at(polls.log.head))
    assert waiter.cursor.position > polls.log.tail
    polls.append(2)
    polls.turns.rest()
    assert polls.woken == [0]


def test_a_poll_that_came_after_the_record_is_woken_too() -> None:
    """It was placed before, and others are looked at now."""
    polls = waiting(1)
    place = polls.log.cursor_at(polls.log.head)
    polls.append(2)
    polls.add(1, at=place)
    polls.turns.rest()
    assert polls.woken == [0, 1]


def test_who_leaves_is_not_woken_and_who_was_woken_may_leave() -> None:
    polls = waiting(0)
    first, second, third = (polls.add(number) for number in range(3))
    polls.waiters.remove(first)
    polls.append(2)
    polls.waiters.remove(third)
    polls.turns.rest()
    assert polls.woken == [1]
    polls.waiters.remove(second)
    assert len(polls.waiters) == 0


def test_nothing_is_kept_of_polls_that_have_left_although_no_record_comes() -> None:
    """A stranger may come with another filter each time."""
    polls = Polls(log_of(record(1)))
    here = polls.log.cursor_at(polls.log.head)
    selections = WeakSet[Selection]()
    for author in range(5):
        selection = Selection((author,))
        selections.add(selection)
        waiters = [polls.waiters.add(here, Reading(JSON, selection), lambda: None) for _ in range(2)]
        for waiter in waiters:
            polls.waiters.remove(waiter)
        del selection, waiters, waiter
    assert len(selections) == 0


def test_polls_of_one_place_that_came_before_and_after_a_record_leave_apart() -> None:
    polls = waiting(0)
    first, second = (polls.add(number) for number in range(2))
    polls.append(1)
    polls.turns.rest()
    third, last = polls.add(2), polls.add(3)
    for waiter in (first, second, third):
        polls.waiters.remove(waiter)
    polls.append(2)
    polls.turns.rest()
    assert polls.woken == [3]
    assert last not in last.place.waiters


def test_a_poll_that_comes_again_waits_for_the_next_post() -> None:
    polls = waiting(1)
    polls.append(2)
    polls.turns.rest()
    polls.add(7)
    polls.turns.rest()
    assert polls.woken == [0]
    polls.append(3)
    polls.turns.rest()
    assert polls.woken == [0, 7]


def test_a_gap_is_told_to_all_who_wait() -> None:
    polls = waiting(0)
    waiters = [polls.add(number) for number in range(5)]
    polls.log.skip_to(Offset(9))
    polls.waiters.interrupt("interrupted")
    polls.turns.rest()
    assert polls.woken == [0, 1, 2, 3, 4]
    assert {waiter.gap for waiter in waiters} == {"interrupted"}


def test_a_poll_whose_place_the_log_has_forgotten_is_woken() -> None:
    polls = Polls(log_of(record(1), record(2), limit=1 << 14))
    place = cursor(0, 1, record(1))
    for number in range(3, 60):
        polls.log.append(Offset(number - 1), record(number))
    waiter = polls.add(0, at=place)
    polls.turns.rest()
    assert (polls.woken, waiter.gap) == ([0], None)


def test_at_the_end_all_are_woken_over_the_time_that_there_is() -> None:
    polls = waiting(10 * AT_ONCE)
    begun = polls.turns.now
    polls.waiters.release(5.0)
    polls.turns.rest()
    assert len(polls.woken) == AT_ONCE
    polls.turns.sleep(2.5)
    assert len(polls.woken) == 6 * AT_ONCE
    polls.turns.sleep(2.0)
    assert polls.woken == list(range(10 * AT_ONCE))
    assert polls.turns.now == begun + 4.5


def test_nobody_is_woken_at_the_end_where_nobody_waits() -> None:
    polls = waiting(0)
    polls.waiters.release(5.0)
    polls.turns.rest()
    assert polls.woken == []


class Slow(Log):
    """A log whose reads take time, as that of a reader with a filter may."""

    tick: Callable[[], None] | None = None

    def resume(self, cursor: Cursor) -> Resume | Ahead | Gap:
        if self.tick is not None:
            self.tick()
        return super().resume(cursor)


@pytest.mark.parametrize("looks", [1, 3])
def test_looking_takes_a_slice_of_a_turn_however_many_places_there_are(looks: int) -> None:
    log = Slow(limit=1 << 20, reach=1000)
    log.begin(Offset(0), Offset(0))
    polls = Polls(log)
    polls.append(1)
    polls.turns.rest()
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        polls.turns.now += SLICE_SECONDS / looks * 1.001

    log.tick = tick
    for number in range(20):
        # Each reads in a way of its own.
        polls.add(number, encoding=JsonEncoding())
    polls.append(1)
    turns = 0
    while polls.turns.due:
        before = count
        polls.turns.turn()
        turns += 1
        assert count - before <= looks
    assert (count, polls.woken) == (20, [])
    assert turns >= 20 // looks


def test_a_poll_with_a_filter_is_woken_by_what_it_has_chosen_and_moves_on_over_all_else() -> None:
    polls = Polls(log_of(record(1)))
    place, chosen = polls.log.cursor_at(polls.log.head), Reading(JSON, Selection([7]))
    waiter = polls.waiters.add(place, chosen, lambda: polls.woken.append(7))
    polls.add(0)
    polls.append(2)
    polls.turns.rest()
    assert (polls.woken, waiter.cursor) == ([0], polls.log.cursor_at(polls.log.head))
    polls.log.append(Offset(2), record(publication(3, author=7)))
    polls.waiters.publish()
    polls.turns.rest()
    assert polls.woken == [0, 7]


class Short(Log):
    """A log whose reads end after a record, as one does that is late."""

    def read(
        self,
        position: Position,
        reading: Reading,
        limit: int,
        is_late: Callable[[], bool] = never,
        until: Offset | None = None,
    ) -> Chunk:
        assert until is None
        offset, _ = place_of(position)
        return super().read(position, reading, limit, is_late, Offset(offset + 2))


def test_looking_for_what_a_filter_has_chosen_goes_on_where_it_took_long() -> None:
    """In the next turn, if need be; it is not forgotten."""
    log = Short(limit=1 << 20, reach=1000)
    log.begin(Offset(0), Offset(0))
    polls = Polls(log)
    polls.append(1)
    polls.waiters.add(log.cursor_at(log.head), Reading(JSON, Selection([7])), lambda: polls.woken.append(7))
    for number in range(10):
        log.append(Offset(1 + number), record(publication(2 + number, author=7 if number == 9 else 8)))
    polls.waiters.publish()
    polls.turns.rest()
    assert polls.woken == [7]
