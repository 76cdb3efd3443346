"""Several edges, one feed with repeats, logs that forget, and clients that go from one edge to another by cursor.

The model decides from the raw records alone what is shown (law 2) and in which order. Each client must see just that,
in order and once, from where it began; where it cannot, it must have been told (law 12). Edges start whenever they
like, with as much history as they like, read at their own pace, and keep as little as their memory allows.
"""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.clients.joining import JoinRequest, Terms, at_end, resumed, resumption
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Resume, parse, place_of
from edge.feed.start import Bounds, continues, start
from edge.wire.encoding import Encoding
from edge.wire.event_encodings import EVENTS
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.reading import has_fallen_behind, take
from tests.edge.kit.records import messages, record

TERMS = Terms("s", 25)

REACH = 4
# Room for some four records in both encodings, or for all there are.
LIMITS = (6_000, 1 << 20)
WRITE_BYTES = 150


class Edge:
    """A log, and the feed as far as it was read."""

    def __init__(self, history: int, limit: int) -> None:
        self.log = Log(limit=limit, reach=REACH)
        self.history = history

    def follow(self, begin: int, feed: Sequence[bytes], count: int) -> None:
        """Read up to ``count`` records more, as a source does: from history on, and never past a gap."""
        bounds = Bounds(Offset(begin), Offset(len(feed)))
        known = self.log.next_offset
        if known is None or not continues(next_offset=known, bounds=bounds):
            plan = start(bounds, history=self.history if known is None else 0, reach=REACH)
            self.log.begin(plan.read_from, plan.offer_from)
            # A source tells its clients, and takes none in until it has read up to where the feed ended.
            count = len(feed)
        for _ in range(count):
            offset = self.log.next_offset
            assert offset is not None
            if offset == len(feed):
                break
            assert not isinstance(self.log.append(offset, feed[offset]), Gap)


ENCODINGS: st.SearchStrategy[Encoding] = st.sampled_from([CURSOR, EVENTS])
"""Those with cursors; a client may come back by another transport than it left."""


class Client:
    """A client with cursors: where it is, and which post it is due next, as an index among all that are shown."""

    def __init__(self) -> None:
        self.edge: Edge | None = None
        self.session: Session | None = None
        self.cursor: str | None = None
        self.next = 0
        self.begins_at: int | None = None
        """Which post it will be due next once it has read its welcome; None when it goes on where it was."""


