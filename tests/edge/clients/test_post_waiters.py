"""Long polls that wait are woken by what is for them, a few at a time, and never forgotten."""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clients.post_filters import LINGER_SECONDS
from edge.clients.post_waiters import AT_ONCE, SLICE_SECONDS, Waiter, Waiters
from edge.fanout.filters import Filters
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
        self.filters = Filters()
        self.waiters = Waiters(log, self.turns, self.filters)
        self.woken: list[int] = []
        self.selections: dict[tuple[int, ...], Selection] = {}

    def add(self, number: int, at: Cursor | None = None, encoding: JsonEncoding = JSON) -> Waiter:
        """Have a poll wait; where it is not said, at the end."""
        place = self.log.cursor_at(self.log.head) if at is None else at
        return self.waiters.add(place, Reading(encoding), lambda: self.woken.append(number))

    def choose(self, number: int, *authors: int) -> Waiter:
        """Have a poll wait that has chosen some authors, at the end."""
        reading = Reading(JSON, self.selection(*authors))
        return self.waiters.add(self.log.cursor_at(self.log.head), reading, lambda: self.woken.append(number))

    def selection(self, *authors: int) -> Selection:
        """Return the one object for a selection."""
        return self.selections.setdefault(authors, Selection(authors))

    def append_by(self, *authors: int) -> None:
        """Write a record of posts by authors, and say so."""
        first = 1000 * (self.log.next_offset or 0)
        posts = [publication(first + number, author=author) for number, author in enumerate(authors)]
        self.log.append(Offset(self.log.next_offset or 0), record(*posts))
        self.waiters.publish()

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
    assert len(last.place) == 0


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


def test_a_gap_that_comes_before_polls_were_told_of_another_one_does_not_hide_that_the_feed_is_another() -> None:
    polls = waiting(0)
    waiters = [polls.add(number) for number in range(AT_ONCE + 1)]
    polls.log.begin(Offset(0), Offset(0))
    polls.waiters.interrupt("recreated")
    polls.turns.turn()
    assert len(polls.woken) == AT_ONCE
    polls.log.skip_to(Offset(9))
    polls.waiters.interrupt("interrupted")
    polls.turns.rest()
    assert [waiter.gap for waiter in waiters] == ["recreated"] * len(waiters)


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


class Counting(Log):
    """A log that counts how often it is asked about a place."""

    looks = 0

    def resume(self, cursor: Cursor) -> Resume | Ahead | Gap:
        """Count it."""
        self.looks += 1
        return super().resume(cursor)


def counting() -> tuple[Counting, Polls]:
    """Make polls at the end of a log that has a record."""
    log = Counting(limit=1 << 20, reach=1000)
    log.begin(Offset(0), Offset(0))
    polls = Polls(log)
    polls.append(1)
    polls.turns.rest()
    return log, polls


def test_a_record_costs_as_much_as_it_has_posts_for_polls_with_filters() -> None:
    """Law 14: only until their filters are in the index, from the first record on, they are all looked at."""
    log, polls = counting()
    waiters = [polls.choose(number, number, 1000 + number) for number in range(100)]
    looks = []
    for author in (999, 999, 7, 998, 1050):
        before = log.looks
        polls.append_by(author)
        polls.turns.rest()
        looks.append(log.looks - before)
    assert looks == [100, 100, 1, 0, 1]
    assert polls.woken == [7, 50]
    here = log.cursor_at(log.head)
    assert {waiter.cursor for number, waiter in enumerate(waiters) if number not in (7, 50)} == {here}


def test_who_comes_back_with_the_same_filter_is_found_at_once() -> None:
    """As a client does that was answered."""
    log, polls = counting()
    polls.choose(0, 7)
    polls.append_by(1)
    polls.turns.rest()
    polls.append_by(7)
    polls.turns.rest()
    polls.turns.sleep(LINGER_SECONDS / 2)
    polls.choose(1, 7)
    polls.turns.sleep(LINGER_SECONDS)
    before = log.looks
    polls.append_by(1)
    polls.turns.rest()
    assert (log.looks - before, polls.filters.entries) == (0, 1)
    polls.append_by(7)
    polls.turns.rest()
    assert polls.woken == [0, 1]


def test_who_leaves_before_a_record_comes_costs_the_index_nothing() -> None:
    """Law 16: a stranger may come with another filter each time."""
    _, polls = counting()
    for author in range(100):
        waiter = polls.choose(author, author)
        polls.turns.rest()
        polls.waiters.remove(waiter)
    assert (len(polls.filters), polls.filters.work(never)) == (0, False)


def test_nothing_is_kept_of_filters_whose_readers_have_left_for_good() -> None:
    _, polls = counting()
    waiters = [polls.choose(number, number) for number in range(50)]
    polls.append_by(999)
    polls.turns.rest()
    assert polls.filters.entries == 50
    for waiter in waiters:
        polls.waiters.remove(waiter)
    polls.turns.sleep(LINGER_SECONDS)
    assert (len(polls.filters), polls.filters.entries, polls.waiters._places) == (0, 0, {})  # noqa: SLF001 - what would be kept


def test_a_filter_that_others_have_too_stays_although_they_leave() -> None:
    """A poll that is found by the index is one of those who keep its filter there."""
    log, polls = counting()
    polls.filters.enter(polls.selection(7))
    polls.filters.work(never)
    polls.choose(0, 7)
    polls.filters.leave(polls.selection(7))
    polls.filters.work(never)
    before = log.looks
    polls.append_by(1)
    polls.turns.rest()
    assert log.looks == before
    polls.append_by(7)
    polls.turns.rest()
    assert polls.woken == [0]


