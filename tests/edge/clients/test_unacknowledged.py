"""How far behind clients are that acknowledge, at a bounded cost."""

from edge.clients import unacknowledged
from edge.clients.unacknowledged import Unacknowledged
from edge.fanout.session import Session
from edge.feed.position import Position
from edge.feed.reads import Chunk
from edge.feed.selection import Selection
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Millis

NOW = 1000.0
NOW_MS = Millis(60_000)


def window_after(position: Position) -> Millis | None:
    """Return the window of one of 50 posts: that at position n is of second n."""
    return Millis(1000 * position) if position < 50 else None


class Client:
    """A session that is sent posts."""

    def __init__(self, selection: Selection | None = None) -> None:
        self.session = Session(Position(0), CURSOR, selection=selection)

    def send(self, to: int, posts: int) -> None:
        """Send it so many posts, up to a position."""
        self.session.progress.move_on(Chunk(b"", Position(to), posts))


def test_nobody_who_has_dealt_with_everything_is_behind() -> None:
    """Nor who has not been sent more, whatever the feed has."""
    who, client = Unacknowledged(), Client()
    assert (len(who), who.age(window_after, NOW, NOW_MS)) == (0, 0)
    client.send(10, 10)
    who.note(client.session, Position(10), NOW)
    assert (len(who), who.age(window_after, NOW, NOW_MS)) == (1, 0)


def test_the_oldest_post_that_was_sent_and_not_acknowledged_counts() -> None:
    """Of the client that is the furthest behind; until it acknowledges or leaves."""
    who, slow, fast = Unacknowledged(), Client(), Client()
    for client in (slow, fast):
        client.send(40, 40)
    who.note(slow.session, Position(10), NOW)
    who.note(fast.session, Position(30), NOW)
    assert who.age(window_after, NOW, NOW_MS) == 50
    who.note(slow.session, Position(35), NOW)
    assert who.age(window_after, NOW, NOW_MS) == 30
    who.forget(fast.session)
    who.forget(fast.session)
    assert who.age(window_after, NOW, NOW_MS) == 25


def test_what_the_log_has_no_more_behind_it_is_no_age() -> None:
    who, client = Unacknowledged(), Client()
    client.send(60, 50)
    who.note(client.session, Position(55), NOW)
    assert who.age(window_after, NOW, NOW_MS) == 0


def test_who_selects_is_as_far_behind_as_it_was_sent_something() -> None:
    """What came between for others is none of its business."""
    who, client = Unacknowledged(), Client(Selection([7]))
    client.send(10, 1)
    who.note(client.session, Position(10), NOW)
    client.send(40, 0)
    assert who.age(window_after, NOW + 20, NOW_MS) == 0
    client.send(45, 1)
    assert who.age(window_after, NOW + 20, NOW_MS) == 20
    assert who.age(window_after, NOW + 2000, NOW_MS) == 50


def test_a_look_is_bounded_and_goes_on_behind_those_who_are_not_behind() -> None:
    """Who has dealt with everything hides nobody for long."""
    who = Unacknowledged()
    quiet = [Client() for _ in range(2 * unacknowledged.LOOKS)]
    for client in quiet:
        who.note(client.session, Position(0), NOW)
    behind = Client()
    behind.send(40, 40)
    who.note(behind.session, Position(10), NOW)
    ages = [who.age(window_after, NOW, NOW_MS) for _ in range(4)]
    assert ages == [0, 0, 50, 50]
    assert len(who) == len(quiet) + 1
