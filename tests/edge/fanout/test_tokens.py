"""What clients are told of their tokens, and how they go on with others."""

import math
from dataclasses import replace

import pytest

from edge.access.grant import LEEWAY_SECONDS, Grant
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.expiry import lead
from edge.fanout.hub import Hub
from edge.fanout.member import Member
from edge.fanout.rounds import TURNS
from edge.fanout.session import Session
from edge.fanout.tokens import AGAIN_SECONDS
from edge.feed.log import Log
from edge.feed.selection import Selection
from edge.wire.encoding import Encoding
from edge.wire.event_encodings import EVENTS
from edge.wire.messages import welcome
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import GREETING, log_of, messages, publication, record

SILENT = Patience(ping=1e9, dead=2e9, stalled=1e9, heartbeat=1e9)
UTC = 1_704_067_200.0
"""2024-01-01T00:00:00Z, when the loop's clock begins."""


class Stage:
    """A hub whose clock in UTC goes with that of its loop; authors of posts are their numbers."""

    def __init__(self, patience: Patience = SILENT, tick: float = 0, cohort_size: int = 4) -> None:
        self.log = log_of(record(publication(1, author=1)))
        self.turns = Turns(tick)
        self.hub = hub_at(self.log, self.turns, patience, cohort_size)

    def grant(self, seconds: float | None, *authors: int) -> Grant:
        """Make a grant that expires after so long, for these authors or for everybody."""
        expires_at = None if seconds is None else UTC + self.turns.now - 1000 + seconds
        return Grant("7", Selection(authors) if authors else None, expires_at)

    def join(
        self, grant: Grant | None, encoding: Encoding = CURSOR, greeting: bytes = b"", room: float = math.inf
    ) -> tuple[Line, Member]:
        """Take a client in at the head."""
        line = Line(self.turns, room)
        selection = None if grant is None else grant.claim
        session = Session(self.log.head, encoding, greeting, selection, id="s", grant=grant)
        return line, self.hub.join(session, line)

    def publish(self, *posts: int) -> None:
        """Append a record and fan it out."""
        assert self.log.next_offset is not None
        self.log.append(self.log.next_offset, record(*(publication(post, author=post) for post in posts)))
        self.hub.publish()


def hub_at(log: Log, turns: Turns, patience: Patience, cohort_size: int) -> Hub:
    """Make a hub with a clock."""
    return Hub(
        log,
        write_bytes=1 << 16,
        write_each=turns.write_each,
        patience=patience,
        loop=turns,
        cohort_size=cohort_size,
        share=lambda: 0.5,
        clock=lambda: UTC + turns.now - 1000,
    )


def said(line: Line, encoding: Encoding = CURSOR) -> list[str]:
    """Return the actions of what was written, posts by their numbers."""
    read = messages(b"".join(line.written), encoding)
    return [str(one["payload"]["id"]) if one["action"] == "created" else one["action"] for one in read]


@pytest.mark.parametrize("encoding", [CURSOR, EVENTS])
def test_a_client_is_told_once_before_its_token_expires(encoding: Encoding) -> None:
    """And then ended, 30 s behind it; its position stays where it is."""
    stage = Stage()
    line, member = stage.join(stage.grant(600), encoding)
    stage.publish(2)
    stage.turns.sleep(600 - lead("s") - 0.1)
    assert said(line, encoding) == ["2"]
    stage.turns.sleep(0.2)
    expiring = messages(b"".join(line.written), encoding)[-1]
    cursor = {"cursor": str(stage.log.cursor_at(stage.log.head))} if encoding is EVENTS else {}
    assert expiring == {"action": "expiring", "payload": {"expires_at": "2024-01-01T00:10:00Z"}, **cursor}
    stage.turns.sleep(lead("s") + LEEWAY_SECONDS - 0.2)
    stage.publish(3)
    assert (said(line, encoding), line.ends) == (["2", "expiring", "3"], [])
    stage.turns.sleep(0.2)
    assert line.ends == [End.EXPIRED]
    assert member.cursor() == str(stage.log.cursor_at(stage.log.head))
    stage.publish(4)
    stage.turns.rest()
    assert said(line, encoding) == ["2", "expiring", "3"]


