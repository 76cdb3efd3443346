"""Heartbeats, without a hub."""

from edge.fanout.heartbeats import Heartbeats
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.feed.position import Position
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED
from streams.contract import Offset
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import GREETING, log_of, messages, record


class Bench:
    """A log of two records, and the time in UTC."""

    def __init__(self) -> None:
        self.log = log_of(record(1), record(2))
        self.turns = Turns()
        self.now = 1704067200.9
        self.heartbeats = Heartbeats(self.log, lambda: self.now)

    def member(self, session: Session) -> tuple[Member, Line]:
        """Make a client."""
        line = Line(self.turns)
        return Member(Keeper(), session, line, None, self.turns.now), line


def test_clients_at_one_place_share_a_heartbeat() -> None:
    """In each encoding, for a second; whoever is elsewhere gets its own place."""
    bench = Bench()
    head, tail = bench.log.head, bench.log.tail
    places = [(head, CURSOR), (head, CURSOR_DEFLATED), (head, CURSOR), (tail, CURSOR), (head, CURSOR_DEFLATED)]
    clients = [bench.member(Session(position, encoding)) for position, encoding in places]
    for member, _ in clients:
        bench.heartbeats.send(member)
    sent = [line.written[0] for _, line in clients]
    assert sent[2] is sent[0]
    assert sent[4] is sent[1]
    assert [messages(each)[0] for each in sent] == [
        {
            "action": "heartbeat",
            "payload": {"time": "2024-01-01T00:00:00Z"},
            "cursor": str(bench.log.cursor_at(position)),
        }
        for position, _ in places
    ]
    bench.now += 1
    bench.heartbeats.send(clients[4][0])
    assert messages(clients[4][1].written[1])[0]["payload"]["time"] == "2024-01-01T00:00:01Z"
    assert bench.heartbeats.sent == 6


def test_nobody_is_told_of_a_place_before_its_greeting_or_one_that_is_gone() -> None:
    """What is lost with a connection does not count as sent."""
    bench = Bench()
    head = bench.log.head
    ungreeted, gone, lost = (
        bench.member(Session(head, CURSOR, greeting=GREETING)),
        bench.member(Session(Position(head - 1), CURSOR)),
        bench.member(Session(head, CURSOR)),
    )
    bench.log.begin(Offset(2), Offset(2))
    lost[1].is_lost = True
    lost[0].session.skip_to(bench.log.head)
    for member, line in (ungreeted, gone, lost):
        bench.heartbeats.send(member)
        assert line.written == []
    assert bench.heartbeats.sent == 0
