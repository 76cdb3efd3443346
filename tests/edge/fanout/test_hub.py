"""Fan-out, with links that are no sockets and a loop that is turned by hand."""

import pytest

from edge.access.grant import Grant
from edge.fanout.agenda import Kind
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.greetings import greet
from edge.fanout.member import Member
from edge.fanout.rounds import TURNS
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Gap, Position, Reason
from edge.feed.selection import Selection
from edge.wire.encoding import Encoding
from edge.wire.messages import acked, welcome
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.lines import CLOSE_SECONDS, PATIENCE, WRITE_SECONDS, Line, Turns, hub_of
from tests.edge.kit.records import GREETING, cursor, log_of, messages, record


class Stage:
    """A hub, its log and its loop."""

    def __init__(self, log: Log, write_bytes: int = 1 << 16, patience: Patience = PATIENCE) -> None:
        self.log = log
        self.turns = Turns()
        self.hub = hub_of(log, self.turns, write_bytes, patience)

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
    assert (stage.hub.delivery.posts, stage.hub.delivery.bytes) == (6, 3 * len(lines[0].written[0]))
    assert stage.hub.lagging == 0


@pytest.mark.parametrize("encoding", [PLAIN, CURSOR])
def test_what_a_lost_connection_refuses_does_not_count_as_sent(encoding: Encoding) -> None:
    """What is kept for a slow one does: it is still to be sent."""
    stage = Stage(log_of(record(1)))
    stage.join(encoding=encoding, room=0)
    lost, _ = stage.join(encoding=encoding)
    lost.is_lost = True
    stage.publish(2, 3)
    assert stage.hub.delivery.posts == 2
    greeted = Line(stage.turns)
    greeted.is_lost = True
    sent = stage.hub.delivery.posts, stage.hub.delivery.bytes
    stage.hub.join(Session(Position(0), CURSOR, greeting=GREETING), greeted)
    assert (stage.hub.delivery.posts, stage.hub.delivery.bytes) == sent


def test_who_joins_behind_the_head_catches_up_at_once() -> None:
    """History, resuming and live delivery are the same; the greeting comes first."""
    stage = Stage(log_of(record(1), record(2)))
    line = Line(stage.turns)
    stage.hub.join(Session(Position(1), CURSOR, greeting=GREETING), line)
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
    stage.turns.rest()
    for line, _ in clients:
        line.drain()
    stage.turns.rest()
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
    stage.turns.rest()
    assert stage.turns.written[0] is quick
    assert lagging in stage.turns.written


def test_a_client_whose_transport_holds_somebody_elses_bytes_is_sent_nothing() -> None:
    """A pong of aiohttp's may not fit: it counts as unsent like our own."""
    stage = Stage(log_of())
    line, member = stage.join()
    line.unsent_since = stage.turns.now
    member.pause_writing()
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
    stage.hub.join(Session(Position(0), CURSOR, greeting=GREETING), line)
    assert line.written == []
    line.drain()
    stage.turns.turn()
    assert [one["action"] for one in messages(b"".join(line.written))] == ["welcome", "created"]


def test_all_are_ended_one_after_the_other_and_get_posts_until_then() -> None:
    """Clients that are told to go at once come back at once; the few of them go 200 a second."""
    stage = Stage(log_of())
    lines = [stage.join()[0] for _ in range(50)]
    stage.hub.end_all(End.SHUTDOWN, 8)
    for tenth in range(5):
        stage.turns.rest()
        assert abs(sum(bool(line.ends) for line in lines) - 10 * tenth) <= 1
        stage.publish(tenth)
        stage.turns.sleep(0.05)
    stage.turns.sleep(0.05)
    assert [line.ends for line in lines] == [[End.SHUTDOWN]] * 50
    assert sorted({len(line.got) for line in lines}) == [1, 2, 3, 4, 5]


def test_thousands_are_ended_over_the_time_that_there_is() -> None:
    """At most a few in each turn of the loop."""
    stage = Stage(log_of())
    lines = [stage.join()[0] for _ in range(4000)]
    stage.hub.end_all(End.SHUTDOWN, 8)
    for second in range(1, 9):
        stage.turns.sleep(1)
        assert abs(sum(bool(line.ends) for line in lines) - 500 * second) <= 30


