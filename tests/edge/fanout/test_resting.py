"""Who rests, and who is found for a post, without anybody who sends."""

from collections.abc import Callable, Sequence
from itertools import count

import pytest

from edge.fanout.cohorts import Cohort
from edge.fanout.filters import Filters
from edge.fanout.resting import Rest
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.reads import Reading
from edge.feed.selection import Selection
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.fanout.test_cohorts import Client
from tests.edge.kit.records import log_of, publication, record

Group = Cohort[Client]
numbers = count()


class Scene:
    """A log, and cohorts that rest at its head."""

    def __init__(self, *selections: Selection | None, indexed: bool = True) -> None:
        self.log: Log = log_of()
        self.filters = Filters()
        self.rest: Rest[Group] = Rest(self.log.head, self.filters)
        for each in selections:
            self.filters.enter(each)
        if indexed:
            self.filters.work(never)
        self.cohorts = [self.add(each) for each in selections]

    def add(self, selection: Selection | None) -> Group:
        """Have a cohort rest."""
        cohort: Group = Cohort(self.log.head, Reading(PLAIN, selection))
        self.rest.add(cohort)
        return cohort

    def publish(self, *authors: int | None) -> list[Group]:
        """Append a record; return the cohorts that are asked."""
        posts = (publication(next(numbers), author=author) for author in authors)
        assert self.log.next_offset is not None
        self.log.append(self.log.next_offset, record(*posts))
        return list(self.rest.advance(self.log.head))

    def match(self, is_late: Callable[[], bool] | None = None) -> list[Group]:
        """Match some, or all."""
        return self.rest.match(self.log, is_late or never)


def never() -> bool:
    """Have time."""
    return False


def clock(steps: int) -> Callable[[], bool]:
    """Be late after so many looks."""
    looks = count(1)
    return lambda: next(looks) >= steps


def test_only_who_has_selected_an_author_is_woken() -> None:
    """Law 14: all others are not touched, and are further on all the same."""
    scene = Scene(Selection([1, 2]), Selection([2, 3]), Selection([]), None)
    one, other, nothing, everything = scene.cohorts
    before = scene.log.head
    assert scene.publish(1, 1, None) == [everything]
    assert scene.rest.is_matching
    assert scene.match() == [one]
    assert not scene.rest.is_matching
    assert [each.position for each in (one, other, nothing)] == [before, scene.log.head, scene.log.head]
    assert (scene.rest.matched, scene.rest.woken) == (1, 1)


def test_a_filter_that_is_not_indexed_is_asked() -> None:
    """It is found as soon as it is in the index, and has come to rest again."""
    chosen = Selection([1])
    scene = Scene(chosen, indexed=False)
    assert scene.publish(2) == scene.cohorts
    assert not scene.rest.is_matching
    scene.filters.work(never)
    late = scene.add(chosen)
    assert scene.publish(2) == []
    assert (scene.match(), late.position) == ([], scene.log.head)


def test_several_records_at_once_wake_a_cohort_once() -> None:
    """Where it was: it reads on from there."""
    scene = Scene(Selection([1]), Selection([2]))
    before = scene.log.head
    scene.publish(3, 1)
    scene.publish()
    scene.publish(2, 1)
    woken = scene.match()
    assert woken == scene.cohorts
    assert woken[0].position == before


def test_a_filter_is_woken_once_for_a_record() -> None:
    """However many of its authors have posts in it; what follows may show nothing."""
    scene = Scene(Selection([1, 2]), Selection([4]))
    scene.publish(1, 2, 3)
    repeated = next(numbers)
    scene.log.append(Offset(1), record(publication(repeated, author=3)))
    scene.log.append(Offset(2), record(publication(repeated, author=4)))
    scene.rest.advance(scene.log.head)
    assert scene.match() == scene.cohorts[:1]
    assert (scene.rest.woken, scene.cohorts[1].position) == (1, scene.log.head)


def test_a_cohort_that_was_served_meanwhile_is_not_woken_for_what_it_has() -> None:
    """It came to rest again while records before it were still to be matched."""
    chosen = Selection([1])
    scene = Scene(chosen)
    scene.publish(2, 1)
    scene.publish(1)
    [woken] = scene.match(clock(3))
    woken.move_on(scene.log.read(woken.position, woken.reading, 1 << 16))
    scene.rest.add(woken)
    assert woken.position == scene.log.head
    assert scene.match() == []
    scene.publish(1)
    assert scene.match() == [woken]


