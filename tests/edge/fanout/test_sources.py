"""Clients of replays, and where they go on."""

import pytest

from edge.access.grant import Grant
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.feed.reads import Chunk
from edge.feed.replay import Replay
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.records import at, cursor, log_of, messages, record, standing


def replay_of(first: int, count: int) -> Replay[Member]:
    """Make a replay that has read so many records from ``first`` on, each of the post of its offset."""
    replay: Replay[Member] = Replay(
        log_of(*map(record, range(first, first + count)), first=first), first=Offset(first), reach=0, address="a"
    )
    return replay


def join_replay(
    hub: Hub,
    replay: Replay[Member],
    line: Line,
    offset: int,
    encoding: Encoding = CURSOR,
    *,
    grant: Grant | None = None,
) -> Member:
    """Have a client come that has seen the post of a record."""
    session = Session(at(offset, 1), encoding, grant=grant)
    session.progress.replay = replay
    return hub.join(session, line)


def test_a_client_of_a_replay_goes_on_in_the_log_where_that_has_what_follows() -> None:
    """It rests until its replay has more, and is a reader of it until then."""
    turns, log = Turns(), log_of(*map(record, range(10, 14)), first=10)
    hub, replay, lines = hub_of(log, turns), replay_of(0, 5), [Line(turns) for _ in range(9)]
    for line in lines:
        join_replay(hub, replay, line, 1)
    turns.rest()
    assert [line.got for line in lines] == [[2, 3, 4]] * 9
    assert (len(replay.readers), hub.lagging) == (9, 9)
    for offset in range(5, 12):
        replay.log.append(Offset(offset), record(offset))
    hub.wake(replay)
    turns.rest()
    assert [line.got for line in lines] == [list(range(2, 14))] * 9
    assert (len(replay.readers), hub.lagging) == (0, 0)
    log.append(Offset(14), record(14))
    hub.publish()
    turns.rest()
    assert lines[0].got[-1] == 14


@pytest.mark.parametrize("seen", [11, 13])
def test_a_client_comes_to_a_replay_where_the_log_has_what_follows(seen: int) -> None:
    """It reads the log at once, and nobody lags at the end of both; no replay has to move for it."""
    turns, log = Turns(), log_of(*map(record, range(10, 14)), first=10)
    hub, replay, line = hub_of(log, turns), replay_of(0, seen + 1), Line(turns)
    member = join_replay(hub, replay, line, seen)
    assert (member.session.replay, len(replay.readers)) == (None, 0)
    turns.rest()
    assert (line.got, member.position, hub.lagging) == (list(range(seen + 1, 14)), log.head, 0)


def test_a_client_of_a_replay_that_takes_nothing_waits_in_it() -> None:
    """It is not judged by the log; once it takes something it goes on, in the log if that has what follows."""
    turns, log = Turns(), log_of(*map(record, range(10, 14)), first=10)
    hub, replay = hub_of(log, turns), replay_of(0, 12)
    slow, late = Line(turns, room=0), Line(turns, room=0)
    join_replay(hub, replay, slow, 1)
    turns.rest()
    assert (slow.ends, hub.lagging, len(replay.readers)) == ([], 1, 1)
    slow.drain()
    turns.rest()
    assert slow.got == list(range(2, 14))
    member = join_replay(hub, replay, late, 1)
    turns.rest()
    member.session.progress.move_on(Chunk(b"", at(11, 1), 0))
    late.drain()
    assert member.session.replay is None
    assert len(replay.readers) == 0


def test_a_client_that_leaves_reads_no_replay_any_more() -> None:
    """However it goes: resting, paused or waiting."""
    turns = Turns()
    hub, replay = hub_of(log_of(record(10), first=10), turns), replay_of(0, 5)
    resting, paused = Line(turns), Line(turns, room=0)
    members = [join_replay(hub, replay, resting, 1), join_replay(hub, replay, paused, 1)]
    turns.rest()
    members.append(join_replay(hub, replay, Line(turns), 1))
    for member in members:
        member.leave()
    turns.rest()
    assert (len(replay.readers), len(hub), hub.lagging) == (0, 0, 0)


def test_clients_that_a_replay_has_left_behind_are_closed() -> None:
    """By its word, and where it has moved past them."""
    turns = Turns()
    hub, replay = hub_of(log_of(record(10), first=10), turns), replay_of(0, 5)
    told, passed = Line(turns, room=0), Line(turns, room=0)
    members = [join_replay(hub, replay, told, 0), join_replay(hub, replay, passed, 0)]
    turns.rest()
    hub.leave_behind([members[0]])
    turns.rest()
    assert (told.ends, passed.ends) == ([End.FELL_BEHIND], [])
    replay.log.kept.forget(at(3, 1))
    members[1].session.progress.move_on(Chunk(b"", at(1, 1), 0))
    passed.drain()
    turns.rest()
    assert passed.ends == [End.FELL_BEHIND]
    assert len(replay.readers) == 0


