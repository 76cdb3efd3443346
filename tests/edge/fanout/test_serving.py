"""Cohorts that are served: they get what comes next, and go on from there."""

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.delivery import Delivery
from edge.fanout.member import Member
from edge.fanout.serving import Serving
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.selection import Selection
from edge.wire.messages import acked
from edge.wire.websocket_encodings import CURSOR
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import GREETING, log_of, messages, record


class Scene:
    """A log, a client, and who was dropped."""

    def __init__(self, log: Log, position: int, greeting: bytes = b"") -> None:
        self.turns = Turns()
        self.dropped: list[Member] = []
        self.failed: list[Member] = []
        self.cohorts: Cohorts[Member] = Cohorts(log.head)
        delivery = Delivery(log, self.turns.write_each, write_bytes=20, clock=self.turns.time)
        self.serving = Serving(log, self.cohorts, delivery, self.turns, drop=self.drop, fail=self.fail)
        self.line = Line(self.turns)
        self.member = Member(Keeper(), Session(Position(position), CURSOR, greeting), self.line, None, 0)
        self.line.attach(self.member)
        self.cohorts.place(self.member, Kind.NEWCOMERS, 0)

    def drop(self, member: Member) -> None:
        """Note it."""
        self.dropped.append(member)
        self.cohorts.remove(member)

    def fail(self, member: Member) -> None:
        """Note it."""
        self.failed.append(member)
        self.cohorts.remove(member)

    def serve(self, kind: Kind) -> None:
        """Serve whose turn it is."""
        self.serving.serve(self.cohorts.take(kind))

    @property
    def said(self) -> list[str]:
        """What the client was sent."""
        return [message["action"] for message in messages(b"".join(self.line.written))]


def test_a_client_goes_on_until_it_has_everything_and_rests() -> None:
    """As a laggard after its first turn; answers that waited for its greeting come behind that."""
    scene = Scene(log_of(record(1), record(2)), 0, GREETING)
    scene.member.tell(CURSOR.notice(acked(1, "c")))
    scene.serve(Kind.NEWCOMERS)
    assert scene.said == ["welcome", "created", "acked"]
    scene.serve(Kind.LAGGARDS)
    assert scene.said == ["welcome", "created", "acked", "created"]
    assert isinstance(scene.member.session.progress, Cohort)
    assert (scene.cohorts.agenda.turn(), scene.dropped) == (None, [])


def test_a_client_that_the_log_has_moved_past_is_dropped() -> None:
    """It is sent nothing."""
    scene = Scene(log_of(record(1), first=5), 0)
    scene.serve(Kind.NEWCOMERS)
    assert (scene.said, scene.dropped) == ([], [scene.member])


def test_what_a_client_may_not_see_is_not_sent_and_its_session_is_over() -> None:
    """It has come among others that see something else, by whatever defect."""
    scene = Scene(log_of(record(1)), 0)
    scene.member.session.selection = Selection([7])
    scene.serve(Kind.NEWCOMERS)
    assert (scene.line.written, scene.failed) == ([], [scene.member])
    assert scene.cohorts.agenda.turn() is None
