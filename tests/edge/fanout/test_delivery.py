"""One read and one write each, for a cohort."""

import math
from collections.abc import Callable

import pytest

from edge.access.grant import Grant
from edge.fanout.cohorts import Cohort
from edge.fanout.delivery import Delivery
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.feed.matches import Mismatch
from edge.feed.position import Position
from edge.feed.postings import Postings
from edge.feed.reads import Reading
from edge.feed.selection import Selection
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import GREETING, log_of, messages, publication, record


def test_a_cohort_is_sent_its_greeting_and_what_follows_in_one_write_each() -> None:
    """The same object for all; what a lost connection refuses is not counted, what is kept for a slow one is."""
    log, turns = log_of(record(1, 2), record(3)), Turns()
    delivery = Delivery(log, turns.write_each, write_bytes=1 << 16, clock=turns.time)
    lines = [Line(turns), Line(turns, room=5), Line(turns)]
    lines[2].is_lost = True
    cohort: Cohort[Member] = Cohort(log.tail, Reading(CURSOR), GREETING)
    for line in lines:
        member = Member(Keeper(), Session(log.tail, CURSOR), line, None, turns.now)
        line.attach(member)
        cohort.take_in(member)
    delivery.send(cohort)
    [data] = lines[0].written
    assert [message["action"] for message in messages(data)] == ["welcome", "created", "created", "created"]
    assert lines[1].written[0] is data
    assert (delivery.posts, delivery.bytes) == (6, 2 * len(data))
    assert (cohort.position, cohort.greeting, cohort.told_at) == (log.head, b"", 1000.0)


@pytest.mark.parametrize(
    ("target", "expected"),
    [(2, ["welcome", 1, 2, "caught_up", 3, 4]), (3, ["welcome", 1, 2, 3, "caught_up", 4])],
)
def test_a_cohort_is_told_once_that_it_has_caught_up(target: int, expected: list[object]) -> None:
    """Behind all that was there, and what has come since; whether that shows anything or not."""
    log, turns = log_of(record(1, 2), record(1), record(3)), Turns()
    end = log.position_at(Offset(target))
    delivery, line = Delivery(log, turns.write_each, write_bytes=1, clock=turns.time), Line(turns)
    cohort: Cohort[Member] = Cohort(log.tail, Reading(CURSOR), GREETING, end)
    cohort.take_in(Member(Keeper(), Session(log.tail, CURSOR), line, None, turns.now))
    while cohort.position < log.head:
        delivery.send(cohort)
    log.append(Offset(3), record(4))
    delivery.send(cohort)
    told = messages(b"".join(line.written))
    assert [message["payload"].get("id", message["action"]) for message in told] == expected
    assert told[expected.index("caught_up")]["cursor"] == str(log.cursor_at(end))


def test_what_shows_nothing_is_no_message_but_to_who_has_caught_up_by_it() -> None:
    """``told_at`` is as before."""
    log, turns = log_of(record(1), record(1)), Turns()
    delivery, line = Delivery(log, turns.write_each, write_bytes=1, clock=turns.time), Line(turns)
    for target, actions in ((None, []), (log.head, ["caught_up"])):
        cohort: Cohort[Member] = Cohort(log.position_at(Offset(1)), Reading(CURSOR), target=target)
        cohort.take_in(Member(Keeper(), Session(log.tail, CURSOR), line, None, turns.now))
        delivery.send(cohort)
        assert [message["action"] for message in messages(b"".join(line.written))] == actions
        assert (cohort.told_at > 0) is bool(actions)


def test_no_more_is_sent_than_there_is_room_for() -> None:
    log, turns = log_of(record(1, 2), record(3)), Turns()
    delivery = Delivery(log, turns.write_each, write_bytes=1, clock=turns.time)
    line = Line(turns)
    cohort: Cohort[Member] = Cohort(Position(log.tail), Reading(CURSOR))
    cohort.take_in(Member(Keeper(), Session(log.tail, CURSOR), line, None, turns.now))
    delivery.send(cohort)
    delivery.send(cohort)
    assert line.got == [1, 2]


