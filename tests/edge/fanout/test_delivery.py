"""One read and one write each, for a cohort."""

from edge.fanout.cohorts import Cohort
from edge.fanout.delivery import Delivery
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.feed.position import Position
from edge.feed.reads import Reading
from edge.wire.messages import welcome
from edge.wire.websocket_encodings import CURSOR
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import log_of, messages, record


def test_a_cohort_is_sent_its_greeting_and_what_follows_in_one_write_each() -> None:
    """The same object for all; what a lost connection refuses is not counted, what is kept for a slow one is."""
    log, turns = log_of(record(1, 2), record(3)), Turns()
    delivery = Delivery(log, turns.write_each, write_bytes=1 << 16, clock=turns.time)
    lines = [Line(turns), Line(turns, room=5), Line(turns)]
    lines[2].is_lost = True
    cohort: Cohort[Member] = Cohort(log.tail, Reading(CURSOR), CURSOR.notice(welcome("c")))
    for line in lines:
        member = Member(Keeper(), Session(log.tail, CURSOR), line, None, turns.now)
        line.attach(member)
        cohort.take_in(member)
    delivery.send(cohort)
    [data] = lines[0].written
    assert [message["action"] for message in messages(data)] == ["welcome", "created", "created", "created"]
    assert lines[1].written[0] is data
    assert (delivery.posts, delivery.bytes) == (6, 2 * len(data))
    assert (cohort.position, cohort.greeting) == (log.head, b"")


def test_no_more_is_sent_than_there_is_room_for() -> None:
    log, turns = log_of(record(1, 2), record(3)), Turns()
    delivery = Delivery(log, turns.write_each, write_bytes=1, clock=turns.time)
    line = Line(turns)
    cohort: Cohort[Member] = Cohort(Position(log.tail), Reading(CURSOR))
    cohort.take_in(Member(Keeper(), Session(log.tail, CURSOR), line, None, turns.now))
    delivery.send(cohort)
    delivery.send(cohort)
    assert line.got == [1, 2]
