"""A feed, a log that holds little of it, and readers that come back far behind: replay and log are the uncut feed.

The model decides from the raw records alone what is shown. Whatever is appended, read, cut off by retention, missing or
broken off meanwhile, and however slow readers are, each gets what follows its cursor in order and once, or is told that
it does not; nobody is told of missing records that were not due to it. What is done here for a replay the shell does,
with Kafka.
"""

from collections.abc import Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.fanout.sources import meets
from edge.feed.log import Log
from edge.feed.position import Cursor, Gap, Position, Reason, Resume, place_of
from edge.feed.reads import Reading
from edge.feed.replay import LINGER_SECONDS, LONGEST_SECONDS, Replay
from edge.feed.seats import Seat, Step
from edge.feed.start import Bounds
from edge.feed.topic import Raw, Read
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Millis, Offset
from tests.edge.kit.records import messages, parse_cursor, record

REACH, AGE = 4, Millis(30)
LIVE_BYTES, REPLAY_BYTES, WRITE_BYTES = 4_000, 9_000, 300


class Client:
    """A client: the cursor that it has, which post is due next, and what it reads just now."""

    def __init__(self, cursor: Cursor, due: int) -> None:
        self.cursor = cursor
        self.due = due
        self.position = Position(0)
        self.replay: Replay[Client] | None = None
        self.seat: Seat | None = None
        self.is_live = False

    @property
    def is_away(self) -> bool:
        """Whether it reads nothing."""
        return not (self.is_live or self.replay)