def test_who_falls_out_of_the_log_is_closed_and_nobody_else() -> None:
    """Law 11: also while its bytes are unsent, and once."""
    stage = Stage(log_of(limit=3000))
    stuck, _ = stage.join(room=0)
    quick, _ = stage.join()
    for post in range(1, 12):
        stage.publish(post)
    stage.turns.rest()
    assert (stuck.ends, stuck.got) == ([End.FELL_BEHIND], [1])
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
    stage.turns.rest()
    assert line.ends == [End.FELL_BEHIND]


def test_a_gap_is_told_or_ends() -> None:
    """Law 12: cursor clients are told and go on, plain ones are closed."""
    stage = Stage(log_of(record(1)))
    plain, _ = stage.join()
    knowing, _ = stage.join(encoding=CURSOR)
    stage.log.begin(Offset(5), Offset(5))
    stage.hub.interrupt("interrupted")
    stage.publish(9)
    stage.turns.rest()
    assert (plain.ends, plain.got) == ([], [9])
    stage.turns.sleep(0.1)
    assert (plain.ends, plain.got) == ([End.INTERRUPTED], [9])
    told, post = messages(b"".join(knowing.written))
    assert (told["payload"]["recovered"], told["payload"]["reason"]) == (False, "interrupted")
    assert post["payload"] == {"id": 9}


def test_after_a_gap_nobody_is_told_in_the_same_turn_as_all_others() -> None:
    """Each gets a welcome of its own, and they go on together. Who cannot be told is ended in turn, 200 a second."""
    stage = Stage(log_of())
    plain = [stage.join()[0] for _ in range(50)]
    knowing = [stage.join(encoding=CURSOR)[0] for _ in range(50)]
    stage.log.begin(Offset(5), Offset(5))
    begun = stage.turns.now
    stage.hub.interrupt("interrupted")
    assert sum(bool(line.written) for line in knowing) < 20
    stage.turns.rest()
    assert [messages(line.written[0])[0]["action"] for line in knowing] == ["welcome"] * 50
    for post in range(5):
        assert abs(sum(bool(line.ends) for line in plain) - 200 * (stage.turns.now - begun)) <= 11
        stage.publish(post)
        stage.turns.rest()
        assert all(line.written[-1] is knowing[0].written[-1] for line in knowing)
    stage.turns.sleep(0.3)
    assert [line.ends for line in plain] == [[End.INTERRUPTED]] * 50
    assert len({len(line.got) for line in plain}) > 2


