"""Fan-out, with links that are no sockets and a loop that is turned by hand."""

import pytest

from edge.fanout.hub import SLICE_SECONDS
from edge.fanout.link import Patience
from edge.fanout.member import Member
from edge.fanout.session import FELL_BEHIND, INTERRUPTED, SHUTDOWN, Session
from edge.feed.log import Log
from edge.feed.position import Cursor, Gap, Position, stamp_of
from edge.wire.closing import Disconnect
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.records import log_of, messages, record

GONE = Disconnect(1006, "the connection ended", "client")
PATIENCE = Patience(ping=20, dead=60, stalled=600)


class Stage:
    """A hub, its log and its loop."""

    def __init__(self, log: Log, write_bytes: int = 1 << 16) -> None:
        self.log = log
        self.turns = Turns()
        self.hub = hub_of(log, self.turns, write_bytes)

    def join(
        self, position: int | None = None, encoding: Encoding = PLAIN, room: float = float("inf")
    ) -> tuple[Line, Member]:
        """Take a client in, at the head unless told."""
        line = Line(self.turns, room)
        return line, self.hub.join(Session(Position(self.log.head if position is None else position), encoding), line)

    def publish(self, *posts: int) -> None:
        """Append a record and fan it out."""
        assert self.log.next_offset is not None
        self.log.append(self.log.next_offset, record(*posts))
        self.hub.publish()


def test_all_are_sent_a_record_in_one_write_each() -> None:
    """Law 10, and the very same bytes object for all who were at the head."""
    stage = Stage(log_of(record(1)))
    lines = [stage.join()[0] for _ in range(3)]
    stage.publish(2, 3)
    assert [line.got for line in lines] == [[2, 3]] * 3
    assert [len(line.written) for line in lines] == [1, 1, 1]
    assert lines[0].written[0] is lines[2].written[0]
    assert (stage.hub.posts_sent, stage.hub.bytes_sent) == (6, 3 * len(lines[0].written[0]))
    assert stage.hub.lagging == 0


@pytest.mark.parametrize("encoding", [PLAIN, CURSOR])
def test_what_a_lost_connection_refuses_does_not_count_as_sent(encoding: Encoding) -> None:
    """What is kept for a slow one does: it is still to be sent."""
    stage = Stage(log_of(record(1)))
    stage.join(encoding=encoding, room=0)
    lost, _ = stage.join(encoding=encoding)
    lost.is_lost = True
    stage.publish(2, 3)
    assert stage.hub.posts_sent == 2
    greeted = Line(stage.turns)
    greeted.is_lost = True
    sent = stage.hub.posts_sent, stage.hub.bytes_sent
    stage.hub.join(Session(Position(0), CURSOR, CURSOR.welcome("c")), greeted)
    assert (stage.hub.posts_sent, stage.hub.bytes_sent) == sent


def test_who_joins_behind_the_head_catches_up_at_once() -> None:
    """History, resuming and live delivery are the same; the greeting comes first."""
    stage = Stage(log_of(record(1), record(2)))
    line = Line(stage.turns)
    stage.hub.join(Session(Position(1), CURSOR, CURSOR.welcome("c")), line)
    assert [one["action"] for one in messages(b"".join(line.written))] == ["welcome", "created"]


def test_nothing_is_written_while_bytes_are_unsent() -> None:
    """Law 10: a client goes on when its socket has drained, in the next turn, with all that came meanwhile."""
    stage = Stage(log_of())
    slow, _ = stage.join(room=10)
    quick, _ = stage.join()
    for post in (1, 2, 3):
        stage.publish(post)
    assert (slow.got, quick.got, stage.hub.lagging) == ([1], [1, 2, 3], 1)
    slow.drain()
    assert slow.got == [1]
    stage.turns.turn()
    assert (slow.got, len(slow.written), stage.hub.lagging) == ([1, 2, 3], 2, 0)


def test_those_with_more_to_get_take_turns() -> None:
    """At most ``write_bytes`` at a time, and everybody once before anybody twice."""
    stage = Stage(log_of(record(1), record(2), record(3)), write_bytes=50)
    clients = [stage.join(0, room=0) for _ in range(2)]
    for line, _ in clients:
        line.drain()
    stage.turns.turn()
    (one, _), (other, _) = clients
    assert [set(stage.turns.written[turn : turn + 2]) for turn in (0, 2, 4)] == [{one, other}] * 3


def test_the_loop_gets_a_turn_after_a_slice_of_work() -> None:
    """However many clients there are, one round never blocks the loop for long, and nobody is forgotten."""
    stage = Stage(log_of())
    lines = [stage.join()[0] for _ in range(40)]
    stage.publish(1)
    assert 10 <= sum(bool(line.written) for line in lines) <= 20
    stage.publish(2)
    assert 10 <= sum(bool(line.written) for line in lines) <= 20
    while stage.turns.due:
        assert len(stage.turns.due) == 1
        stage.turns.turn()
    assert [line.got for line in lines] == [[1, 2]] * 40