class Behind(RuleBasedStateMachine):
    """All of it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.time = 0
        self.records: list[list[int]] = []
        self.raw: list[Raw | None] = []
        """The feed's records; None for one that is missing."""
        self.begin = 0
        self.shown: list[int] = []
        self.live = Log(limit=LIVE_BYTES, reach=REACH, age=AGE)
        self.live.begin(Offset(0), Offset(0))
        self.replays: list[Replay[Client]] = []
        self.reading: dict[int, int] = {}
        self.clients: list[Client] = []
        self.told = 0

    @rule(fresh=st.integers(0, 3), repeats=st.lists(st.integers(0, 40), max_size=3), passed=st.integers(0, 12))
    def grows(self, fresh: int, repeats: list[int], passed: int) -> None:
        """Write a record, of new posts and of some that the feed has had."""
        self.time += passed
        top = max((post for posts in self.records for post in posts), default=0)
        known = [post for posts in self.records for post in posts]
        posts = [*range(top + 1, top + 1 + fresh), *(known[index % len(known)] for index in repeats if known)]
        for place, post in enumerate(posts):
            if not self.is_repeat(post, posts[:place]):
                self.shown.append(post)
        self.records.append(posts)
        raw = Raw(Offset(len(self.raw)), record(*posts), Millis(self.time))
        self.raw.append(raw)
        self.live.append(*raw)

    @rule(count=st.integers(1, 20))
    def grows_much(self, count: int) -> None:
        """Write some records, each of a post."""
        for _ in range(count):
            self.grows(1, [], 1)

    @rule(count=st.integers(1, 5))
    def goes_missing(self, count: int) -> None:
        """Have the feed go on behind records that are missing: all that read it are told, as its source does."""
        self.records += [[] for _ in range(count)]
        self.raw += [None] * count
        self.live.skip_to(Offset(len(self.raw)))
        going = [client for client in self.clients if client.is_live]
        for replay in self.replays:
            going += replay.end()
        self.sweep()
        for client in going:
            self.tell(client, "interrupted")

    def is_repeat(self, post: int, before: Sequence[int]) -> bool:
        """Decide by the law's own words."""
        if post in before:
            return True
        for raw, posts in reversed(list(zip(self.raw[-REACH:], self.records[-REACH:], strict=True))):
            if raw is not None and post in posts:
                return raw.timestamp >= self.time - AGE
        return False

    @rule(count=st.integers(1, 8))
    def is_cut(self, count: int) -> None:
        """Have retention remove the oldest records."""
        self.begin = min(self.begin + count, len(self.raw))

    @rule(back=st.integers(0, 40))
    def client_begins(self, back: int) -> None:
        """Have a client that has seen everything up to a record that its edge has read, or to the middle of it."""
        if not self.raw:
            return
        full = Log(limit=1 << 30, reach=REACH, age=AGE)
        full.begin(Offset(0), Offset(0))
        for raw in self.raw:
            if raw is not None:
                full.skip_to(raw.offset)
                full.append(*raw)
        full.skip_to(Offset(len(self.raw)))
        position = full.back(full.head, back)
        due = len(self.shown) - min(back, full.posts)
        self.clients.append(Client(full.cursor_at(position), due))

    @rule(back=st.integers(8, 40), slow=st.integers(0, 11), rounds=st.integers(1, 60))
    def crowd_comes(self, back: int, slow: int, rounds: int) -> None:
        """Have many come back at once that were at one place, and all of them read but one, or some of them."""
        first = len(self.clients)
        for _ in range(12):
            self.client_begins(back)
        crowd = self.clients[first:]
        for client in crowd:
            self.come(client)
        for _ in range(rounds):
            for replay in list(self.replays):
                self.step(replay)
            for client in crowd[1:] if slow else crowd[6:]:
                self.read(client)
            self.now += 0.3

    @precondition(lambda self: any(client.is_away for client in self.clients))
    @rule(data=st.data())
    def client_comes(self, data: st.DataObject) -> None:
        """Have a client connect with its cursor."""
        self.come(data.draw(st.sampled_from([client for client in self.clients if client.is_away])))

    def come(self, client: Client) -> None:
        """Connect a client."""
        match self.live.resume(client.cursor):
            case Resume(position):
                client.position, client.is_live = position, True
            case found:
                assert found == Gap("expired")
                self.sit_down(client)

    def sit_down(self, client: Client) -> None:
        """Keep a place for a client, in a replay that it may share or in its own."""
        seat = Seat(client.cursor)
        replay = next((replay for replay in self.replays if replay.may_share(seat)), None)
        if replay is None:
            log = Log(limit=REPLAY_BYTES, reach=REACH, age=AGE)
            replay = Replay(log, first=seat.first, reach=REACH, address="a")
            self.replays.append(replay)
            self.connect(replay)
        client.replay, client.seat = replay, seat
        replay.sit(seat)

    def connect(self, replay: Replay[Client]) -> None:
        """Have a replay begin to read, or go on."""
        match replay.begin(Bounds(Offset(self.begin), Offset(len(self.raw)))):
            case Gap() as gap:
                self.fail(replay, gap)
            case offset:
                self.reading[id(replay)] = offset

    def fail(self, replay: Replay[Client], gap: Gap) -> None:
        """Have a replay end, and tell its readers, and those for whom it keeps a place: they go on live."""
        waiting = [client for client in self.clients if client.seat in replay.seats]
        for client in (*replay.end(), *waiting):
            self.tell(client, gap.reason)
        self.sweep()

    def tell(self, client: Client, reason: Reason) -> None:
        """Tell a client that it has missed something that is really gone, and have it go on at the end."""
        self.told += 1
        if reason == "interrupted":
            first, _ = place_of(client.cursor.position)
            assert None in self.raw[first:]
        else:
            assert (reason, self.begin > 0) == ("expired", True)
        client.replay = client.seat = None
        client.position, client.due, client.is_live = self.live.head, len(self.shown), True
        client.cursor = self.live.cursor_at(self.live.head)

    def sweep(self) -> None:
        """Forget replays that are over; who had a place in one comes again."""
        for client in self.clients:
            if client.seat is not None and client.replay is not None and client.replay.is_over:
                client.replay = client.seat = None
        self.replays = [replay for replay in self.replays if not replay.is_over]

    @precondition(lambda self: self.replays)
    @rule(data=st.data(), steps=st.integers(1, 12))
    def replay_steps(self, data: st.DataObject, steps: int) -> None:
        """Do what a replay says is next."""
        replay = data.draw(st.sampled_from(self.replays))
        for _ in range(steps):
            if not self.step(replay):
                break

    def step(self, replay: Replay[Client]) -> bool:
        """Do it; tell whether it was anything but waiting."""
        assert self.live.next_offset is not None
        step = replay.step(self.now, self.live.next_offset)
        gap: Gap | None = None
        if step is Step.READ:
            at = self.reading[id(replay)]
            if at < self.begin:
                self.connect(replay)
                return not replay.is_over
            read = self.raw[at : at + 3]
            self.reading[id(replay)] = at + len(read)
            there = [raw for raw in read if raw is not None]
            gap = replay.take(Read(there, Offset(at + len(read)), Offset(len(self.raw))))
        elif step is Step.APPEND:
            appended = replay.append()
            gap = appended if isinstance(appended, Gap) else None
        self.leave_behind(replay)
        self.seat(replay)
        if gap is not None:
            self.fail(replay, gap)
        self.sweep()
        return step in {Step.READ, Step.APPEND}

    def leave_behind(self, replay: Replay[Client]) -> None:
        """Have clients come again that the others wait for no longer."""
        for client in replay.left_behind:
            assert client.seat is None
            client.replay = None
        replay.left_behind.clear()
        for client in self.clients:
            if client.replay is replay and client.seat is not None and client.seat not in replay.seats:
                client.replay = client.seat = None

    def seat(self, replay: Replay[Client]) -> None:
        """Let in clients whose place was reached."""
        for client in self.clients:
            seat = client.seat
            if client.replay is not replay or seat is None or not replay.has_reached(seat):
                continue
            found = replay.place(seat)
            replay.stand_up(seat)
            client.seat = None
            if isinstance(found, Gap):
                assert found == Gap("expired")
                client.replay = None
                self.tell(client, "expired")
            else:
                client.position = found
                replay.enter(client)
                self.settle(client)

    def settle(self, client: Client) -> None:
        """Have a client go on in the log if it can."""
        if client.replay is not None and meets(self.live, client.position):
            client.replay.leave(client)
            client.replay, client.is_live = None, True

    @precondition(lambda self: any(not client.is_away and not client.seat for client in self.clients))
    @rule(data=st.data(), times=st.integers(1, 9))
    def client_reads(self, data: st.DataObject, times: int) -> None:
        """Send a client some writes."""
        able = [client for client in self.clients if not client.is_away and not client.seat]
        client = data.draw(st.sampled_from(able))
        for _ in range(times):
            self.read(client)

    def read(self, client: Client) -> None:
        """Send a client one write, and check that it is what is due."""
        if client.is_away or client.seat is not None:
            return
        log = self.live if client.replay is None else client.replay.log
        if client.position < log.tail:
            # It has fallen out of the log; out of a replay only when it was left behind.
            assert client.replay is None
            client.is_live = False
            return
        chunk = log.read(client.position, Reading(CURSOR), WRITE_BYTES)
        client.position = chunk.position
        if client.replay is not None:
            client.replay.sent(chunk.position)
        for message in messages(chunk.data):
            assert message["payload"]["id"] == self.shown[client.due]
            client.due += 1
            client.cursor = parse_cursor(message["cursor"])
        self.settle(client)

    @precondition(lambda self: any(not client.is_away for client in self.clients))
    @rule(data=st.data())
    def client_goes(self, data: st.DataObject) -> None:
        """End a connection, or a wait."""
        self.go(data.draw(st.sampled_from([client for client in self.clients if not client.is_away])))

    def go(self, client: Client) -> None:
        """Disconnect a client."""
        if client.replay is not None:
            client.replay.leave(client)
            if client.seat is not None:
                client.replay.stand_up(client.seat)
        client.replay = client.seat = None
        client.is_live = False

    @precondition(lambda self: self.replays)
    @rule(data=st.data())
    def connection_is_lost(self, data: st.DataObject) -> None:
        """Have a replay lose Kafka and come back."""
        self.connect(data.draw(st.sampled_from(self.replays)))

    @rule(seconds=st.sampled_from([0.1, 3, LONGEST_SECONDS]))
    def time_passes(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    @invariant()
    def bounds_hold(self) -> None:
        """Check what a replay costs, but for the newest record and the table of repeats, and who reads it."""
        for replay in self.replays:
            assert replay.log.kept.size <= replay.log.room() or len(replay.log.kept.records) == 1
            assert all(client.replay is replay for client in replay.readers)

    def teardown(self) -> None:
        """In the end everybody gets everything, or is told, and no replay is left."""
        for client in self.clients:
            for _ in range(2000):
                self.go_on(client)
                if client.is_live and client.position == self.live.head:
                    break
            assert (client.is_live, client.due) == (True, len(self.shown))
        for client in self.clients:
            self.go(client)
        for seconds in (0.0, LINGER_SECONDS):
            self.now += seconds
            for replay in list(self.replays):
                while self.step(replay):
                    pass
        assert self.replays == []

    def go_on(self, client: Client) -> None:
        """Have everybody read, and a client that is away come."""
        if client.is_away:
            self.come(client)
        for replay in list(self.replays):
            self.step(replay)
        for each in self.clients:
            self.read(each)
        self.now += 0.1


TestBehind = Behind.TestCase
TestBehind.settings = settings(max_examples=100, stateful_step_count=30)
