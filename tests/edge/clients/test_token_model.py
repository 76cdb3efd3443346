"""Tokens that are renewed and expire, filters, and posts, in any order: what is seen is what is allowed in its place.

The client reads its messages as one does that knows nothing of the edge: what follows an ``authorized`` is what the new
token allows, what follows a ``filtered`` what the new filter chooses; after 4501 it comes back by its newest cursor and
with another token. So it sees each post once that both allow at the post's place, in order, and no other.
"""

import json
import math
from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.access.grant import LEEWAY_SECONDS, Grant
from edge.clients.conversation import Conversation, Tally
from edge.clients.unacknowledged import Unacknowledged
from edge.clients.view import view
from edge.fanout.deadlines import GRAIN_SECONDS, Patience
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Cursor, Resume, parse
from edge.feed.selection import Selection, Selections
from edge.wire.allowance import Violation
from edge.wire.encoding import Notice
from edge.wire.events import Message
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED, PLAIN
from streams.contract import Offset
from tests.edge.fanout.test_filtered_resume import expected, posts_before
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import messages, publication, record
from tests.edge.kit.sign_in import Desk

UTC = 1_704_067_200.0
AUTHORS = 4
QUIET = Patience(ping=1e9, dead=2e9, stalled=1e9, heartbeat=1e9)

claims = st.sampled_from([None, (0,), (1, 2), (0, 1, 3), ()])
lives = st.sampled_from([None, 5, 40, 200])
actions = st.one_of(
    st.tuples(st.just("posts"), st.lists(st.integers(0, AUTHORS - 1), max_size=6)),
    st.tuples(st.just("brings"), st.tuples(claims, lives, st.booleans())),
    st.tuples(st.just("chooses"), st.sampled_from([[], [0], [1, 2], [3]])),
    st.tuples(st.just("returns"), st.tuples(claims, lives)),
    st.tuples(st.sampled_from(["holds", "fetches"]), st.none()),
    st.tuples(st.just("goes_round"), st.integers(1, 5)),
    st.tuples(st.just("passes"), st.sampled_from([0.6, 20, 36])),
    st.tuples(st.just("runs_out"), st.none()),
    st.tuples(st.just("sleeps"), st.sampled_from([0.6, 3, 20, 36, 100])),
)


def both(claim: tuple[int, ...] | None, asked: list[int]) -> Selection | None:
    """Say by sets what a client sees."""
    if claim is None:
        return Selection(asked) if asked else None
    return Selection(set(claim) & (set(asked) if asked else set(range(AUTHORS))))