def test_the_index_is_worked_on_also_while_records_come_faster_than_polls_are_looked_at() -> None:
    """Else they would be looked at for ever."""
    log, polls = counting()
    for number in range(100):
        polls.choose(number, number)
    # A look takes as long as half a slice.
    polls.turns.tick = SLICE_SECONDS / 4
    for _ in range(1000):
        polls.append_by(999)
        polls.turns.turn()
        if polls.filters.entries == 100:
            break
    assert polls.filters.entries == 100
    polls.turns.rest()
    before = log.looks
    polls.append_by(999)
    polls.turns.rest()
    assert (log.looks - before, polls.woken) == (0, [])


def test_a_poll_that_ends_in_a_gap_is_told_of_it_also_when_it_was_not_woken_yet() -> None:
    """Whatever the log has at that place now is not what follows."""
    _, polls = counting()
    waiter = polls.choose(0, 7)
    looked_at = None
    for _ in range(2):
        polls.append_by(1)
        polls.turns.rest()
        looked_at = polls.log.cursor_at(polls.log.head)
    polls.append_by(2)
    polls.turns.rest()
    polls.log.begin(Offset(0), Offset(0))
    for number in range(5):
        polls.log.append(Offset(number), record(publication(number, author=3)))
    polls.waiters.interrupt("recreated")
    polls.waiters.remove(waiter)
    assert (waiter.gap, polls.woken) == ("recreated", [])
    assert isinstance(polls.log.resume(waiter.cursor), Gap)
    assert waiter.cursor == looked_at


def test_who_has_left_stays_where_he_was() -> None:
    """What comes after it may be for him."""
    _, polls = counting()
    waiter = polls.choose(0, 7)
    others = polls.choose(1, 8)
    for _ in range(3):
        polls.append_by(1)
        polls.turns.rest()
    here = waiter.cursor
    polls.waiters.remove(waiter)
    polls.append_by(7)
    polls.turns.rest()
    assert (waiter.cursor, others.cursor) == (here, polls.log.cursor_at(polls.log.head))


CHOICES = [None, (1,), (1, 2), (2, 3), ()]
steps = st.one_of(
    st.tuples(st.just("add"), st.integers(0, len(CHOICES) - 1)),
    st.tuples(st.just("leave"), st.integers(0, 20)),
    st.tuples(st.just("append"), st.lists(st.integers(1, 4), max_size=3)),
    st.tuples(st.just("turn"), st.integers(1, 4)),
    st.tuples(st.just("sleep"), st.sampled_from([0.0, LINGER_SECONDS])),
)


class Asked:
    """A poll as the model knows it: where it came, and what it has chosen."""

    def __init__(self, authors: tuple[int, ...] | None, came: int) -> None:
        self.authors = authors
        self.came = came
        self.is_woken = False

    def wake(self) -> None:
        """Note it."""
        assert not self.is_woken
        self.is_woken = True

    def has_something(self, written: list[int]) -> bool:
        """Tell whether there is a post for it, by a look at all that were written."""
        later = written[self.came :]
        return bool(later) if self.authors is None else any(author in self.authors for author in later)


class Model:
    """Polls that wait, and what the authors of all posts say about each of them."""

    def __init__(self, tick: float) -> None:
        self.polls = Polls(log_of(record(publication(0, author=9))))
        self.polls.turns.tick = tick
        self.written: list[int] = []
        self.asked: dict[Waiter, Asked] = {}

    def add(self, choice: int) -> None:
        """Have one wait."""
        authors, log = CHOICES[choice], self.polls.log
        reading = Reading(JSON, None if authors is None else self.polls.selection(*authors))
        one = Asked(authors, len(self.written))
        self.asked[self.polls.waiters.add(log.cursor_at(log.head), reading, one.wake)] = one

    def leave(self, number: int) -> None:
        """Have one leave."""
        for waiter in list(self.asked)[number : number + 1]:
            del self.asked[waiter]
            self.polls.waiters.remove(waiter)

    def append(self, authors: list[int]) -> None:
        """Write a record."""
        self.polls.append_by(*authors)
        self.written += authors

    def turn(self, times: int) -> None:
        """Turn the loop."""
        for _ in range(times):
            self.polls.turns.turn()

    def sleep(self, seconds: float) -> None:
        """Do all that is to be done, and let time pass."""
        self.polls.turns.sleep(seconds)


@given(script=st.lists(steps, max_size=40), tick=st.sampled_from([0.0, SLICE_SECONDS / 3]))
@settings(deadline=None)  # no test asserts a speed
def test_whoever_waits_is_woken_by_just_what_is_for_him(script: list[tuple[str, Any]], tick: float) -> None:
    """However polls come and leave and records come meanwhile: as if everybody were asked about every post."""
    model = Model(tick)
    for action, detail in script:
        getattr(model, action)(detail)
        assert all(one.has_something(model.written) for one in model.asked.values() if one.is_woken)
    model.sleep(1.0)
    waiting = [waiter for waiter, one in model.asked.items() if not one.is_woken]
    assert not any(model.asked[waiter].has_something(model.written) for waiter in waiting)
    assert {waiter.cursor for waiter in waiting} <= {model.polls.log.cursor_at(model.polls.log.head)}
    assert len(model.polls.waiters) == len(waiting)
