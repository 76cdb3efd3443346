"""How sessions end: each once, in its turn."""

import math

import pytest

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.ending import End
from edge.fanout.endings import Endings
from edge.fanout.everybody import AT_ONCE
from edge.fanout.expiry import Expiry
from edge.fanout.member import Member
from edge.fanout.session import Session
from edge.wire.websocket_encodings import PLAIN
from tests.edge.fanout.test_watch import Keeper
from tests.edge.kit.lines import PATIENCE, Line, Turns
from tests.edge.kit.records import log_of, record


class Scene:
    """Clients at a log's head."""

    def __init__(self, clients: int = 1) -> None:
        self.turns, self.log = Turns(), log_of(record(1))
        self.cohorts: Cohorts[Member] = Cohorts(self.log.head)
        self.clients: set[Member] = set()
        self.warned: list[Member] = []
        self.soon = 0
        self.endings = Endings(
            self.clients,
            self.cohorts,
            PATIENCE,
            self.turns,
            soon=self.work,
            beat=lambda member: member.session.note_told(self.turns.now),
            warn=self.warn,
        )
        self.members = [self.member() for _ in range(clients)]

    def work(self) -> None:
        """Note that there is work."""
        self.soon += 1

    def warn(self, member: Member) -> None:
        """Note it, as the tokens do."""
        assert member.expiry is not None
        member.expiry.warns_at = math.inf
        self.warned.append(member)

    def member(self) -> Member:
        """Have a client come."""
        line = Line(self.turns)
        member = Member(Keeper(), Session(self.log.head, PLAIN), line, None, self.turns.now)
        line.attach(member)
        self.clients.add(member)
        self.cohorts.place(member, Kind.NEWCOMERS, self.turns.now)
        self.endings.see_to(member)
        return member

    def close_next(self) -> None:
        """Close the client whose turn it is."""
        self.endings.close(self.cohorts.agenda.closings.take())


def ends(member: Member) -> list[End | str]:
    """Return how a client's connection was ended."""
    assert isinstance(member.link, Line)
    return member.link.ends


def test_a_session_ends_at_its_time_in_its_turn() -> None:
    """Until then it goes on; it is said once, and why."""
    scene = Scene()
    (member,) = scene.members
    scene.endings.end_at(member, scene.turns.now + 5, End.AGED)
    scene.turns.sleep(4.9)
    assert scene.soon == 0
    scene.turns.sleep(0.2)
    assert (scene.soon, ends(member), member.ends_at) == (1, [], math.inf)
    assert isinstance(member.session.progress, Cohort)
    scene.close_next()
    assert (ends(member), member.is_over) == ([End.AGED], True)
    scene.endings.end_at(member, scene.turns.now, End.SHUTDOWN)
    scene.endings.close(member)
    assert ends(member) == [End.AGED]


def test_a_client_whose_token_has_run_out_is_sent_nothing_while_it_waits_for_its_close() -> None:
    """It is in no cohort any more, and nothing else ends it meanwhile."""
    scene = Scene()
    (member,) = scene.members
    member.expiry = Expiry(0, warns_at=math.inf, ends_at=scene.turns.now + 5)
    scene.endings.see_to(member)
    scene.turns.sleep(5.1)
    assert (scene.soon, member.is_over, ends(member)) == (1, True, [])
    assert not isinstance(member.session.progress, Cohort)
    scene.endings.end_at(member, scene.turns.now, End.SHUTDOWN)
    scene.turns.sleep(1)
    scene.close_next()
    assert ends(member) == [End.EXPIRED]


def test_a_client_that_fell_behind_takes_nothing_more() -> None:
    scene = Scene()
    (member,) = scene.members
    scene.endings.fall_behind(member)
    assert not isinstance(member.session.progress, Cohort)
    scene.close_next()
    assert ends(member) == [End.FELL_BEHIND]


def test_a_client_that_has_left_is_looked_at_no_more() -> None:
    scene = Scene()
    (member,) = scene.members
    scene.endings.forget(member)
    scene.clients.discard(member)
    scene.endings.end_at(member, scene.turns.now, End.SHUTDOWN)
    scene.endings.see_to(member)
    scene.turns.sleep(1000)
    assert (scene.soon, ends(member)) == (0, [])


def test_a_client_is_told_of_its_token_when_that_is_due() -> None:
    scene = Scene()
    (member,) = scene.members
    member.expiry = Expiry(0, warns_at=scene.turns.now + 5, ends_at=math.inf)
    scene.endings.see_to(member)
    scene.turns.sleep(5.01)
    assert scene.warned == [member]


@pytest.mark.parametrize("clients", [1, AT_ONCE, AT_ONCE + 1])
def test_those_that_are_left_are_cut_a_few_at_a_time(clients: int) -> None:
    """What they are told goes before that."""
    scene = Scene(clients)
    scene.endings.cut_some()
    cut = [member for member in scene.members if ends(member)]
    assert len(cut) == min(clients, AT_ONCE)
    assert all(ends(member) == [End.SHUTDOWN, "aborted"] for member in cut)