class Feed(RuleBasedStateMachine):
    """The feed and all who read it."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[list[int]] = []
        self.raw: list[bytes] = []
        self.begin = 0
        self.shown: list[int] = []
        self.shown_before: list[int] = [0]
        """How many posts are shown before each record, and before the next one."""
        self.edges: list[Edge] = []
        self.clients = [Client(), Client()]

    @rule(fresh=st.integers(0, 3), repeats=st.lists(st.integers(0, 30), max_size=3))
    def grows(self, fresh: int, repeats: list[int]) -> None:
        """Write a record of new posts and of some that stand in records which are still there."""
        known = [post for posts in self.records[self.begin :] for post in posts]
        top = max((post for posts in self.records for post in posts), default=0)
        posts = [*range(top + 1, top + 1 + fresh), *(known[index % len(known)] for index in repeats if known)]
        before = {post for posts in self.records[-REACH:] for post in posts}
        self.shown += [post for post in dict.fromkeys(posts) if post not in before]
        self.records.append(posts)
        self.raw.append(record(*posts))
        self.shown_before.append(len(self.shown))

    @rule(count=st.integers(1, 6))
    def is_cut(self, count: int) -> None:
        """Have retention remove the oldest records, and with them all memory of what they showed."""
        cut = min(self.begin + count, len(self.records))
        # A repeat of what is gone cannot be known by who comes later: there is to be none.
        if not {post for posts in self.records[:cut] for post in posts} & {
            post for posts in self.records[cut:] for post in posts
        }:
            self.begin = cut

    @precondition(lambda self: len(self.edges) < 3)
    @rule(history=st.integers(0, 10), limit=st.sampled_from(LIMITS))
    def edge_starts(self, history: int, limit: int) -> None:
        """Start an edge; it reads up to the feed's end before it takes anybody in."""
        edge = Edge(history, limit)
        edge.follow(self.begin, self.raw, len(self.raw))
        self.edges.append(edge)

    @precondition(lambda self: self.edges)
    @rule(data=st.data(), count=st.integers(1, 4))
    def edge_reads(self, data: st.DataObject, count: int) -> None:
        """Have an edge read some records."""
        self.read(data.draw(st.sampled_from(self.edges)), count)

    def read(self, edge: Edge, count: int | None = None) -> None:
        """Have an edge read; a gap of its own cuts off its clients here, who come back."""
        known = edge.log.next_offset
        edge.follow(self.begin, self.raw, len(self.raw) if count is None else count)
        if known is not None and known < self.begin:
            self.cut_off(edge)

    def cut_off(self, edge: Edge) -> None:
        """End an edge's sessions."""
        for client in self.clients:
            if client.edge is edge:
                client.session = None

    @precondition(lambda self: self.edges)
    @rule(data=st.data())
    def edge_ends(self, data: st.DataObject) -> None:
        """End an edge; its clients keep their cursors."""
        edge = data.draw(st.sampled_from(self.edges))
        self.edges.remove(edge)
        self.cut_off(edge)

    @precondition(lambda self: self.edges)
    @rule(data=st.data(), which=st.integers(0, 1))
    def client_connects(self, data: st.DataObject, which: int) -> None:
        """Connect a client to an edge by some transport, with its cursor if it has one, whichever that is from."""
        client, edge = self.clients[which], data.draw(st.sampled_from(self.edges))
        encoding = data.draw(ENCODINGS)
        cursor = None if client.cursor is None else parse(client.cursor)
        assert not isinstance(cursor, Gap)
        wish = JoinRequest(encoding, cursor=cursor)
        found = resumption(wish, edge.log)
        if not isinstance(found, Resume):
            self.read(edge)
            if isinstance(found, Ahead):
                found = Gap("unknown") if found.offset > len(self.raw) else resumption(wish, edge.log)
        if isinstance(found, Resume):
            client.session, client.begins_at = resumed(wish, edge.log, found, TERMS), None
        else:
            gap = found if isinstance(found, Gap) else None
            client.session = at_end(wish, edge.log, Offset(len(self.raw)), TERMS, gap)
            self.is_told(edge, cursor, gap)
            client.begins_at = len(self.shown)
        client.edge = edge

    def is_told(self, edge: Edge, cursor: Cursor | None, gap: Gap | None) -> None:
        """Check that a gap is told where there may be one, and only there."""
        if cursor is None:
            assert gap is None
            return
        assert gap is not None
        # The log does not hold all that follows the cursor: it began later, or has forgotten.
        assert gap.reason == "expired"
        assert cursor.position < edge.log.tail

    @precondition(lambda self: any(client.session for client in self.clients))
    @rule(data=st.data(), times=st.integers(1, 5))
    def client_reads(self, data: st.DataObject, times: int) -> None:
        """Send a client what is next."""
        client = data.draw(st.sampled_from([client for client in self.clients if client.session]))
        assert client.session is not None
        assert client.edge is not None
        for _ in range(times):
            self.serve(client, client.session, client.edge.log)
        if has_fallen_behind(client.session, client.edge.log):
            client.session = None

    def serve(self, client: Client, session: Session, log: Log) -> None:
        """Send a client one write, and check that it is what the client is due."""
        for message in messages(take(session, log, WRITE_BYTES), session.encoding):
            if message["action"] == "welcome":
                client.cursor = message["payload"]["cursor"]
                client.next = client.next if client.begins_at is None else client.begins_at
                continue
            assert message["payload"]["id"] == self.shown[client.next]
            client.next += 1
            client.cursor = message["cursor"]

    @invariant()
    def edges_agree(self) -> None:
        """Compare what each edge's log holds with what is to be shown, whatever it has read and forgotten."""
        for edge in self.edges:
            log = edge.log
            assert log.next_offset is not None
            end = self.shown_before[log.next_offset]
            got = []
            session = Session(log.tail, PLAIN)
            while session.position < log.head:
                got += [message["payload"]["id"] for message in messages(take(session, log, WRITE_BYTES))]
            offset, index = place_of(log.tail)
            assert got == self.shown[self.shown_before[offset + 1 if index else offset] : end]
            assert log.back(log.head, len(got)) == (log.tail if got else log.head)
            kept = log.position_at(log.next_offset)
            assert [log.back(kept, len(got) + 1), log.back(kept, 0)] == [log.tail, log.head]

    def teardown(self) -> None:
        """In the end every client that is connected sees everything up to the end."""
        for client in self.clients:
            if client.edge in self.edges:
                self.read(client.edge)
            if client.session is None or client.edge is None:
                continue
            session, log = client.session, client.edge.log
            self.serve(client, session, log)
            while not has_fallen_behind(session, log) and session.position < log.head:
                self.serve(client, session, log)
            assert has_fallen_behind(session, log) or client.next == len(self.shown)


TestFeed = Feed.TestCase
TestFeed.settings = settings(max_examples=300, stateful_step_count=40)