class Client:
    """A client, and the hub's side of it, which notes where what takes effect."""

    def __init__(self, log: Log, hub: Hub, turns: Turns) -> None:
        self.log, self.hub, self.turns = log, hub, turns
        self.selections = Selections(limit=1000)
        self.desk = Desk()
        self.tokens = 0
        self.newest = str(log.cursor_at(log.head))
        self.got: list[int] = []
        self.asked: list[int] = []
        self.chosen: list[tuple[int, Selection | None]] = []
        """From which post on, by its number, what is seen."""
        self.comes(None, None)

    def grant(self, claim: tuple[int, ...] | None, life: float | None) -> Grant:
        """Make a grant that lives so long; no two expire in one second."""
        self.tokens += 1
        end = None if life is None else UTC + self.turns.now - 1000 + life + self.tokens * 1e-3
        return Grant("7", None if claim is None else Selection(claim), end)

    def comes(self, claim: tuple[int, ...] | None, life: float | None) -> None:
        """Connect with the newest cursor, and another token."""
        cursor = parse(self.newest)
        assert isinstance(cursor, Cursor)
        found = self.log.resume(cursor)
        assert isinstance(found, Resume)
        self.claim, self.now_asked = claim, list(self.asked)
        self.chosen.append((posts_before(self.log, cursor), both(claim, self.asked)))
        grant = self.grant(claim, life)
        seen = view(self.selections, grant, Selection(self.asked) if self.asked else None)
        assert seen is not None
        self.encoding = CURSOR if self.tokens % 2 else CURSOR_DEFLATED
        self.session = Session(
            found.position, self.encoding, selection=seen.selection, id="s", grant=grant, asked=seen.asked
        )
        self.line, self.read, self.requests, self.places = Line(self.turns), 0, deque[tuple[str, Any]](), deque[int]()
        self.tokens_taken, self.tokens_told = 1, 0
        self.is_over = False
        self.conversation = Conversation(
            self.session,
            self,
            Tally(),
            self.selections,
            ready=self.ready,
            bearers=self.desk,
            unacknowledged=Unacknowledged(),
        )
        self.member: Member = self.hub.join(self.session, self.line)

    def select(self, selection: Selection | None) -> str | None:
        """Note where that takes effect."""
        cursor = self.member.select(selection)
        if cursor is not None:
            self.note(cursor)
        return cursor

    def renew(self, grant: Grant, selection: Selection | None) -> bool:
        """Note where that takes effect."""
        cursor = self.member.cursor()
        is_renewed = self.member.renew(grant, selection)
        if is_renewed:
            assert cursor is not None
            self.note(cursor)
        return is_renewed

    def note(self, token: str) -> None:
        """Keep the number of the next post."""
        place = parse(token)
        assert isinstance(place, Cursor)
        self.places.append(posts_before(self.log, place))

    def tell(self, data: bytes) -> bool:
        """Pass it on."""
        return self.member.tell(data)

    def cursor(self) -> str | None:
        """Pass it on."""
        return self.member.cursor()

    def leave(self) -> None:
        """Never."""

    pause_writing = resume_writing = stop = expect_close = leave

    def asks(self, action: str, value: Any, payload: dict[str, Any]) -> None:
        """Say something; see to the answers that come at once."""
        if self.line.ends:
            return
        self.requests.append((action, value))
        said = Message(json.dumps({"action": action, "payload": payload}).encode(), is_text=True)
        self.answered(self.conversation.answer(said, self.turns.now))

    def ready(self) -> None:
        """See to answers that come later."""
        self.answered(self.conversation.answers(self.turns.now))

    def answered(self, answers: Any) -> None:
        """Compare the answers with the requests, and know what is seen from where on."""
        if isinstance(answers, Violation):
            # Too often put off: the session ends, and what it asked for is not done.
            self.member.leave()
            self.look()
            self.comes(self.claim, None)
            return
        for answer in answers:
            assert isinstance(answer, Notice)
            action, value = self.requests.popleft()
            if answer.action == "authorized":
                self.claim = value
                self.tokens_taken += 1
            elif answer.action == "filtered":
                self.now_asked = self.asked = value
            else:
                assert answer.action == "error"
                continue
            assert answer.action == {"token": "authorized", "filter": "filtered"}[action]
            self.chosen.append((self.places.popleft(), both(self.claim, self.now_asked)))
            assert self.member.tell(self.encoding.notice(answer))

    def look(self) -> None:
        """Read what was written, and be told of each token once."""
        for one in messages(b"".join(self.line.written), self.encoding)[self.read :]:
            self.read += 1
            self.newest = one.get("cursor", self.newest)
            if one["action"] == "created":
                self.got.append(one["payload"]["id"])
            self.tokens_told += one["action"] == "expiring"
        assert self.tokens_told <= self.tokens_taken
        assert self.line.ends[1:] in ([], ["aborted"])
        assert set(self.line.ends[:1]) <= {End.EXPIRED}

    @property
    def left(self) -> float:
        """For how many seconds its session may go on."""
        grant = self.session.grant
        assert grant is not None
        end = math.inf if grant.expires_at is None else grant.expires_at + LEEWAY_SECONDS
        return end - (UTC + self.turns.now - 1000)