def test_who_is_at_the_head_does_not_wait_for_who_lags() -> None:
    """Law 11: a record goes to them first, whatever the others are still to get."""
    stage = Stage(log_of(*(record(post) for post in range(1, 60))), write_bytes=30)
    lagging, _ = stage.join(0)
    quick, _ = stage.join()
    stage.turns.written.clear()
    stage.publish(60)
    stage.turns.turn()
    assert stage.turns.written[0] is quick
    assert lagging in stage.turns.written


def test_a_client_whose_transport_holds_somebody_elses_bytes_is_sent_nothing() -> None:
    """A pong of aiohttp's may not fit: it counts as unsent like our own."""
    stage = Stage(log_of())
    line, member = stage.join()
    line.unsent_since = stage.turns.now
    member.held()
    stage.publish(1)
    assert line.written == []
    line.drain()
    stage.turns.turn()
    assert line.got == [1]


def test_who_joins_with_unsent_bytes_waits_for_its_socket() -> None:
    """Its 101 may not have fitted."""
    stage = Stage(log_of(record(1)))
    line = Line(stage.turns)
    line.unsent_since = stage.turns.now
    stage.hub.join(Session(Position(0), CURSOR, CURSOR.welcome("c")), line)
    assert line.written == []
    line.drain()
    stage.turns.turn()
    assert [one["action"] for one in messages(b"".join(line.written))] == ["welcome", "created"]


def test_some_can_be_ended_and_the_others_go_on() -> None:
    """Clients that are told to go at once come back at once: they are told one after the other."""
    stage = Stage(log_of())
    lines = [stage.join()[0] for _ in range(5)]
    stage.hub.end(SHUTDOWN, but=3)
    assert sorted(len(line.ends) for line in lines) == [0, 0, 0, 1, 1]
    stage.hub.end(SHUTDOWN, but=3)
    stage.publish(1)
    assert sorted(len(line.written) for line in lines) == [0, 0, 1, 1, 1]
    stage.hub.end(SHUTDOWN)
    assert [line.ends for line in lines] == [[SHUTDOWN]] * 5


def test_who_falls_out_of_the_log_is_closed_and_nobody_else() -> None:
    """Law 11: also while its bytes are unsent, and once."""
    stage = Stage(log_of(limit=3000))
    stuck, _ = stage.join(room=0)
    quick, _ = stage.join()
    for post in range(1, 12):
        stage.publish(post)
    assert (stuck.ends, stuck.got) == ([FELL_BEHIND], [1])
    assert (quick.ends, quick.got) == ([], list(range(1, 12)))


def test_who_fell_out_while_in_line_is_closed() -> None:
    """The log may move on between two turns."""
    stage = Stage(log_of(record(1), limit=2000))
    line, _ = stage.join(room=0)
    stage.publish(2)
    stage.publish(3)
    line.drain()
    for offset in range(3, 9):
        stage.log.append(Offset(offset), record(offset + 1))
    stage.turns.turn()
    assert line.ends == [FELL_BEHIND]


def test_a_gap_is_told_or_ends() -> None:
    """Law 12: cursor clients are told and go on, plain ones are closed."""
    stage = Stage(log_of(record(1)))
    plain, _ = stage.join()
    knowing, _ = stage.join(encoding=CURSOR)
    stage.log.begin(Offset(5), Offset(5))
    stage.hub.interrupt("interrupted")
    stage.publish(9)
    assert (plain.ends, plain.got) == ([], [9])
    stage.hub.sweep(PATIENCE, 0.05)
    assert (plain.ends, plain.got) == ([INTERRUPTED], [9])
    told, post = messages(b"".join(knowing.written))
    assert (told["payload"]["recovered"], told["payload"]["reason"]) == (False, "interrupted")
    assert post["payload"] == {"id": 9}


def test_after_a_gap_nobody_is_told_in_the_same_turn_as_all_others() -> None:
    """The frame is the same for all. Who cannot be told goes on until its turn comes, 200 a second."""
    stage = Stage(log_of())
    plain = [stage.join()[0] for _ in range(50)]
    knowing = [stage.join(encoding=CURSOR)[0] for _ in range(50)]
    stage.log.begin(Offset(5), Offset(5))
    stage.hub.interrupt("interrupted")
    assert 0 < sum(bool(line.written) for line in knowing) < 20
    while stage.turns.due:
        stage.turns.turn()
    assert {line.written[0] for line in knowing} == {knowing[0].written[0]}
    assert all(line.written[0] is knowing[0].written[0] for line in knowing)
    for second in range(5):
        assert sum(bool(line.ends) for line in plain) == 10 * second
        stage.publish(second)
        while stage.turns.due:
            stage.turns.turn()
        stage.hub.sweep(PATIENCE, 0.05)
    assert sorted(len(line.got) for line in plain) == [number for number in range(1, 6) for _ in range(10)]