SOME = Selection([7])
RESTRICTED = Grant("7", SOME, None)


def everything(_self: Postings, _kept: object, _selection: Selection, begin: int, end: int) -> range:
    """Find posts that are not selected, too."""
    return range(begin, end)


def nothing(*_told: object) -> range:
    """Find none."""
    return range(0)


@pytest.mark.parametrize(
    ("seen", "own", "grant", "find", "is_sent"),
    [
        (SOME, SOME, RESTRICTED, None, True),
        (SOME, SOME, Grant("7", None, None), everything, True),
        (SOME, SOME, None, everything, True),
        (SOME, SOME, RESTRICTED, everything, False),
        (SOME, SOME, RESTRICTED, nothing, False),
        (None, None, RESTRICTED, None, False),
        (None, None, Grant("7", None, None), None, True),
        (None, SOME, None, None, False),
        (SOME, None, None, None, False),
        (Selection([7]), SOME, RESTRICTED, None, False),
    ],
)
def test_a_client_is_written_what_it_may_see_and_as_many_posts_as_match(  # noqa: PLR0917 - one row of the table
    monkeypatch: pytest.MonkeyPatch,
    seen: Selection | None,
    own: Selection | None,
    grant: Grant | None,
    find: Callable[..., range] | None,
    is_sent: bool,
) -> None:
    """Else nothing is written to anybody, and the cohort stays where it is. A filter alone is no boundary."""
    if find is not None:
        monkeypatch.setattr(Postings, "find", find)
    log, turns = log_of(record(publication(1, author=7), publication(2, author=9))), Turns()
    delivery = Delivery(log, turns.write_each, write_bytes=1 << 16, clock=turns.time)
    lines, cohort = [Line(turns), Line(turns)], Cohort[Member](log.tail, Reading(CURSOR, seen))
    sessions = Session(log.tail, CURSOR, b"", seen), Session(log.tail, CURSOR, b"", own, grant=grant)
    for line, session in zip(lines, sessions, strict=True):
        cohort.take_in(Member(Keeper(), session, line, None, turns.now))
    if is_sent:
        delivery.send(cohort)
        assert all(line.written for line in lines)
        assert (cohort.position, delivery.mismatches) == (log.head, 0)
        return
    with pytest.raises(Mismatch):
        delivery.send(cohort)
    assert not any(line.written for line in lines)
    assert (cohort.position, cohort.told_at, delivery.posts, delivery.mismatches) == (log.tail, -math.inf, 0, 1)


@pytest.mark.parametrize("changes", ["comes", "goes", "selection", "grant"])
def test_what_a_client_may_see_is_looked_up_again_when_it_may_be_something_else(changes: str) -> None:
    """Whatever defect has left it among the others, or brought it there."""
    log, turns = log_of(record(1)), Turns()
    delivery = Delivery(log, turns.write_each, write_bytes=1 << 16, clock=turns.time)
    cohort = Cohort[Member](log.tail, Reading(CURSOR))
    sessions = [Session(log.tail, CURSOR) for _ in range(2)]
    for session in sessions:
        cohort.take_in(Member(Keeper(), session, Line(turns), None, turns.now))
    delivery.send(cohort)
    assert cohort.is_checked
    log.append(Offset(1), record(2))
    match changes:
        case "comes":
            session = Session(log.tail, CURSOR, grant=RESTRICTED)
            cohort.take_in(Member(Keeper(), session, Line(turns), None, turns.now))
        case "goes":
            sessions[1].skip_to(log.tail)
        case "selection":
            sessions[1].selection = SOME
        case _:
            sessions[1].grant = RESTRICTED
    with pytest.raises(Mismatch):
        delivery.send(cohort)
