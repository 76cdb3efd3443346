"""All that can befall clients of a hub, in any order: each gets what follows its position, in order and once.

Some have tokens, which expire and are renewed: after its end a session gets nothing.

A model beside it knows for each client which posts it is due. Links hold bytes whenever they like, clients come at any
position and go at any moment, the log forgets, the feed has holes and gaps and is read anew, time passes, and the loop
turns when it turns. Clients come back to where the log has nothing any more, too: they read a replay, which goes on
when it gets to it, and then the log, and are due the uncut feed. Nobody starves, and no turn is long, whatever happens.
"""

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.access.grant import Grant
from edge.fanout.agenda import Kind
from edge.fanout.deadlines import Patience
from edge.fanout.ending import End
from edge.fanout.everybody import AT_ONCE
from edge.fanout.greetings import greet
from edge.fanout.hub import Hub
from edge.fanout.member import Member
from edge.fanout.rounds import HEAD_SECONDS, TURNS
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Gap, Resume
from edge.feed.replay import Replay
from edge.feed.seats import Seat, Step
from edge.feed.selection import Selection
from edge.feed.start import Bounds
from edge.feed.topic import Raw, Read
from edge.wire.encoding import Encoding
from edge.wire.event_encodings import EVENTS
from edge.wire.messages import filtered, welcome
from edge.wire.websocket_encodings import ENCODINGS, PLAIN
from streams.contract import Millis, Offset
from tests.edge.kit.lines import WRITE_SECONDS, Line, Turns, hub_of
from tests.edge.kit.records import everything, ids, messages, publication, record

# A log that holds some five records of a post, and a client that is sent two posts at a time.
LOG_BYTES = 5_000
WRITE_BYTES = 90
# A replay that holds some ten more than that; so often it is asked what is next in the end.
REPLAY_BYTES = 16_000
STEPS = 1_000
# How far back a record makes repeats.
REACH = 3
# Ages are reached within a run, and nobody is pinged in vain.
PATIENCE = Patience(ping=1e9, dead=2e9, stalled=1e9, age=300)
# The posts' authors are in turn 0, 1 and 2.
AUTHORS = 3
SELECTIONS = (None, Selection([0]), Selection([1, 2]), Selection([7]), Selection([]))
# After how many seconds tokens expire; some have already, and are good for some seconds more.
LIVES = (None, None, None, -29, 20, 200)
# A piece of matching or indexing is some five steps.
TICK = 0.0001
# A slice of the head, one for each record since the last turn; a slice behind it; and a cohort's writes beyond either.
COHORT = 4
TURN_WRITES = round(HEAD_SECONDS / WRITE_SECONDS) + 2 * COHORT


class Client:
    """What one client is due, beside what it got."""

    def __init__(self, hub: Hub, session: Session, line: Line, due: Iterable[int]) -> None:
        self.session = session
        self.line = line
        self.due: list[int] = []
        """The posts from its position to the head that it has selected."""
        self.owe(due)
        self.choices = 0
        """How many times it has chosen other posts."""
        self.marks: list[int] = []
        """How many posts it had been sent before each."""
        self.told: list[int] = []
        """The same, as it was told."""
        self._got: list[int] = []
        self._read = 0
        self.greeted = 0
        """How many welcomes it was sent."""
        self.greeted_before_gap = -1
        """How many before the newest gap; none is due where there was none."""
        self.member: Member = hub.join(session, line)

    def owe(self, posts: Iterable[int]) -> None:
        """Have further posts been published: everybody is asked here."""
        selection = self.session.selection
        self.due += (post for post in posts if selection is None or post % AUTHORS in selection.authors)

    @property
    def got(self) -> list[int]:
        """The posts that it was sent; each write is whole frames, and is read once."""
        for written in self.line.written[self._read :]:
            read = messages(written, self.session.encoding)
            for one in read:
                if one["action"] == "created":
                    self._got.append(one["payload"]["id"])
                elif one["action"] == "filtered":
                    assert one["payload"]["authors"] == len(self.told)
                    self.told.append(len(self._got))
            self.greeted += sum(one["action"] == "welcome" for one in read)
        self._read = len(self.line.written)
        return self._got


