"""All that can befall clients of a hub, in any order: each gets what follows its position, in order and once.

A model beside it knows for each client which posts it is due. Links hold bytes whenever they like, clients come at any
position and go at any moment, the log forgets, the feed is interrupted, and the loop turns when it turns.
"""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.fanout.hub import Hub
from edge.fanout.link import Patience
from edge.fanout.member import Member
from edge.fanout.session import FELL_BEHIND, INTERRUPTED, SHUTDOWN, Session
from edge.feed.log import Log
from edge.feed.position import Position
from edge.wire.closing import Disconnect
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import ENCODINGS, PLAIN
from streams.contract import Offset
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.records import messages, record

# A log that holds some five records of a post, and a client that is sent two posts at a time.
LOG_BYTES = 5_000
WRITE_BYTES = 90


class Client:
    """What one client is due, beside what it got."""

    def __init__(self, hub: Hub, session: Session, line: Line, due: list[int]) -> None:
        self.session = session
        self.line = line
        self.due = due
        """The posts from its position to the head."""
        self._got: list[int] = []
        self._read = 0
        self.member: Member = hub.join(session, line)

    @property
    def got(self) -> list[int]:
        """The posts that it was sent; each write is whole frames, and is read once."""
        for written in self.line.written[self._read :]:
            read = messages(written, self.session.encoding)
            self._got += [one["payload"]["id"] for one in read if one["action"] == "created"]
        self._read = len(self.line.written)
        return self._got


class Clients(RuleBasedStateMachine):
    """A hub with whatever happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(limit=LOG_BYTES, reach=3)
        self.log.begin(Offset(0), Offset(0))
        self.turns = Turns()
        self.hub = hub_of(self.log, self.turns, WRITE_BYTES)
        self.shown: list[int] = []
        self.clients: list[Client] = []
        self.gone: list[Client] = []

    @rule(encoding=st.sampled_from(ENCODINGS), back=st.integers(0, 8), room=st.sampled_from([0, 200, float("inf")]))
    def comes(self, encoding: Encoding, back: int, room: float) -> None:
        """Join somewhere between the tail and the head; who asks for cursors is greeted."""
        position = Position(max(self.log.tail, self.log.head - back))
        greeting = encoding.welcome("c") if encoding.has_cursor else b""
        line = Line(self.turns, room)
        self.clients.append(Client(self.hub, Session(position, encoding, greeting), line, self.shown[position:]))

    @rule(back=st.integers(0, 8))
    def crowd_comes(self, back: int) -> None:
        """Join with more than are served before the loop gets a turn."""
        for _ in range(12):
            self.comes(PLAIN, back, float("inf"))

    @rule(count=st.integers(0, 4))
    def record(self, count: int) -> None:
        """Append a record, perhaps one that shows nothing."""
        assert self.log.next_offset is not None
        posts = range(len(self.shown) + 1, len(self.shown) + count + 1)
        self.shown += posts
        for client in self.clients:
            if client.session.disconnect is None:
                client.due += posts
        self.log.append(self.log.next_offset, record(*posts))
        self.hub.publish()

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), room=st.sampled_from([0, 150, float("inf")]))
    def drains(self, data: st.DataObject, room: float) -> None:
        """Have a socket take what was held."""
        client = data.draw(st.sampled_from(self.clients))
        if client.line.unsent_since is not None:
            client.line.drain(room)

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def is_held(self, data: st.DataObject) -> None:
        """Have a pong that does not fit."""
        client = data.draw(st.sampled_from(self.clients))
        if client.line.unsent_since is None:
            client.line.unsent_since = self.turns.now
            client.member.held()

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def goes(self, data: st.DataObject) -> None:
        """End a connection."""
        client = data.draw(st.sampled_from(self.clients))
        self.clients.remove(client)
        self.gone.append(client)
        self.hub.leave(client.member, Disconnect(1006, "the connection ended", "client"))
        client.due = list(client.got)

    @rule(but=st.integers(0, 20))
    def ends(self, but: int) -> None:
        """End the sessions of some."""
        self.hub.end(SHUTDOWN, but=but)
        for client in self.clients:
            if client.session.disconnect is not None:
                client.due = list(client.got)

    @rule()
    def turn(self) -> None:
        """Have the loop go round."""
        self.turns.turn()

    @rule()
    def gap(self) -> None:
        """Interrupt the feed: what was due is due no more, also to who cannot be told."""
        assert self.log.next_offset is not None
        again = Offset(self.log.next_offset + 5)
        self.log.begin(again, again)
        for client in self.clients:
            client.due = list(client.got)
        self.hub.interrupt("interrupted")

    @rule(share=st.sampled_from([0.005, 1.0]))
    def parts(self, share: float) -> None:
        """Close those that a gap could not be told to, or one of them."""
        self.hub.sweep(Patience(1e9, 1e9, 1e9), share)
        for client in self.clients:
            if client.session.disconnect is not None:
                client.due = list(client.got)

    @invariant()
    def nobody_gets_what_is_not_due(self) -> None:
        """Compare: what was sent is the beginning of what is due."""
        for client in (*self.clients, *self.gone):
            assert client.got == client.due[: len(client.got)]

    @invariant()
    def ends_have_reasons(self) -> None:
        """Only who fell behind or cannot be told of a gap is closed."""
        for client in self.clients:
            assert client.line.ends in ([], [FELL_BEHIND], [INTERRUPTED], [SHUTDOWN])
            assert client.line.ends != [INTERRUPTED] or not client.session.encoding.has_cursor

    def teardown(self) -> None:
        """In the end all sockets drain, the loop turns, and everybody has all that is due, or was closed."""
        for client in self.clients:
            client.line.room = float("inf")
            if client.line.unsent_since is not None:
                client.line.drain()
        while self.turns.due:
            self.turns.turn()
        for client in self.clients:
            assert client.line.ends or client.got == client.due
        assert self.hub.lagging == 0
        assert self.hub.posts_sent == sum(len(client.got) for client in (*self.clients, *self.gone))
        assert [client.session.sent for client in self.clients] == [len(client.got) for client in self.clients]


TestClients = Clients.TestCase
TestClients.settings = settings(max_examples=200, stateful_step_count=30)