@pytest.mark.parametrize("authors", [range(10_000), [7] * 10])
def test_matching_goes_by_the_clock(authors: Sequence[int]) -> None:
    """Laws 11 and 12: neither a record of 10,000 posts nor an author whom many follow makes a turn long."""
    scene = Scene(*(Selection([7, 10_000 + n]) for n in range(100)))
    scene.publish(*authors)
    pieces, woken = 0, 0
    while scene.rest.is_matching:
        found = scene.match(clock(20))
        assert len(found) <= 20
        pieces, woken = pieces + 1, woken + len(found)
        assert scene.rest.is_matching or pieces > 4
    assert woken == 100


def test_a_filter_that_leaves_the_index_while_it_is_matched_is_nobodys() -> None:
    """Its number may be another one's by then, who came to rest behind the record."""
    gone, stays, comes = Selection([7, 8]), Selection([7, 9]), Selection([7, 10])
    for successor in (None, comes):
        scene = Scene(gone, stays)
        scene.publish(7)
        assert scene.match(clock(1)) == []
        scene.rest.forget(scene.cohorts[0])
        scene.filters.leave(gone)
        scene.filters.work(never)
        if successor is not None:
            scene.filters.enter(successor)
            scene.filters.work(never)
            scene.add(successor)
        assert scene.match() == [scene.cohorts[1]]


def test_nobody_moves_on_past_what_was_not_matched() -> None:
    scene = Scene(Selection([1]))
    begin = scene.log.head
    scene.publish(*range(2, 9))
    scene.publish(*range(2, 9))
    scene.match(clock(3))
    assert scene.cohorts[0].position == begin
    scene.match(clock(8))
    assert begin < scene.cohorts[0].position < scene.log.head
    scene.match()
    assert scene.cohorts[0].position == scene.log.head


def test_a_log_that_has_moved_past_all_who_rest_wakes_them() -> None:
    """What they have missed cannot be known: they fall out of the log, as all do at the head then."""
    scene = Scene(Selection([1]), Selection([2]))
    scene.log = Log(limit=1, reach=1)
    scene.log.begin(Offset(0), Offset(0))
    scene.publish(3)
    scene.publish(3)
    assert scene.match() == scene.cohorts
    assert not scene.rest.is_matching
    assert all(each.position < scene.log.tail for each in scene.cohorts)


def test_cohorts_at_one_place_can_be_joined() -> None:
    """Those that select the same, in the same form, and have been sent the same."""
    chosen = Selection([1])
    scene = Scene(chosen, None)
    filtered, plain = scene.cohorts
    head = scene.log.head
    assert scene.rest.last(filtered.reading, head) is filtered
    assert scene.rest.last(plain.reading, head) is plain
    assert scene.rest.last(Reading(CURSOR, chosen), head) is None
    assert scene.rest.last(Reading(CURSOR), head) is None
    assert scene.rest.last(Reading(PLAIN, Selection([1])), head) is None
    scene.publish(2)
    assert scene.rest.last(filtered.reading, scene.log.head) is None
    scene.match()
    assert scene.rest.last(filtered.reading, scene.log.head) is filtered


def test_nothing_is_kept_of_a_cohort_that_is_forgotten() -> None:
    chosen, other = Selection([1]), Selection([2])
    scene = Scene(chosen, chosen, None, None, other)
    for each in scene.cohorts[:4]:
        scene.rest.forget(each)
        scene.rest.forget(each)
    scene.rest.forget(Cohort(Position(0), Reading(CURSOR, other)))
    assert scene.publish(1, 2) == []
    assert scene.match() == [scene.cohorts[4]]
    assert (scene.rest._found, dict(scene.rest._asked)) == ({}, {})  # noqa: SLF001 - what would be kept


def test_a_head_that_turns_out_to_be_another_place_wakes_all() -> None:
    """The place before the first record that is shown has its own position once the record before was read."""
    scene = Scene(Selection([1]), None)
    assert scene.log.head == 0
    scene.rest.begin(Position(6 << 20))
    one = scene.add(Selection([1]))
    found = Cohort[Client](Position(6 << 20), Reading(PLAIN, scene.cohorts[0].reading.selection))
    scene.rest.add(found)
    assert set(scene.rest.advance(Position((5 << 20) + 1))) == {one, found}
    assert not scene.rest.is_matching


def test_a_log_that_begins_anew_leaves_nobody_at_rest() -> None:
    """They stay where they were, wherever the head is then."""
    scene = Scene(Selection([1]), None)
    scene.publish(1)
    place = scene.cohorts[0].position
    scene.rest.begin(Position(5 << 20))
    assert (scene.rest.is_matching, scene.cohorts[0].position) == (False, place)
    assert list(scene.rest.advance(Position(6 << 20))) == []
    assert not scene.rest.is_matching