def test_paused_clients_are_looked_at_only_when_the_log_has_moved_past_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not for each record: there may be thousands, and a log that is full forgets something each time."""
    stage = Stage(log_of(*map(record, range(9)), limit=3000))
    assert stage.log.tail > 0
    stuck = [stage.join(room=0)[0] for _ in range(3)]
    stage.publish(9)
    stage.turns.rest()
    looks: list[Session] = []

    def look(session: Session) -> Position:
        looks.append(session)
        return session.progress.position

    monkeypatch.setattr(Session, "position", property(look))
    tail = stage.log.tail
    stage.publish(10)
    stage.turns.rest()
    assert (stage.log.tail > tail, looks) == (True, [])
    for post in range(11, 20):
        stage.publish(post)
    stage.turns.rest()
    assert len(looks) == 3
    assert [line.ends for line in stuck] == [[End.FELL_BEHIND]] * 3


def test_thousands_that_fall_behind_at_once_are_closed_a_few_in_a_turn() -> None:
    stage = Stage(log_of(limit=3000))
    stuck = [stage.join(room=0)[0] for _ in range(1000)]
    for post in range(1, 12):
        stage.publish(post)
        while any(not line.written for line in stuck):
            stage.turns.turn()
    closed = 0
    while closed < 1000:
        stage.turns.turn()
        now = sum(bool(line.ends) for line in stuck)
        assert now - closed <= 64
        closed = now
    assert [line.ends for line in stuck] == [[End.FELL_BEHIND]] * 1000


def test_a_client_that_was_held_during_a_gap_goes_on_behind_it() -> None:
    """Also when two gaps come one after the other: it is told once, of the last one."""
    stage = Stage(log_of(record(1)))
    line, _ = stage.join(encoding=CURSOR, room=0)
    stage.publish(2)
    assert line.unsent_since is not None
    for again in (10, 20):
        stage.log.begin(Offset(again), Offset(again))
        stage.hub.interrupt("interrupted")
        stage.publish(again)
    assert line.ends == []
    line.drain()
    stage.turns.rest()
    received = messages(b"".join(line.written))
    assert [message["action"] for message in received] == ["created", "welcome", "created", "caught_up"]
    assert (received[1]["payload"]["behind"], received[2]["payload"]) == (1, {"id": 20})


@pytest.mark.parametrize(
    ("first", "told"), [("interrupted", ("interrupted", {"records": 1001})), ("recreated", ("recreated", None))]
)
def test_two_gaps_that_come_while_a_client_takes_nothing_are_told_as_one(first: Reason, told: object) -> None:
    """What is lost is counted from what it was sent; not where that is of a feed that is gone."""
    stage = Stage(log_of(record(1)))
    line, _ = stage.join(encoding=CURSOR, room=0)
    stage.publish(2)
    assert line.unsent_since is not None
    begin = 1001 if first == "interrupted" else 0
    stage.log.begin(Offset(begin), Offset(begin))
    stage.hub.interrupt(first)
    stage.publish(3)
    stage.turns.rest()
    stage.log.skip_to(Offset(begin + 2))
    stage.hub.interrupt("interrupted")
    stage.turns.rest()
    line.drain()
    stage.turns.rest()
    (welcome,) = [each["payload"] for each in messages(b"".join(line.written)) if each["action"] == "welcome"]
    assert (welcome["reason"], welcome.get("lost")) == told


def test_a_gap_that_comes_before_another_one_could_be_told_does_not_hide_that_the_feed_is_another() -> None:
    stage = Stage(log_of(record(1)))
    line, _ = stage.join(encoding=CURSOR)
    stage.publish(2)
    stage.log.begin(Offset(900), Offset(1001))
    stage.hub.interrupt("recreated")
    stage.log.skip_to(Offset(1003))
    stage.hub.interrupt("interrupted")
    stage.publish(3)
    stage.turns.rest()
    (welcome,) = [each["payload"] for each in messages(b"".join(line.written)) if each["action"] == "welcome"]
    assert (welcome["reason"], welcome.get("lost")) == ("recreated", None)


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
    stage.turns.rest()
    cursors = {messages(line.written[1])[0]["payload"]["cursor"] for line in (told, held)}
    assert cursors == {str(cursor(11, 1, record(11)))}
    assert [line.got for line in (plain, still_held)] == [[2, 12]] * 2
    assert [line.ends for line in (told, held, plain, still_held)] == [[]] * 4
    made_anew = log_of(*(record(50 + n) for n in range(20)))
    assert made_anew.resume(cursor(11, 1, record(11))) == Gap("recreated")


@pytest.mark.parametrize("gap", ["expired", None])
def test_there_is_no_cursor_behind_a_gap_of_which_a_client_is_still_to_be_told(gap: Reason | None) -> None:
    """It would come back there and never hear of it. One that has missed nothing may come back to where it begins."""
    stage = Stage(log_of(*(record(post) for post in range(5)), first=500))
    place = stage.log.back(stage.log.head, 2)
    session = Session(place, CURSOR)
    greet(session, stage.log, 25, gap=gap, seen=Position(0))
    line = Line(stage.turns)
    line.unsent_since = stage.turns.now
    member = stage.hub.join(session, line)
    stage.turns.rest()
    assert line.written == []
    assert member.cursor() == (None if gap else str(stage.log.cursor_at(place)))
    line.drain()
    stage.turns.rest()
    assert member.cursor() == str(stage.log.cursor_at(stage.log.head))


def test_a_client_is_told_of_a_gap_before_it_sees_other_posts() -> None:
    """Where these begin is behind the gap, and so is what it is told of them."""
    stage = Stage(log_of(*(record(post) for post in range(5)), first=500))
    _, other = stage.join()
    stage.turns.rest()
    # There is work in the next turn, so that a newcomer waits.
    other.leave()
    session = Session(stage.log.head, CURSOR)
    greet(session, stage.log, 25, gap="expired", seen=Position(0))
    line = Line(stage.turns)
    member = stage.hub.join(session, line)
    assert (line.written, member.cursor()) == ([], None)
    assert member.select(Selection([7])) == str(stage.log.cursor_at(stage.log.head)) == member.cursor()
    assert [message["payload"]["reason"] for message in messages(b"".join(line.written))] == ["expired"]


def test_who_comes_while_a_gap_cannot_be_told_yet_is_not_told_of_it() -> None:
    """It goes on like everybody, also when it was held."""
    stage = Stage(log_of(record(1)))
    stage.log.begin(Offset(10), Offset(11))
    stage.hub.interrupt("interrupted")
    line, _ = stage.join(encoding=CURSOR)
    line.unsent_since = stage.turns.now
    assert line.client is not None
    line.client.pause_writing()
    line.drain()
    stage.publish(10)
    stage.publish(11)
    stage.turns.rest()
    assert line.got == [11]


def test_a_client_is_there_until_its_connection_is_lost() -> None:
    """It is sent nothing once it was closed, or closes by itself."""
    stage = Stage(log_of())
    (one, member), (other, leaver), (third, closing) = stage.join(), stage.join(), stage.join()
    leaver.leave()
    closing.stop()
    stage.hub.end_all(End.SHUTDOWN, 0)
    stage.turns.sleep(0.1)
    assert (one.ends, other.ends, third.ends, len(stage.hub)) == ([End.SHUTDOWN], [], [], 2)
    stage.publish(1)
    assert (one.written, third.written) == ([], [])
    assert not stage.hub.deserted.is_set()
    member.leave()
    closing.leave()
    assert (len(stage.hub), stage.hub.deserted.is_set()) == (0, True)


def test_a_client_whose_session_is_over_is_sent_nothing_though_its_transport_is_held_and_drained() -> None:
    """Its own close, or ours, may not fit; nothing may follow it."""
    stage = Stage(log_of())
    (line, member), (other, _) = stage.join(), stage.join()
    member.stop()
    stage.hub.end_all(End.SHUTDOWN, 0)
    stage.turns.sleep(0.1)
    for each in (line, other):
        each.unsent_since = stage.turns.now
        assert each.client is not None
        each.client.pause_writing()
    stage.publish(1)
    for each in (line, other):
        each.drain()
    stage.turns.rest()
    assert (line.written, other.written, stage.hub.lagging) == ([], [], 0)


def test_a_client_that_is_paused_before_a_gap_can_be_told_has_not_fallen_behind() -> None:
    """Its position is one in the old log; it goes on behind the gap like everybody."""
    stage = Stage(log_of(record(1)))
    line, member = stage.join(encoding=CURSOR)
    stage.log.begin(Offset(10), Offset(11))
    stage.hub.interrupt("interrupted")
    line.unsent_since = stage.turns.now
    member.pause_writing()
    for post in (10, 11, 12):
        stage.publish(post)
        stage.turns.rest()
    line.drain()
    stage.turns.rest()
    assert ([message["action"] for message in messages(b"".join(line.written))], line.ends) == (
        ["welcome", "created", "created"],
        [],
    )


def test_a_client_that_leaves_is_watched_no_more() -> None:
    """Its transport may say something after it has left."""
    stage = Stage(log_of())
    line, member = stage.join()
    member.leave()
    member.resume_writing()
    member.expect_close()
    stage.turns.sleep(100)
    assert (line.pings, line.ends) == (0, [])


def test_a_drained_client_that_is_gone_is_sent_nothing() -> None:
    """Its transport may say so after it has left."""
    stage = Stage(log_of())
    line, member = stage.join(room=0)
    stage.publish(1)
    stage.publish(2)
    member.leave()
    line.drain()
    stage.turns.rest()
    assert line.got == [1]


def test_a_silent_client_is_pinged_and_a_dead_one_cut_by_one_timer_for_all() -> None:
    """One that says something is pinged later; nothing is done for what it says."""
    stage = Stage(log_of())
    silent, talking = stage.join()[0], stage.join()[0]
    stage.turns.sleep(10)
    talking.heard = stage.turns.now
    assert len(stage.turns.alarms) == 1
    stage.turns.sleep(10.1)
    assert (silent.pings, talking.pings) == (1, 0)
    stage.turns.sleep(10)
    assert (silent.pings, talking.pings) == (1, 1)
    talking.heard = stage.turns.now
    stage.turns.sleep(29)
    assert (silent.ends, talking.ends) == ([], [])
    stage.turns.sleep(1)
    assert (silent.ends, talking.ends) == ([End.DEAD, "aborted"], [])
    assert silent.pings == 2
    assert sum(not alarm.is_cancelled for alarm in stage.turns.alarms) == 1


def test_a_client_that_takes_nothing_is_not_pinged_and_cut_in_the_end() -> None:
    """Its pong would stand behind what it does not take. Once it has taken all, silence counts again."""
    stage = Stage(log_of())
    stalled, slow = stage.join(room=0)[0], stage.join(room=0)[0]
    stage.publish(1)
    stage.turns.sleep(599)
    slow.drain()
    slow.heard = stage.turns.now
    assert (stalled.ends, stalled.pings) == ([], 0)
    stage.turns.sleep(2)
    assert stalled.ends == [End.STALLED, "aborted"]
    stage.turns.sleep(18.1)
    assert (slow.pings, slow.ends) == (1, [])


def test_a_client_that_does_not_answer_a_close_is_cut() -> None:
    """From when the transport holds nothing, and it is not pinged meanwhile."""
    stage = Stage(log_of())
    quick, slow = stage.join()[0], stage.join(room=0)[0]
    stage.publish(1)
    stage.hub.end_all(End.SHUTDOWN, 0)
    stage.turns.sleep(CLOSE_SECONDS + 0.1)
    assert (quick.ends, slow.ends) == ([End.SHUTDOWN, "aborted"], [End.SHUTDOWN])
    stage.turns.sleep(100)
    slow.drain()
    stage.turns.sleep(CLOSE_SECONDS - 0.1)
    assert (slow.ends, slow.pings) == ([End.SHUTDOWN], 0)
    stage.turns.sleep(0.2)
    assert slow.ends == [End.SHUTDOWN, "aborted"]


def test_a_client_that_was_cut_and_has_another_token_is_cut_once() -> None:
    """Its session is over, so the token is of no use."""
    stage = Stage(log_of())
    line, member = stage.join()
    stage.hub.end_all(End.SHUTDOWN, 0)
    stage.turns.sleep(CLOSE_SECONDS + 0.1)
    assert not stage.hub.renew(member, Grant("7", None, None), None)
    stage.turns.sleep(100)
    assert line.ends == [End.SHUTDOWN, "aborted"]


def test_a_connection_ends_at_its_age_if_it_has_one() -> None:
    """In its turn, by a close; a client that is closed before is closed once."""
    stage = Stage(log_of(), patience=Patience(ping=20, dead=60, stalled=600, age=50))
    (aged, _), (closed, _) = stage.join(), stage.join()
    stage.turns.sleep(25)
    for line in (aged, closed):
        line.heard = stage.turns.now
    stage.turns.sleep(24.9)
    assert (aged.ends, aged.pings) == ([], 1 + 1)
    stage.turns.sleep(0.2)
    assert (aged.ends, closed.ends) == ([End.AGED], [End.AGED])


def test_thousands_that_are_due_at_once_are_looked_at_a_few_in_a_turn() -> None:
    """Pinged, or cut: each cut makes work in the next turn."""
    stage = Stage(log_of())
    lines = [stage.join()[0] for _ in range(1000)]
    stage.turns.now += 100
    cut = 0
    while cut < 1000:
        stage.turns.turn()
        now = sum(bool(line.ends) for line in lines)
        assert now - cut <= 64
        cut = now


def test_all_that_are_left_are_cut_a_few_at_a_time() -> None:
    """When the edge ends; each is told, if it was not before."""
    stage = Stage(log_of())
    clients = [stage.join() for _ in range(100)]
    for _ in range(2):
        stage.hub.cut_some()
        for line, member in clients:
            if line.ends:
                member.leave()
    assert [line.ends for line, _ in clients] == [[End.SHUTDOWN, "aborted"]] * 100


def test_what_waits_for_its_turn_is_known_by_kind() -> None:
    stage = Stage(log_of(*(record(post) for post in range(1, 60))), write_bytes=30)
    for _ in range(20):
        stage.join()
    for _ in range(3):
        stage.join(0, encoding=CURSOR)
    stage.publish(60)
    stage.turns.now += 1
    waits = stage.hub.waits()
    assert {kind: wait.clients for kind, wait in waits.items()} == {
        Kind.HEAD: 8,
        Kind.NEWCOMERS: 2,
        Kind.LAGGARDS: 1,
        Kind.CLOSINGS: 0,
    }
    assert {kind: wait.oldest >= 1 for kind, wait in waits.items()} == {
        Kind.HEAD: True,
        Kind.NEWCOMERS: True,
        Kind.LAGGARDS: True,
        Kind.CLOSINGS: False,
    }


def test_newcomers_do_not_keep_laggards_from_going_on() -> None:
    """Nor the other way round: however many come, each kind has its turn."""
    stage = Stage(log_of(*(record(post) for post in range(1, 40))), write_bytes=30)
    laggard, _ = stage.join(0)
    for number in range(100):
        newcomer, _ = stage.join(0, encoding=CURSOR)
        for _ in range(2 * (TURNS + 1)):
            stage.turns.turn()
        assert newcomer.written
        assert len(laggard.got) >= min(38, number // 4)
    stage.turns.rest()
    assert laggard.got == list(range(1, 40))


def test_a_record_is_sent_at_once_though_other_work_is_due() -> None:
    """It has come through several turns of the loop already, in which there was none of it."""
    stage = Stage(log_of(*(record(post) for post in range(1, 60))), write_bytes=30)
    stage.join(0)
    quick, _ = stage.join()
    assert stage.turns.due
    stage.publish(60)
    assert quick.got == [60]


def test_other_work_is_done_in_slices_with_turns_between_them() -> None:
    """One write of a cohort, or a millisecond; then the loop turns, so that a record on its way meets none."""
    stage = Stage(log_of(*(record(post) for post in range(1, 60))), write_bytes=30)
    lines = [stage.join(0, encoding=CURSOR)[0] for _ in range(8)]
    counts = []
    for _ in range(3 * (TURNS + 1)):
        before = len(stage.turns.written)
        stage.turns.turn()
        counts.append(len(stage.turns.written) - before)
    assert sorted(counts)[-3:] == [4, 4, 4]
    assert counts.count(0) == 3 * TURNS
    assert all(line.written for line in lines[:4])


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
    stage.turns.rest()
    assert seconds.buckets[-1] == ("+Inf", 1.0)
    assert seconds.sum == pytest.approx(2 + 21 * WRITE_SECONDS)
    # The one that is held holds no record.
    stage.publish(3)
    stage.turns.rest()
    assert seconds.buckets[-1] == ("+Inf", 2.0)


def test_a_record_before_a_gap_is_not_measured() -> None:
    """Nobody stands in line for it any more."""
    stage = Stage(log_of())
    for _ in range(20):
        stage.join()
    stage.publish(1)
    stage.log.begin(Offset(9), Offset(9))
    stage.hub.interrupt("interrupted")
    stage.turns.rest()
    assert stage.hub.delays.seconds.buckets[-1] == ("+Inf", 0.0)
    stage.publish(2)
    stage.turns.rest()
    assert stage.hub.delays.seconds.buckets[-1] == ("+Inf", 1.0)


def test_a_client_that_leaves_before_its_turn_holds_no_measure() -> None:
    """The record is done when those are who stay; one that nobody is there for is not measured."""
    stage = Stage(log_of())
    members = [stage.join()[1] for _ in range(20)]
    seconds = stage.hub.delays.seconds
    stage.publish(1)
    for member in members[12:]:
        member.leave()
    stage.turns.rest()
    assert seconds.buckets[-1] == ("+Inf", 1.0)
    assert seconds.sum == pytest.approx(12 * WRITE_SECONDS)
    for member in members[:12]:
        member.leave()
    stage.publish(2)
    stage.turns.now += 10
    stage.join()
    stage.publish(3)
    assert seconds.buckets[-1] == ("+Inf", 2.0)
    assert seconds.sum < 1


def test_who_has_not_been_moved_behind_a_gap_is_not_compared_with_the_log() -> None:
    """Its position is one of the log as it was: smaller than the tail, or larger than the head, it says nothing."""
    stage = Stage(log_of(record(1), record(2), record(3)))
    (resting, _), (lagging, _) = stage.join(encoding=CURSOR), stage.join(0, encoding=CURSOR, room=0)
    held, member = stage.join(encoding=CURSOR)
    for read_from, offer_from in ((10, 12), (0, 1)):
        stage.log.begin(Offset(read_from), Offset(offer_from))
        stage.hub.interrupt("recreated")
        held.unsent_since = stage.turns.now
        member.pause_writing()
        stage.hub.publish()
        for post in range(read_from + 50, offer_from + 51):
            stage.publish(post)
        held.drain()
        lagging.drain()
        stage.turns.rest()
        assert [line.got[-1] for line in (resting, lagging, held)] == [offer_from + 50] * 3
    assert [line.ends for line in (resting, lagging, held)] == [[]] * 3
    assert stage.hub.lagging == 0
    assert stage.log.head < log_of(record(1), record(2), record(3)).head


def test_a_record_that_shows_nothing_is_written_to_nobody() -> None:
    """Everybody is behind it all the same."""
    stage = Stage(log_of(record(1)))
    line, member = stage.join()
    stage.publish(1)
    assert (line.written, member.session.position, stage.hub.lagging) == ([], stage.log.head, 0)
    stage.publish(2)
    assert line.got == [2]


def test_a_client_that_is_still_before_a_gap_gets_no_heartbeat() -> None:
    """There is no cursor to tell it; behind the gap heartbeats come again."""
    stage = Stage(log_of(record(1)))
    line, _ = stage.join(encoding=CURSOR)
    stage.log.begin(Offset(10), Offset(11))
    stage.hub.interrupt("interrupted")
    stage.turns.sleep(30)
    line.heard = stage.turns.now
    assert (line.written, stage.hub.heartbeats.sent) == ([], 0)
    stage.publish(10)
    stage.turns.sleep(26)
    assert [message["action"] for message in messages(b"".join(line.written))] == ["welcome", "heartbeat"]
    assert stage.hub.heartbeats.sent == 1


def test_thousands_with_welcomes_of_their_own_go_on_together_afterwards() -> None:
    """A record is one read and as many cohorts as there would be without."""
    stage = Stage(log_of(record(1)))
    for number in range(1000):
        greeting = CURSOR.notice(welcome("c", session=str(number), heartbeat=25))
        stage.hub.join(Session(stage.log.tail, CURSOR, greeting=greeting, target=stage.log.head), Line(stage.turns))
    stage.turns.rest()
    assert stage.hub.lagging == 0
    stage.publish(2)
    # Cohorts of four here; one more at a time is not full.
    assert len(stage.hub._agenda.head) + stage.hub._agenda.head.taken == 250  # noqa: SLF001 - what a record costs
    stage.turns.rest()
    assert all(line.got[-1] == 2 for line in stage.turns.lines)


def test_an_answer_comes_behind_the_greeting_and_between_posts() -> None:
    """Also to a client that holds unsent bytes: once they are gone, before what it has missed."""
    answer = CURSOR.notice(acked(1, "c"))
    stage = Stage(log_of(record(1)))
    stage.join(0)
    line = Line(stage.turns, room=0)
    member = stage.hub.join(Session(Position(0), CURSOR, GREETING), line)
    member.tell(answer)
    stage.turns.rest()
    member.tell(answer)
    stage.publish(2)
    line.drain(room=0)
    member.tell(answer)
    stage.turns.rest()
    line.drain()
    stage.turns.rest()
    actions = [message["action"] for message in messages(b"".join(line.written))]
    assert actions == ["welcome", "created", "acked", "acked", "acked", "created"]
    assert stage.hub.lagging == 0