class World:
    """A client, and somebody who sees everything and is served beside it all the time."""

    def __init__(self) -> None:
        self.log, self.turns = Log(limit=1 << 20, reach=1000), Turns(tick=0.0001)
        self.log.begin(Offset(0), Offset(0))
        self.log.append(Offset(0), record(publication(0, author=9)))
        self.hub = Hub(
            self.log,
            write_bytes=150,
            write_each=self.turns.write_each,
            patience=QUIET,
            loop=self.turns,
            cohort_size=4,
            share=lambda: 0.5,
            clock=lambda: UTC + self.turns.now - 1000,
        )
        self.bystander = Line(self.turns)
        self.hub.join(Session(self.log.head, PLAIN), self.bystander)
        self.client = Client(self.log, self.hub, self.turns)
        self.authors = [9]

    def posts(self, authors: list[int]) -> None:
        """Append a record."""
        first = len(self.authors)
        self.authors += authors
        assert self.log.next_offset is not None
        made = (publication(first + n, author=author) for n, author in enumerate(authors))
        self.log.append(self.log.next_offset, record(*made))
        self.hub.publish()

    def brings(self, token: tuple[tuple[int, ...] | None, float | None, bool]) -> None:
        """Have the client bring another token, whose key may have to be fetched first."""
        claim, life, is_known = token
        name = str(self.client.tokens)
        self.client.desk.grants[name] = self.client.grant(claim, life)
        if not is_known:
            self.client.desk.unknown.add(name)
        self.client.asks("token", claim, {"token": name})

    def chooses(self, authors: list[int]) -> None:
        """Have it choose a filter."""
        self.client.asks("filter", authors, {"authors": authors})

    def fetches(self, _: None) -> None:
        """Have all keys arrive."""
        self.client.desk.fetch()

    def holds(self, _: None) -> None:
        """Have its socket take nothing, or again what it holds."""
        line = self.client.line
        if line.unsent_since is None:
            line.unsent_since = self.turns.now
            self.client.member.pause_writing()
        else:
            line.drain()

    def goes_round(self, times: int) -> None:
        """Have the loop turn; in one turn an end is noticed."""
        for _ in range(times):
            self.client.is_over = self.client.is_over or self.client.left < -GRAIN_SECONDS
            self.turns.turn()

    def runs_out(self, _: None) -> None:
        """Have the client's token run out, which is noticed, and nothing done about it yet."""
        if math.isfinite(self.client.left):
            self.passes(self.client.left + 2 * GRAIN_SECONDS)
            self.goes_round(1)

    def passes(self, seconds: float) -> None:
        """Have time pass while the loop is busy elsewhere."""
        self.turns.now += seconds

    def sleeps(self, seconds: float) -> None:
        """Have time pass; a session goes on as long as its token is good, and no longer."""
        self.turns.sleep(seconds)
        if self.client.left < -2 * GRAIN_SECONDS:
            assert self.client.line.ends
        assert self.client.left <= 0 or not self.client.line.ends

    def returns(self, token: tuple[tuple[int, ...] | None, float | None]) -> None:
        """Have the client come back."""
        self.client.look()
        self.client.member.leave()
        self.client.comes(*token)

    def settle(self) -> None:
        """Have everything done."""
        if self.client.line.unsent_since is not None:
            self.client.line.drain()
        self.turns.rest()
        self.client.look()


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(actions, min_size=10, max_size=40))
def test_what_is_seen_is_what_is_allowed_where_it_stands(steps: list[tuple[str, Any]]) -> None:
    """Each post once, in order, and after its end a session is sent nothing."""
    world = World()
    for action, value in steps:
        client = world.client
        line, was_over, written = client.line, client.is_over, len(client.line.written)
        getattr(world, action)(value)
        assert not was_over or len(line.written) == written
        if client.line.ends:
            world.returns((None, 200))
    world.settle()
    if world.client.member.is_over:
        world.returns((None, None))
        world.settle()
    assert world.client.got == expected(world.authors, world.client.chosen)
    assert world.client.session.position == world.log.head
    assert world.bystander.got == list(range(1, len(world.authors)))