def test_who_is_held_is_looked_at_only_when_the_log_has_moved_past_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for each record: there may be thousands, and a log that is full forgets something each time."""
    stage = Stage(log_of(*map(record, range(9)), limit=3000))
    assert stage.log.tail > 0
    stuck = [stage.join(room=0)[0] for _ in range(3)]
    stage.publish(9)
    looks: list[Session] = []
    keeps_up = Session.keeps_up

    def look(session: Session, log: Log) -> bool:
        looks.append(session)
        return keeps_up(session, log)

    monkeypatch.setattr(Session, "keeps_up", look)
    tail = stage.log.tail
    stage.publish(10)
    assert (stage.log.tail > tail, looks) == (True, [])
    for post in range(11, 20):
        stage.publish(post)
    assert len(looks) == 3
    assert [line.ends for line in stuck] == [[FELL_BEHIND]] * 3


def test_a_client_that_was_held_during_a_gap_goes_on_behind_it() -> None:
    """Also when two gaps come one after the other: it is told once, of the last one."""
    stage = Stage(log_of(record(1)))
    line, member = stage.join(encoding=CURSOR, room=0)
    stage.publish(2)
    assert line.unsent_since is not None
    for again in (10, 20):
        stage.log.begin(Offset(again), Offset(again))
        stage.hub.interrupt("interrupted")
        stage.publish(again)
    assert member.session.disconnect is None
    line.drain()
    stage.turns.turn()
    *_, told, post = messages(b"".join(line.written))
    assert (told["action"], post["payload"]) == ("welcome", {"id": 20})
    assert [message["action"] for message in messages(b"".join(line.written))].count("welcome") == 1


def test_a_gap_is_told_with_the_cursor_of_a_record_that_was_read() -> None:
    """A cursor of nothing would be good for whatever stands there in a topic that is made anew."""
    stage = Stage(log_of(record(1)))
    told, _ = stage.join(encoding=CURSOR)
    held, _ = stage.join(encoding=CURSOR, room=0)
    plain, _ = stage.join()
    still_held, _ = stage.join(room=0)
    stage.publish(2)
    stage.log.begin(Offset(10), Offset(12))
    stage.hub.interrupt("interrupted")
    held.drain()
    stage.publish(10)
    stage.turns.turn()
    assert (len(told.written), len(held.written), stage.hub.lagging) == (1, 1, 4)
    stage.publish(11)
    stage.publish(12)
    still_held.drain()
    while stage.turns.due:
        stage.turns.turn()
    cursors = {messages(line.written[1])[0]["payload"]["cursor"] for line in (told, held)}
    assert cursors == {str(Cursor(Offset(11), 1, stamp_of(record(11))))}
    assert [line.got for line in (plain, still_held)] == [[2, 12]] * 2
    assert [line.ends for line in (told, held, plain, still_held)] == [[]] * 4
    made_anew = log_of(*(record(50 + n) for n in range(20)))
    assert made_anew.resume(Cursor(Offset(11), 1, stamp_of(record(11)))) == Gap("recreated")


def test_who_comes_while_a_gap_cannot_be_told_yet_is_not_told_of_it() -> None:
    """It goes on like everybody, also when it was held."""
    stage = Stage(log_of(record(1)))
    stage.log.begin(Offset(10), Offset(11))
    stage.hub.interrupt("interrupted")
    line, _ = stage.join(encoding=CURSOR)
    line.unsent_since = stage.turns.now
    assert line.client is not None
    line.client.held()
    line.drain()
    stage.publish(10)
    stage.publish(11)
    while stage.turns.due:
        stage.turns.turn()
    assert line.got == [11]


def test_all_end_when_told_and_are_counted_when_gone() -> None:
    """A client is there until its connection has ended; an end of ours counts with our code."""
    stage = Stage(log_of())
    (one, member), (other, leaver) = stage.join(), stage.join()
    assert stage.hub.leave(leaver, GONE) == GONE
    assert not stage.hub.deserted.is_set()
    stage.hub.end(SHUTDOWN)
    assert (one.ends, other.ends, len(stage.hub)) == ([SHUTDOWN], [], 1)
    stage.publish(1)
    assert one.written == []
    assert stage.hub.leave(member, GONE) == SHUTDOWN
    assert (len(stage.hub), stage.hub.deserted.is_set()) == (0, True)
    assert stage.hub.closes == {("server", "1001"): 1, ("client", "1006"): 1}


def test_a_drained_client_that_is_gone_is_sent_nothing() -> None:
    """Its transport may say so after it has left."""
    stage = Stage(log_of())
    line, member = stage.join(room=0)
    stage.publish(1)
    stage.publish(2)
    stage.hub.leave(member, GONE)
    line.drain()
    stage.turns.turn()
    assert line.got == [1]


def test_clients_are_looked_at_a_few_at_a_time_and_each_in_its_turn() -> None:
    """Who comes meanwhile has the next turn, and who has gone none."""
    stage = Stage(log_of())
    clients = [stage.join() for _ in range(10)]
    stage.turns.now += 1000
    for line, _ in clients:
        line.heard = stage.turns.now - 30
    stage.hub.sweep(PATIENCE, 0.25)
    assert sum(line.pings for line, _ in clients) == 3
    gone, member = next((line, member) for line, member in clients if not line.pings)
    stage.hub.leave(member, GONE)
    for _ in range(3):
        stage.hub.sweep(PATIENCE, 0.25)
    assert [line.pings for line, _ in clients if line is not gone] == [1] * 9
    assert gone.pings == 0


@pytest.mark.parametrize(
    ("silent", "unsent", "pings", "ends"),
    [
        (19, None, 0, []),
        (20, None, 1, []),
        (60, None, 1, []),
        (61, None, 0, ["aborted"]),
        (61, 61, 0, []),
        (601, 600, 0, []),
        (601, 601, 0, ["aborted"]),
    ],
)
def test_the_silent_are_pinged_and_the_dead_cut_off(
    silent: float, unsent: float | None, pings: int, ends: list[str]
) -> None:
    """One that has not taken all yet cannot answer: it is cut off only when it takes nothing for long."""
    stage = Stage(log_of())
    line, _ = stage.join()
    stage.turns.now += 1000
    line.heard = stage.turns.now - silent
    line.unsent_since = None if unsent is None else stage.turns.now - unsent
    stage.hub.sweep(PATIENCE)
    stage.hub.sweep(PATIENCE)
    assert (line.pings, line.ends[:1]) == (pings, ends)


def test_a_record_is_measured_once_until_the_last_client_at_the_head() -> None:
    """From the read on, by cohorts (of four here); each write takes half a millisecond here."""
    stage = Stage(log_of())
    seconds = stage.hub.delays.seconds
    stage.publish(1)
    assert seconds.buckets[-1] == ("+Inf", 0.0)
    for _ in range(20):
        stage.join()
    stage.join(room=0)
    assert stage.log.next_offset is not None
    stage.log.append(stage.log.next_offset, record(2))
    stage.hub.publish(stage.turns.now - 2)
    assert seconds.buckets[-1] == ("+Inf", 0.0)
    while stage.turns.due:
        stage.turns.turn()
    assert seconds.buckets[-1] == ("+Inf", 1.0)
    assert seconds.sum == pytest.approx(2 + 21 * SLICE_SECONDS / 10)
    # The one that is held holds no record.
    stage.publish(3)
    while stage.turns.due:
        stage.turns.turn()
    assert seconds.buckets[-1] == ("+Inf", 2.0)


def test_a_record_before_a_gap_is_not_measured() -> None:
    """Nobody stands in line for it any more."""
    stage = Stage(log_of())
    for _ in range(20):
        stage.join()
    stage.publish(1)
    stage.log.begin(Offset(9), Offset(9))
    stage.hub.interrupt("interrupted")
    while stage.turns.due:
        stage.turns.turn()
    assert stage.hub.delays.seconds.buckets[-1] == ("+Inf", 0.0)
    stage.publish(2)
    while stage.turns.due:
        stage.turns.turn()
    assert stage.hub.delays.seconds.buckets[-1] == ("+Inf", 1.0)


def test_a_client_that_leaves_before_its_turn_holds_no_measure() -> None:
    """The record is done when those are who stay; one that nobody is there for is not measured."""
    stage = Stage(log_of())
    members = [stage.join()[1] for _ in range(20)]
    seconds = stage.hub.delays.seconds
    stage.publish(1)
    for member in members[12:]:
        stage.hub.leave(member, GONE)
    while stage.turns.due:
        stage.turns.turn()
    assert seconds.buckets[-1] == ("+Inf", 1.0)
    assert seconds.sum == pytest.approx(12 * SLICE_SECONDS / 10)
    for member in members[:12]:
        stage.hub.leave(member, GONE)
    stage.publish(2)
    stage.turns.now += 10
    stage.join()
    stage.publish(3)
    assert seconds.buckets[-1] == ("+Inf", 2.0)
    assert seconds.sum < 1
