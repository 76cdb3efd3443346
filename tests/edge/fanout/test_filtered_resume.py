"""Clients whose filters change at any time, and who are cut off and come back: asking everybody is the oracle.

A client sees exactly the posts that it had chosen when the feed passed its place, in order and once, however often it
is cut off: it comes back with its newest cursor, and with the filter of then or with another one.
"""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.fanout.hub import Hub
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Cursor, Resume, parse
from edge.feed.selection import Selection
from edge.wire.messages import filtered
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED
from streams.contract import Offset
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.records import messages, publication, record

CHOICES = (None, Selection([0]), Selection([1, 2]), Selection([9]), Selection([]))
AUTHORS = 3

actions = st.one_of(
    st.tuples(st.just("posts"), st.lists(st.integers(0, AUTHORS - 1), max_size=6)),
    st.tuples(st.just("selects"), st.sampled_from(CHOICES)),
    st.tuples(st.just("returns"), st.sampled_from(CHOICES)),
    st.tuples(st.just("holds"), st.just(None)),
    st.tuples(st.just("turns"), st.integers(1, 5)),
)


class Client:
    """What a client has got, and what it should have."""

    def __init__(self, log: Log, hub: Hub, turns: Turns) -> None:
        self.log, self.hub, self.turns = log, hub, turns
        self.selection: Selection | None = None
        self.cursor = str(log.cursor_at(log.head))
        self.got: list[int] = []
        self.connect()

    def connect(self) -> None:
        """Come with the newest cursor."""
        cursor = parse(self.cursor)
        assert isinstance(cursor, Cursor)
        found = self.log.resume(cursor)
        assert isinstance(found, Resume)
        self.line, self.read = Line(self.turns), 0
        encoding = CURSOR if len(self.got) % 2 else CURSOR_DEFLATED
        self.session = Session(found.position, encoding, selection=self.selection)
        self.member = self.hub.join(self.session, self.line)

    def look(self) -> None:
        """Read what was written: each post is one that the newest filter it was told of has chosen."""
        data = b"".join(self.line.written)
        for one in messages(data, self.session.encoding)[self.read :]:
            self.read += 1
            self.cursor = one["cursor"]
            if one["action"] == "created":
                self.got.append(one["payload"]["id"])


@settings(max_examples=300, deadline=None)
@given(steps=st.lists(actions, max_size=40))
def test_each_client_sees_what_it_had_chosen_where_it_was(
    steps: list[tuple[str, list[int] | Selection | int | None]],
) -> None:
    """The oracle goes through all posts, and asks for each whether the filter of that place has chosen it."""
    log, turns = Log(limit=1 << 20, reach=1000), Turns(tick=0.0001)
    log.begin(Offset(0), Offset(0))
    log.append(Offset(0), record(publication(0, author=9)))
    hub = hub_of(log, turns, write_bytes=150)
    client = Client(log, hub, turns)
    # From which post on, by its number, which filter chooses.
    chosen: list[tuple[int, Selection | None]] = [(1, None)]
    authors = [9]
    for action, value in steps:
        if action == "posts":
            assert isinstance(value, list)
            first = len(authors)
            authors += value
            made = (publication(first + n, author=author) for n, author in enumerate(value))
            assert log.next_offset is not None
            log.append(log.next_offset, record(*made))
            hub.publish()
        elif action == "holds":
            if client.line.unsent_since is None:
                client.line.unsent_since = turns.now
                client.member.pause_writing()
            else:
                client.line.drain()
        elif action == "turns":
            assert isinstance(value, int)
            for _ in range(value):
                turns.turn()
        else:
            assert value is None or isinstance(value, Selection)
            client.look()
            if action == "selects":
                cursor = client.member.select(value)
                assert cursor is not None
                assert client.member.tell(client.session.encoding.notice(filtered(1, 0, cursor)))
                place = parse(cursor)
            else:
                client.member.leave()
                client.selection = value
                place = parse(client.cursor)
                client.connect()
            client.selection = value
            assert isinstance(place, Cursor)
            chosen.append((posts_before(log, place), value))
    client.line.room = float("inf")
    if client.line.unsent_since is not None:
        client.line.drain()
    turns.rest()
    client.look()
    assert client.got == expected(authors, chosen)
    assert client.session.position == log.head


def posts_before(log: Log, cursor: Cursor) -> int:
    """Return the number of the first post behind a cursor."""
    found = log.resume(cursor)
    assert isinstance(found, Resume)
    return log.posts - posts_behind(log, found)


def posts_behind(log: Log, found: Resume) -> int:
    """Count the posts behind a place."""
    count, position = 0, found.position
    while (some := log.authors_after(position)) is not None:
        count, position = count + len(some.authors), some.end
    return count


def expected(authors: list[int], chosen: list[tuple[int, Selection | None]]) -> list[int]:
    """Ask of each post whether it was chosen where it stands: a later choice goes back to where it took effect."""
    seen: list[int] = []
    for (begin, selection), (end, _) in zip(chosen, [*chosen[1:], (len(authors), None)], strict=True):
        seen += [n for n in range(begin, end) if selection is None or selection.has(authors[n])]
    return seen