def test_a_plain_client_is_told_nothing_and_ended_all_the_same() -> None:
    stage = Stage()
    line, _ = stage.join(stage.grant(100), PLAIN)
    stage.turns.sleep(100 + LEEWAY_SECONDS - 0.1)
    assert (line.written, line.ends) == ([], [])
    stage.turns.sleep(0.2)
    assert (line.written, line.ends) == ([], [End.EXPIRED])


@pytest.mark.parametrize("grant", [None, Grant("7", None, None)])
def test_who_has_no_token_or_one_without_an_end_goes_on_for_ever(grant: Grant | None) -> None:
    stage = Stage()
    line, member = stage.join(grant)
    stage.turns.sleep(1e6)
    assert (line.written, line.ends, member.expiry) == ([], [], None)


def test_a_client_that_takes_nothing_is_told_once_it_does() -> None:
    """Behind what it was sent."""
    stage = Stage()
    line, _ = stage.join(stage.grant(600), room=10)
    stage.publish(2)
    stage.turns.sleep(590)
    assert said(line) == ["2"]
    line.drain()
    stage.turns.sleep(1)
    assert said(line) == ["2", "expiring"]
    stage.turns.sleep(39)
    assert line.ends == [End.EXPIRED]


def test_a_client_that_takes_nothing_is_ended_too() -> None:
    stage = Stage()
    line, _ = stage.join(stage.grant(60), room=10)
    stage.publish(2)
    stage.turns.sleep(91)
    assert (said(line), line.ends) == (["2"], [End.EXPIRED])


def test_a_client_that_is_before_a_gap_is_told_behind_the_welcome() -> None:
    """An event has to have the place where it stands."""
    stage = Stage()
    line, member = stage.join(stage.grant(100), EVENTS)
    stage.log.begin(Offset(10), Offset(11))
    stage.hub.interrupt("interrupted")
    stage.turns.sleep(51)
    assert line.written == []
    stage.publish(2)
    stage.publish(3)
    stage.turns.sleep(AGAIN_SECONDS + 0.1)
    assert said(line, EVENTS) == ["welcome", "3", "expiring"]
    assert messages(b"".join(line.written), EVENTS)[0]["payload"]["expires_at"] == "2024-01-01T00:01:40Z"
    assert messages(b"".join(line.written), EVENTS)[-1]["cursor"] == member.cursor()


def test_a_client_that_is_not_greeted_is_told_behind_its_welcome() -> None:
    """A token that is taken although it has expired is told of at once: 20 s of 30 are left of it."""
    stage = Stage()
    line, _ = stage.join(stage.grant(-10), greeting=GREETING)
    stage.turns.sleep(AGAIN_SECONDS + 0.1)
    assert said(line) == ["welcome", "expiring"]
    stage.turns.sleep(19)
    assert line.ends == [End.EXPIRED]


def test_what_a_client_is_told_before_its_turn_takes_it_back_nowhere() -> None:
    """Those that wait for their welcome are told behind that, and behind what is sent with it."""
    stage = Stage()
    stage.publish(2)
    greeting = EVENTS.notice(welcome(str(stage.log.cursor_at(stage.log.tail)), session="s", heartbeat=25))
    lines = [Line(stage.turns) for _ in range(2500)]
    for line in lines:
        stage.hub.join(Session(stage.log.tail, EVENTS, greeting, grant=stage.grant(-10)), line)
    # To greet all of them takes longer than until the first of them is told.
    stage.turns.sleep(AGAIN_SECONDS + 5)
    for line in lines:
        read = messages(b"".join(line.written), EVENTS)
        assert [one["action"] for one in read] == ["welcome", "created", "created", "expiring"]
        assert [one["cursor"] for one in read] == sorted(one["cursor"] for one in read)


def test_what_a_client_is_told_of_its_token_is_a_message_like_others() -> None:
    """A heartbeat comes so long after it."""
    stage = Stage(replace(SILENT, heartbeat=25))
    line, _ = stage.join(stage.grant(40))
    stage.turns.sleep(44.9)
    assert said(line) == ["expiring"]
    stage.turns.sleep(0.2)
    assert said(line) == ["expiring", "heartbeat"]