class Coming:
    """A client that waits for its place in a replay."""

    def __init__(self, replay: Replay[Member], seat: Seat, session: Session, room: float) -> None:
        self.replay = replay
        self.seat = seat
        self.session = session
        self.room = room


class Clients(RuleBasedStateMachine):
    """A hub with whatever happens to it."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log(limit=LOG_BYTES, reach=REACH)
        self.log.begin(Offset(0), Offset(0))
        self.uncut = Log(limit=1 << 30, reach=REACH)
        """The same feed, of which nothing is forgotten."""
        self.uncut.begin(Offset(0), Offset(0))
        self.raw: list[Raw] = []
        """The records since the feed was last read anew, or had a hole."""
        self.replays: list[Replay[Member]] = []
        self.coming: list[Coming] = []
        self.turns = Turns(TICK)
        self.hub = hub_of(self.log, self.turns, WRITE_BYTES, PATIENCE)
        self.posts = 0
        """How many posts there have been; each has its number."""
        self.known: list[int] = []
        """One that the newest record of the log had; none where there is no record."""
        self.clients: list[Client] = []
        self.gone: list[Client] = []

    @rule(
        encoding=st.sampled_from([*ENCODINGS, EVENTS]),
        back=st.integers(0, 8),
        room=st.sampled_from([0, 200, float("inf")]),
        selection=st.sampled_from(SELECTIONS),
        life=st.sampled_from(LIVES),
    )
    def comes(
        self, encoding: Encoding, back: int, room: float, selection: Selection | None, life: float | None = None
    ) -> None:
        """Join somewhere between the tail and the head; a client that asks for cursors is greeted."""
        position = self.log.back(self.log.head, back)
        due = ids(everything(self.uncut, position))
        greeting = encoding.notice(welcome("c", session="s", heartbeat=25)) if encoding.has_cursor else b""
        line = Line(self.turns, room)
        session = Session(position, encoding, greeting, selection, grant=self.grant(life))
        self.clients.append(Client(self.hub, session, line, due))

    def grant(self, life: float | None) -> Grant:
        """Make a token that expires after so long; it restricts nothing by itself."""
        return Grant("7", None, None if life is None else self.turns.now + life)

    @rule(back=st.integers(0, 8), selection=st.sampled_from(SELECTIONS))
    def crowd_comes(self, back: int, selection: Selection | None) -> None:
        """Join with more than are served before the loop gets a turn."""
        for _ in range(12):
            self.comes(PLAIN, back, float("inf"), selection)

    @precondition(lambda self: self.log.shows_what_comes and self.raw)
    @rule(
        encoding=st.sampled_from([*ENCODINGS, EVENTS]),
        back=st.integers(0, 40),
        room=st.sampled_from([0, 200, float("inf")]),
        selection=st.sampled_from(SELECTIONS),
        life=st.sampled_from(LIVES),
        count=st.sampled_from([1, 1, 12]),
    )
    def comes_back(
        self,
        *,
        encoding: Encoding,
        back: int,
        room: float,
        selection: Selection | None,
        life: float | None,
        count: int,
    ) -> None:
        """Have some come that have seen what was long ago, perhaps one that can take nothing among others that can.

        They look for their place in a replay even where the log has it: it may when they are let in.
        """
        position = self.uncut.back(self.uncut.head, back)
        seat = Seat(self.uncut.cursor_at(position))
        replay = next((replay for replay in self.replays if replay.may_share(seat)), None)
        if replay is None:
            replay = Replay(Log(limit=REPLAY_BYTES, reach=REACH), first=seat.first, reach=REACH, address="a")
            begin = replay.begin(Bounds(self.raw[0].offset, Offset(self.raw[-1].offset + 1)))
            assert not isinstance(begin, Gap)
            self.replays.append(replay)
        for number in range(count):
            seat = Seat(self.uncut.cursor_at(position))
            replay.sit(seat)
            session = Session(position, encoding, selection=selection, grant=self.grant(life))
            self.coming.append(Coming(replay, seat, session, float("inf") if number else room))

    @precondition(lambda self: self.replays)
    @rule(data=st.data(), steps=st.integers(1, 20))
    def replay_goes_on(self, data: st.DataObject, steps: int) -> None:
        """Do what a replay says is next, as its task does."""
        replay = data.draw(st.sampled_from(self.replays))
        for _ in range(steps):
            if not self.step(replay):
                break

    def step(self, replay: Replay[Member]) -> bool:
        """Do it; tell whether it was anything but waiting."""
        assert self.log.next_offset is not None
        step = replay.step(self.turns.now, self.log.next_offset)
        if replay.left_behind:
            slow, replay.left_behind = replay.left_behind, []
            self.hub.leave_behind(slow)
        if step is Step.READ:
            behind = replay.log.next_offset if replay.log.next_offset is not None else Offset(0)
            read = [raw for raw in self.raw if raw.offset >= behind][:3]
            assert replay.take(Read(read, Offset(read[-1].offset + 1), self.log.next_offset)) is None
        elif step is Step.APPEND:
            assert not isinstance(replay.append(), Gap)
            self.hub.wake(replay)
        waited = len(self.coming)
        self.let_in(replay)
        if replay.is_over:
            self.replays.remove(replay)
        # One that was let in wants what the replay has not read yet.
        return step in {Step.READ, Step.APPEND} or len(self.coming) < waited

    def let_in(self, replay: Replay[Member]) -> None:
        """Have those join whose place was reached; those for whom it was not kept come no more."""
        for each in [each for each in self.coming if each.replay is replay]:
            if each.seat not in replay.seats:
                self.coming.remove(each)
                continue
            if not replay.has_reached(each.seat):
                continue
            self.coming.remove(each)
            position = replay.place(each.seat)
            if isinstance(position, Gap):
                # Behind a gap the first records may repeat what is not there any more.
                assert position == Gap("expired")
                assert 0 < self.raw[0].offset > each.seat.first - REACH
                replay.stand_up(each.seat)
                continue
            resume = self.uncut.resume(each.seat.cursor)
            assert isinstance(resume, Resume)
            due = ids(everything(self.uncut, resume.position))
            session = each.session
            session.skip_to(position)
            greet(session, self.log, PATIENCE.heartbeat, source=replay.log)
            session.progress.replay = replay
            self.clients.append(Client(self.hub, session, Line(self.turns, each.room), due))
            replay.stand_up(each.seat)
            assert session.replay is replay or session.position >= self.log.tail

    def begin_anew(self) -> None:
        """Forget the records before a gap, with all replays of them."""
        self.raw.clear()
        self.coming.clear()
        for replay in self.replays:
            replay.end()
        self.replays.clear()

    @rule(count=st.integers(2, 12))
    def records(self, count: int) -> None:
        """Append so many that the log forgets as many others."""
        for _ in range(count):
            self.record(1)

    @rule(count=st.integers(0, 4))
    def record(self, count: int) -> None:
        """Append a record, perhaps one that shows nothing: none of it is new, or it only lets a gap be told."""
        assert self.log.next_offset is not None
        posts = range(self.posts + 1, self.posts + count + 1)
        self.posts += count
        for client in self.clients:
            if not client.member.is_over and self.log.shows_what_comes:
                client.owe(posts)
        made = (publication(post, author=post % AUTHORS) for post in (*posts, *self.known))
        raw = Raw(self.log.next_offset, record(*made), Millis(0))
        self.raw.append(raw)
        for log in (self.log, self.uncut):
            log.append(*raw)
        self.known = list(posts)[-1:] or self.known
        self.hub.publish()

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), selection=st.sampled_from(SELECTIONS), life=st.sampled_from((0, *LIVES)))
    def selects(self, data: st.DataObject, selection: Selection | None, life: float | None) -> None:
        """Have a client choose other posts: it is told where, and what follows is due as it has chosen.

        Or have it bring another token, which allows these.
        """
        client = data.draw(st.sampled_from(self.clients))
        if not client.session.encoding.has_cursor:
            return
        was_over = client.member.is_over
        if life == 0:
            cursor = client.member.select(selection)
        else:
            if not client.member.renew(self.grant(life), selection):
                return
            # It is where it was; one that waited to be told of a gap has been told.
            cursor = client.member.cursor()
        if cursor is None:
            # A session that sees the same goes on with another token wherever it is.
            assert life == 0 or client.session.selection is selection
            return
        assert not was_over
        assert client.member.tell(client.session.encoding.notice(filtered(7, client.choices, cursor)))
        client.choices += 1
        position = client.session.position
        assert cursor == str(self.uncut.cursor_at(position))
        # What it was sent before is what it was due before; all that the log has behind is due as it has chosen now.
        sent = client.session.sent
        client.due = client.due[:sent]
        client.marks.append(sent)
        client.owe(ids(everything(self.uncut, position)))

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
        """Have a pong that does not fit; none is sent behind a close, nor by a connection that was cut."""
        client = data.draw(st.sampled_from(self.clients))
        if client.line.unsent_since is None and not client.line.ends:
            client.line.unsent_since = self.turns.now
            client.member.pause_writing()

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), closes=st.booleans())
    def goes(self, data: st.DataObject, closes: bool) -> None:
        """End a connection, or have its client close it first."""
        client = data.draw(st.sampled_from(self.clients))
        if closes:
            client.member.stop()
            self.nothing_more_is_due()
            return
        self.clients.remove(client)
        self.gone.append(client)
        client.member.leave()
        client.due = list(client.got)

    @rule(seconds=st.sampled_from([0, 1, 60]))
    def all_end(self, seconds: float) -> None:
        """Tell the hub to end all, over some time."""
        self.hub.end_all(End.SHUTDOWN, seconds)
        self.nothing_more_is_due()

    @rule(seconds=st.sampled_from([0.01, 1, 200]))
    def time_passes(self, seconds: float) -> None:
        """Have closings that are due then come up, and turn whenever something is due."""
        self.turns.sleep(seconds)
        self.nothing_more_is_due()

    @rule()
    def turn(self) -> None:
        """Have the loop go round once: no turn is long."""
        before = len(self.turns.written)
        ended = sum(bool(client.line.ends) for client in self.clients)
        self.turns.turn()
        assert len(self.turns.written) - before <= TURN_WRITES
        assert sum(bool(client.line.ends) for client in self.clients) - ended <= 2 * AT_ONCE
        self.nothing_more_is_due()

    @rule(missing=st.integers(1, 3))
    def hole(self, missing: int) -> None:
        """Have offsets missing: the feed goes on behind them, and it is a gap where they would have been shown."""
        assert self.log.next_offset is not None
        offset = Offset(self.log.next_offset + missing)
        is_gap = self.log.is_hole_before(offset)
        for log in (self.log, self.uncut):
            log.skip_to(offset)
        self.known = []
        if is_gap:
            self.interrupt()
        else:
            self.begin_anew()
        # As a source does, after whatever it has read.
        self.hub.publish()

    @rule(unread=st.integers(0, 2), is_made_anew=st.booleans())
    def gap(self, unread: int, is_made_anew: bool) -> None:
        """Read the feed anew, ``unread`` records before what is shown: until these are read the gap cannot be told.

        It is the same topic, further on, or one that was made anew and has fewer records.
        """
        assert self.log.next_offset is not None
        again = Offset(0 if is_made_anew else self.log.next_offset + 5)
        for log in (self.log, self.uncut):
            log.begin(again, Offset(again + unread))
        self.known = []
        self.interrupt()

    def interrupt(self) -> None:
        """Have the hub told: what was due is due no more, also to clients that cannot be told."""
        for client in self.clients:
            client.due = list(client.got)
            client.greeted_before_gap = client.greeted
        self.begin_anew()
        self.hub.interrupt("interrupted")

    def nothing_more_is_due(self) -> None:
        """Note that sessions that have ended are due what they got."""
        for client in self.clients:
            if client.member.is_over:
                client.due = list(client.got)

    @invariant()
    def nobody_gets_what_is_not_due(self) -> None:
        """Compare: what was sent is the beginning of what is due."""
        for client in (*self.clients, *self.gone):
            assert client.got == client.due[: len(client.got)]
            assert client.told == client.marks[: len(client.told)]

    @invariant()
    def nobody_lags_when_nobody_does(self) -> None:
        """Compare what is measured, when there is nothing to do, with where those are that go on."""
        going = [client for client in self.clients if not client.member.is_over]
        # Before that all that go on behind a gap wait for its cursor.
        is_quiet = self.log.shows_what_comes and not self.turns.due
        if is_quiet and all(client.session.position == self.log.head for client in going):
            held = sum(client.line.unsent_since is not None for client in self.clients)
            assert self.hub.lagging <= held

    @invariant()
    def nobody_comes_back_behind_a_gap_that_was_not_told(self) -> None:
        """Compare: who has a cursor to come back with was sent a welcome since the newest gap."""
        for client in self.clients:
            assert client.got == client.due[: len(client.got)]
            if client.session.encoding.has_cursor and client.member.cursor() is not None:
                assert client.greeted > client.greeted_before_gap

    @invariant()
    def readers_are_clients_that_go_on(self) -> None:
        """Compare: a replay's readers are those that read it."""
        for replay in self.replays:
            reading = {client.member for client in self.clients if client.session.replay is replay}
            assert replay.readers.keys() <= reading

    @invariant()
    def ends_have_reasons(self) -> None:
        """Only a client that fell behind, is old, lost its token or cannot be told of a gap is ended, and each once."""
        for client in self.clients:
            assert client.line.ends[1:] in ([], ["aborted"])
            assert set(client.line.ends[:1]) <= {End.FELL_BEHIND, End.INTERRUPTED, End.SHUTDOWN, End.AGED, End.EXPIRED}
            assert client.line.ends[:1] != [End.EXPIRED] or client.session.grant is not None
            assert client.line.ends[:1] != [End.INTERRUPTED] or not client.session.encoding.has_cursor

    @invariant()
    def the_agenda_knows_who_waits(self) -> None:
        """Every client that goes on, is not paused and lacks something is on it, but for those before a gap."""
        waits = self.hub.waits()
        assert all(wait.oldest >= 0 for wait in waits.values())
        on_it = sum(wait.clients for kind, wait in waits.items() if kind is not Kind.CLOSINGS)
        assert on_it <= self.hub.lagging <= len(self.hub) + len(self.clients) + len(self.gone)

    def all_drain(self) -> None:
        """Have all sockets take whatever comes."""
        for client in self.clients:
            client.line.room = float("inf")
            if client.line.unsent_since is not None:
                client.line.drain()

    def teardown(self) -> None:
        """In the end all sockets drain, the loop turns a bounded number of times, and everybody has all that is due."""
        assert self.log.next_offset is not None
        while not self.log.shows_what_comes:
            self.record(1)
        self.all_drain()
        for _ in range(STEPS):
            is_busy = [self.step(replay) for replay in list(self.replays)]
            if not self.turns.due and not any(is_busy):
                break
            self.all_drain()
            self.turn()
        assert not self.coming
        assert all(client.session.replay is None for client in self.clients if not client.member.is_over)
        pieces = 5 * sum(3 + len(client.due) for client in self.clients) + 10
        for _ in range(pieces * (TURNS + 1)):
            if not self.turns.due:
                break
            self.turn()
        assert not self.turns.due
        for client in self.clients:
            assert client.member.is_over or client.got == client.due
            assert client.member.is_over or client.told == client.marks
            assert client.member.is_over or client.session.position == self.log.head
        assert self.hub.lagging == 0
        assert self.hub.delivery.posts == sum(len(client.got) for client in (*self.clients, *self.gone))
        assert [client.session.sent for client in self.clients] == [len(client.got) for client in self.clients]
        for client in self.clients:
            client.member.leave()
        self.turns.rest()
        assert (len(self.hub.filters), self.hub.filters.entries) == (0, 0)


TestClients = Clients.TestCase
TestClients.settings = settings(max_examples=200, stateful_step_count=30)
