"""One client, without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.fanout.session import Missed, Progress, Session
from edge.feed.position import Position
from edge.feed.reads import Chunk
from edge.wire.websocket_encodings import PLAIN
from streams.contract import Offset
from tests.edge.kit.reading import take
from tests.edge.kit.records import at, ids, log_of, record

LIMIT = 1 << 16


def test_is_sent_what_follows_its_position() -> None:
    """Law 10: live, catching up and resuming are the same."""
    log = log_of(record(1, 2), record(3))
    session = Session(at(0, 1), PLAIN)
    assert ids(take(session, log, LIMIT)) == [2, 3]
    assert (session.position, session.sent) == (at(1, 1), 2)
    assert take(session, log, LIMIT) == b""
    log.append(Offset(2), record(4))
    assert ids(take(session, log, LIMIT)) == [4]


@given(st.lists(st.lists(st.integers(1, 9), max_size=3), max_size=8), st.integers(1, 200))
def test_gets_each_post_once_however_it_is_served(feed: list[list[int]], limit: int) -> None:
    """A session that takes a little after each record, and the rest at the end, got the whole feed."""
    log, got = log_of(), b""
    session = Session(log.tail, PLAIN)
    for offset, posts in enumerate(feed):
        log.append(Offset(offset), record(*posts))
        got += take(session, log, limit)
    while session.position < log.head:
        got += take(session, log, limit)
    shown = list(dict.fromkeys(post for posts in feed for post in posts))
    assert (ids(got), session.sent) == (shown, len(shown))


def test_clients_that_share_their_progress_go_on_together_and_each_counts_its_own() -> None:
    """What the others were sent before a client came is not its own, and it keeps what it had."""
    one, other = Session(Position(3), PLAIN), Session(Position(3), PLAIN)
    together = Progress(Position(3))
    one.share(together)
    together.move_on(Chunk(b"", Position(5), 2))
    other.progress.move_on(Chunk(b"", Position(5), 1))
    other.share(together)
    together.move_on(Chunk(b"", Position(9), 4))
    assert [(each.position, each.sent) for each in (one, other)] == [(9, 6), (9, 5)]
    one.share(Progress(Position(9)))
    together.move_on(Chunk(b"", Position(10), 1))
    assert [(each.position, each.sent) for each in (one, other)] == [(9, 6), (10, 6)]


def test_when_it_was_last_told_something_is_its_own_or_that_of_the_others() -> None:
    """Not what the others were told before it came to them and went on alone."""
    session, together = Session(Position(3), PLAIN), Progress(Position(3))
    session.note_told(5)
    session.share(together)
    assert session.told_at == 5
    together.told_at = 9
    assert session.told_at == 9
    session.share(Progress(Position(3)))
    together.told_at = 12
    assert session.told_at == 9


def test_what_a_client_has_missed_is_untold_until_it_is_greeted() -> None:
    session = Session(Position(3), PLAIN, greeting=b"welcome")
    assert session.untold is None
    session.missed = Missed(Position(1), "expired")
    assert session.untold == (1, "expired")
    session.progress.greeting = b""
    assert session.untold is None


@pytest.mark.parametrize("greeting", [b"new", b""])
def test_a_client_that_skips_something_keeps_its_count_and_no_older_greeting(greeting: bytes) -> None:
    """It is told of the newest gap, or of none."""
    session = Session(Position(3), PLAIN, greeting=b"old", target=Position(7))
    session.progress.move_on(Chunk(b"", Position(5), 2))
    session.skip_to(Position(1), greeting, Position(2) if greeting else None)
    assert (session.position, session.sent, session.is_greeted) == (1, 2, not greeting)
    assert (session.progress.greeting, session.progress.target) == (greeting, 2 if greeting else None)
