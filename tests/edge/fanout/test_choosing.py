"""A client that chooses other posts, wherever it is."""

from edge.fanout.session import Session
from edge.feed.position import Position
from edge.feed.selection import Selection
from edge.wire.messages import acked, filtered, welcome
from edge.wire.websocket_encodings import CURSOR
from streams.contract import Offset
from tests.edge.kit.lines import Line, Turns, hub_of
from tests.edge.kit.records import log_of, messages, publication, record

GREETING = CURSOR.notice(welcome("c", session="s", heartbeat=25))
ODD, EVEN = Selection([1]), Selection([0])


class Scene:
    """A log whose posts are by author 0 or 1, as their numbers are even or odd, and a client of author 1."""

    def __init__(self, position: int = 0, greeting: bytes = b"", room: float = float("inf")) -> None:
        self.turns = Turns()
        self.log = log_of(*(record(publication(n, author=n % 2)) for n in range(4)))
        self.hub = hub_of(self.log, self.turns)
        self.line = Line(self.turns, room)
        self.session = Session(Position(position), CURSOR, greeting, ODD)
        self.member = self.hub.join(self.session, self.line)

    def select(self, selection: Selection | None) -> str | None:
        """Choose, and have the client told of it."""
        cursor = self.member.select(selection)
        if cursor is not None:
            assert self.member.tell(CURSOR.notice(filtered(1, 0, cursor)))
        return cursor

    def publish(self, *posts: int) -> None:
        """Append a record."""
        assert self.log.next_offset is not None
        self.log.append(self.log.next_offset, record(*(publication(n, author=n % 2) for n in posts)))
        self.hub.publish()
        self.turns.rest()

    @property
    def got(self) -> list[int | str]:
        """What was written: the numbers of posts, and the actions of all else."""
        read = messages(b"".join(self.line.written))
        return [one["payload"]["id"] if one["action"] == "created" else one["action"] for one in read]


def test_what_follows_the_answer_is_chosen_by_the_new_filter() -> None:
    """For a client that has got everything: live posts from now on."""
    scene = Scene()
    scene.turns.rest()
    head = str(scene.log.cursor_at(scene.log.head))
    assert scene.select(EVEN) == head
    scene.publish(4, 5, 6)
    assert scene.select(None) is not None
    scene.publish(7, 8)
    assert scene.got == [1, 3, "filtered", 4, 6, "filtered", 7, 8]
    assert (len(scene.hub.filters), scene.hub.filters.entries) == (0, 0)


def test_it_takes_effect_where_the_client_is() -> None:
    """One that holds unsent bytes gets what the log has behind them as it has chosen now."""
    scene = Scene(room=1)
    scene.turns.rest()
    assert scene.line.unsent_since is not None
    place = scene.session.position
    scene.publish(5, 6)
    assert scene.select(EVEN) == str(scene.log.cursor_at(place))
    scene.publish(7, 8)
    assert scene.got == [1, 3]
    scene.line.drain()
    scene.turns.rest()
    assert scene.got == [1, 3, "filtered", 6, 8]


def test_the_answer_follows_the_welcome() -> None:
    """And comes before everything that is chosen now."""
    scene = Scene()
    scene.turns.rest()
    # There is work in the next turn, so that a newcomer waits.
    scene.member.leave()
    scene.line = Line(scene.turns)
    scene.member = scene.hub.join(Session(Position(0), CURSOR, GREETING, ODD), scene.line)
    assert scene.member.tell(CURSOR.notice(acked(0, "c")))
    assert not scene.member.session.is_greeted
    assert scene.select(EVEN) is not None
    scene.turns.rest()
    assert scene.got == ["welcome", "acked", "filtered", 0, 2]


def test_a_client_that_is_still_to_be_greeted_and_takes_nothing_cannot_choose() -> None:
    """Nothing has changed then: what it is told would not stand before what is chosen."""
    scene = Scene()
    line = Line(scene.turns)
    line.unsent_since = scene.turns.now
    member = scene.hub.join(Session(Position(0), CURSOR, GREETING, ODD), line)
    assert (member.select(EVEN), member.session.selection) == (None, ODD)


def test_a_client_that_the_log_has_moved_past_cannot_choose() -> None:
    """It has no place any more, and is about to be told so."""
    scene = Scene(room=1)
    scene.turns.rest()
    scene.log.begin(Offset(9), Offset(9))
    assert (scene.select(EVEN), scene.session.selection) == (None, ODD)


def test_an_answer_that_waits_is_of_before_a_gap_that_comes_meanwhile() -> None:
    """Else its cursor would lead a client back that has gone on behind the gap."""
    scene = Scene(room=1)
    scene.turns.rest()
    assert scene.select(EVEN) is not None
    for offset in (10, 20):
        scene.log.skip_to(Offset(offset))
        scene.hub.interrupt("interrupted")
        scene.turns.rest()
        # This one waits as well.
        assert scene.member.tell(CURSOR.notice(acked(offset, "c")))
    scene.line.drain(room=1)
    scene.line.drain()
    scene.publish(20, 21)
    assert scene.got == [1, 3, "filtered", "acked", "acked", "welcome", 20]
    assert scene.member.tell(CURSOR.notice(acked(1, "c")))
    assert scene.got[-1] == "acked"