@pytest.mark.parametrize("encoding", [CURSOR, PLAIN])
def test_clients_of_a_replay_that_cannot_go_on_are_told_and_go_on_at_the_head(encoding: Encoding) -> None:
    """Each once, whether it rests or takes nothing; one that cannot be told gets what comes until it is ended."""
    turns, log = Turns(), log_of(record(10), first=10)
    hub, replay = hub_of(log, turns), replay_of(0, 5)
    resting, paused = Line(turns), Line(turns, room=0)
    for line in (resting, paused):
        join_replay(hub, replay, line, 1, encoding)
    turns.rest()
    hub.redirect(replay.end(), "expired")
    turns.rest()
    paused.drain()
    log.append(Offset(11), record(11))
    hub.publish()
    turns.sleep(1)
    if encoding is CURSOR:
        for line in (resting, paused):
            *_, welcome, post = messages(b"".join(line.written))
            assert standing(welcome["payload"]) == {
                "recovered": False,
                "reason": "expired",
                "cursor": str(cursor(10, 1, record(10))),
            }
            assert post["payload"]["id"] == 11
    else:
        assert (resting.ends, paused.ends) == ([End.INTERRUPTED], [End.INTERRUPTED])
    assert hub.lagging == 0


def test_a_gap_of_the_feed_is_told_before_that_of_a_replay() -> None:
    """Once, also to a client whose replay has failed just before, and to one that has ended."""
    turns, log = Turns(), log_of(record(10), first=10)
    hub, replay, line = hub_of(log, turns), replay_of(0, 5), Line(turns)
    join_replay(hub, replay, line, 1)
    gone = join_replay(hub, replay, Line(turns), 1)
    turns.rest()
    readers = replay.end()
    log.begin(Offset(50), Offset(50))
    hub.interrupt("interrupted")
    gone.stop()
    hub.redirect(readers, "expired")
    turns.rest()
    said = messages(b"".join(line.written))
    assert [message["payload"].get("reason") for message in said if message["action"] == "welcome"] == ["interrupted"]


def test_a_client_that_goes_on_in_the_log_stays_there_though_its_replay_has_failed() -> None:
    """It has drained between the failure and its turn to be told."""
    turns, log = Turns(), log_of(*map(record, range(10, 14)), first=10)
    hub, replay = hub_of(log, turns), replay_of(0, 12)
    other, late = Line(turns, room=0), Line(turns, room=0)
    for line in (other, late):
        join_replay(hub, replay, line, 1)
    turns.rest()
    # Work is due in the next turn from here on.
    other.drain()
    hub.redirect(replay.end(), "expired")
    late.drain()
    turns.rest()
    log.append(Offset(14), record(14))
    hub.publish()
    turns.rest()
    assert late.got == other.got == list(range(2, 15))


def test_a_client_that_takes_nothing_is_sent_nothing_though_its_replay_and_the_feed_fail_at_once() -> None:
    """A line notices when it is written to while it holds something."""
    turns, log = Turns(), log_of(*map(record, range(10, 14)), first=10)
    hub, replay = hub_of(log, turns), replay_of(0, 5)
    other, held = Line(turns, room=0), Line(turns, room=0)
    for line in (other, held):
        join_replay(hub, replay, line, 1)
    turns.rest()
    other.drain()
    hub.redirect(replay.end(), "expired")
    log.begin(Offset(50), Offset(50))
    hub.interrupt("interrupted")
    turns.rest()
    log.append(Offset(50), record(50))
    hub.publish()
    turns.rest()
    held.drain()
    turns.rest()
    assert held.got == [2, 3, 4, 50]


def test_who_cannot_be_told_yet_that_its_replay_has_failed_is_told_later() -> None:
    """There is no cursor to go on from before the log shows something."""
    turns, log = Turns(), log_of(*map(record, range(10, 14)), first=10)
    hub, replay, line = hub_of(log, turns), replay_of(0, 5), Line(turns)
    log.begin(Offset(49), Offset(50))
    hub.interrupt("interrupted")
    join_replay(hub, replay, line, 1)
    turns.rest()
    hub.redirect(replay.end(), "expired")
    turns.rest()
    log.append(Offset(49), record(49))
    hub.publish()
    turns.rest()
    log.append(Offset(50), record(50))
    hub.publish()
    turns.rest()
    assert line.got == [2, 3, 4, 50]


def test_clients_that_were_left_behind_are_sent_nothing_while_they_take_nothing_though_the_feed_fails() -> None:
    """They are still to be closed when the feed is interrupted, one after the other."""
    turns, log = Turns(), log_of(*map(record, range(10, 14)), first=10)
    hub, replay = hub_of(log, turns), replay_of(0, 5)
    held = [Line(turns, room=0) for _ in range(8)]
    members = [join_replay(hub, replay, line, 1) for line in held]
    turns.rest()
    hub.leave_behind(members)
    assert not all(line.ends for line in held)
    replay.end()
    log.begin(Offset(50), Offset(50))
    hub.interrupt("interrupted")
    turns.rest()
    assert [(line.got, line.ends) for line in held] == [([2, 3, 4], [End.FELL_BEHIND])] * 8