def test_a_client_whose_token_has_run_out_gets_no_heartbeat_before_its_close() -> None:
    """Of thousands that are closed together the last wait for some seconds."""
    stage = Stage(replace(SILENT, heartbeat=25))
    line, member = stage.join(stage.grant(-10))
    stage.turns.sleep(1)
    stage.turns.now += 20
    stage.turns.turn()
    assert (member.is_over, line.ends) == (True, [])
    written = len(line.written)
    stage.hub._beat(member)  # noqa: SLF001 - as it is called when a heartbeat is due
    assert len(line.written) == written


def test_another_token_moves_the_end_and_is_told_of_by_itself() -> None:
    """However long the old one would have gone on."""
    stage = Stage()
    line, member = stage.join(stage.grant(600))
    stage.turns.sleep(570)
    grant = stage.grant(600)
    assert member.renew(grant, None)
    assert member.session.grant is grant
    stage.turns.sleep(600 + LEEWAY_SECONDS - 0.1)
    assert (said(line), line.ends) == (["expiring", "expiring"], [])
    stage.turns.sleep(0.2)
    assert line.ends == [End.EXPIRED]


def test_a_token_that_ends_earlier_ends_the_session_earlier_and_one_without_end_never() -> None:
    stage = Stage()
    (short, one), (long, other) = stage.join(stage.grant(600)), stage.join(stage.grant(600))
    assert one.renew(stage.grant(10), None)
    assert other.renew(stage.grant(None), None)
    stage.turns.sleep(41)
    assert (said(short), short.ends) == (["expiring"], [End.EXPIRED])
    stage.turns.sleep(1000)
    assert (said(long), long.ends) == ([], [])


def test_a_session_that_is_too_old_ends_although_its_token_was_renewed() -> None:
    stage = Stage(Patience(ping=1e9, dead=2e9, stalled=1e9, age=100, heartbeat=1e9))
    line, member = stage.join(stage.grant(90))
    stage.turns.sleep(80)
    assert member.renew(stage.grant(90), None)
    stage.turns.sleep(21)
    assert line.ends == [End.AGED]


def test_a_renewed_restriction_holds_from_the_next_post_on() -> None:
    """At the client's own place: of what it has not been sent only what is selected follows."""
    stage = Stage()
    line, member = stage.join(stage.grant(600), room=10)
    stage.publish(2)
    stage.publish(3)
    stage.publish(4)
    restricted = stage.grant(600, 4)
    assert member.renew(restricted, restricted.claim)
    line.drain()
    stage.turns.rest()
    assert said(line) == ["2", "4"]


def test_what_cannot_be_done_now_changes_nothing() -> None:
    """While a client that is not greeted takes nothing, and once its session is over."""
    stage = Stage()
    old = stage.grant(600)
    line, member = stage.join(old, greeting=GREETING, room=0)
    line.unsent_since = stage.turns.now
    member.pause_writing()
    member.session.progress.greeting = GREETING
    expiry = member.expiry
    assert not member.renew(stage.grant(900, 4), Selection([4]))
    assert (member.session.grant, member.session.selection, member.expiry) == (old, None, expiry)
    stage.turns.sleep(631)
    assert line.ends == [End.EXPIRED]
    assert not member.renew(stage.grant(900), None)
    assert member.select(Selection([4])) is None
    line.drain()
    stage.publish(4)
    stage.turns.rest()
    assert said(line)[1:] == []


@pytest.mark.parametrize("seconds", [10, 600])
def test_thousands_whose_tokens_end_together_make_no_long_turn(seconds: float) -> None:
    """Neither when they are told nor when they end; and whoever else is there gets its posts meanwhile."""
    stage = Stage(cohort_size=64)
    lines = [stage.join(stage.grant(seconds))[0] for _ in range(800)]
    other, _ = stage.join(None)
    longest = 0
    while not all(line.ends for line in lines):
        before = len(stage.turns.written), sum(len(line.ends) for line in lines)
        stage.turns.turn()
        after = len(stage.turns.written), sum(len(line.ends) for line in lines)
        longest = max(longest, *(one - other for one, other in zip(after, before, strict=True)))
        if not stage.turns.due:
            stage.turns.now = max(stage.turns.now, min(alarm.when for alarm in stage.turns.alarms))
    assert longest <= 64
    stage.publish(2)
    for _ in range(TURNS + 1):
        stage.turns.turn()
    assert said(other) == ["2"]
    assert all(said(line) == ["expiring"] for line in lines)
