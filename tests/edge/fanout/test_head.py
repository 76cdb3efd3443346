"""What a record is for clients at the head, served by hand."""

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.head import Head
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.feed.selection import Selection
from edge.wire.websocket_encodings import PLAIN
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import Line, Turns
from tests.edge.kit.records import log_of, publication, record


class Scene:
    """A client that sees everything, and one for each author from 1 to 3."""

    def __init__(self) -> None:
        self.turns, self.log = Turns(), log_of()
        self.cohorts: Cohorts[Member] = Cohorts(self.log.head)
        self.served: list[Selection | None] = []
        self.head = Head(self.log, self.cohorts, self.turns, serve=self.serve)
        self.filters = [Selection([author]) for author in (1, 2, 3)]
        for each in (None, *self.filters):
            self.cohorts.filters.enter(each)
            self.cohorts.filters.work(lambda: False)
            session = Session(self.log.head, PLAIN, selection=each)
            self.cohorts.place(Member(Keeper(), session, Line(self.turns), None, 0), Kind.NEWCOMERS, 0)

    def serve(self, cohort: Cohort[Member]) -> None:
        """Note whom it is for, and have it rest again."""
        self.turns.now += 1
        self.served.append(cohort.reading.selection)
        cohort.move_on(self.log.read(cohort.position, cohort.reading, 1 << 16))
        self.cohorts.put_back(cohort, 0)

    def publish(self, *authors: int) -> None:
        """Append a record of posts of these authors, which was read just now."""
        offset = self.log.next_offset
        assert offset is not None
        self.log.append(offset, record(*(publication(offset * 10 + author, author=author) for author in authors)))
        self.head.advance(self.turns.now)

    @property
    def measured(self) -> int:
        """How many records were measured."""
        return int(self.head.delays.seconds.buckets[-1][1])


def test_those_that_see_everything_go_before_those_that_are_looked_for() -> None:
    """Law 12: and nobody is looked for twice."""
    scene = Scene()
    scene.publish(2, 3)
    assert scene.head.is_busy
    while scene.head.work():
        pass
    assert scene.served == [None, scene.filters[1], scene.filters[2]]
    assert not scene.head.is_busy


def test_a_record_is_measured_to_the_last_client_that_was_looked_for() -> None:
    """From when it was read: three are served in a second each."""
    scene = Scene()
    scene.publish(2, 3)
    while scene.head.work():
        pass
    assert (scene.measured, scene.head.delays.seconds.sum) == (1, 3)
    scene.publish(7)
    scene.publish(1)
    while scene.head.work():
        pass
    assert scene.measured == 3
    assert not scene.head.work()
