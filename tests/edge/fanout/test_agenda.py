"""Whose turn it is, for work that is nothing but a name."""

from hypothesis import given
from hypothesis import strategies as st

from edge.fanout.agenda import Agenda, Kind, Queue, Wait

BEHIND = (Kind.NEWCOMERS, Kind.LAGGARDS, Kind.CLOSINGS)


def agenda(**waiting: list[str]) -> Agenda[list[str], str]:
    """Make one; each name is a group of one client, or a closing."""
    made: Agenda[list[str], str] = Agenda()
    for kind, names in waiting.items():
        for name in names:
            add(made, Kind(kind), name)
    return made


def add(to: Agenda[list[str], str], kind: Kind, name: str, now: float = 0.0) -> None:
    """Add one."""
    if kind is Kind.CLOSINGS:
        to.closings.add(name, now)
    else:
        queue_of(to, kind).add([name], now)


def queue_of(of: Agenda[list[str], str], kind: Kind) -> Queue[list[str]]:
    """Return the queue of a kind of groups."""
    return {Kind.HEAD: of.head, Kind.NEWCOMERS: of.newcomers, Kind.LAGGARDS: of.laggards}[kind]


def take(of: Agenda[list[str], str]) -> str | None:
    """Do one piece of work behind the head."""
    match of.turn():
        case None:
            return None
        case Kind.CLOSINGS:
            return of.closings.take()
        case kind:
            return queue_of(of, kind).take()[0]


def test_each_kind_has_a_piece_in_turn_the_oldest_first() -> None:
    """As long as there is any; the head is nobody's turn but its own."""
    made = agenda(head=["h"], newcomers=["n1", "n2"], laggards=["l1", "l2", "l3"], closings=["c1"])
    assert made.is_live()
    assert [take(made) for _ in range(7)] == ["n1", "l1", "c1", "n2", "l2", "l3", None]
    assert made.head.take() == ["h"]
    assert not made.is_live()


def test_a_kind_that_had_its_piece_waits_for_the_others_also_when_they_come_later() -> None:
    made = agenda(laggards=["l1", "l2"])
    assert take(made) == "l1"
    for kind in BEHIND:
        add(made, kind, kind.value)
    assert [take(made) for _ in range(5)] == ["closings", "newcomers", "l2", "laggards", None]


@given(
    st.lists(st.sampled_from(BEHIND), max_size=12),
    st.sampled_from(BEHIND),
    st.lists(st.lists(st.sampled_from(BEHIND), max_size=5), min_size=50, max_size=50),
)
def test_nobody_starves(before: list[Kind], kind: Kind, behind: list[list[Kind]]) -> None:
    """With n of its kind before it a piece is done after 3 (n + 1) - 1 others, whatever is added between any two."""
    made = agenda()
    for number, each in enumerate(before):
        add(made, each, str(number))
    add(made, kind, "mine")
    others = 0
    while take(made) != "mine":
        for each in behind[others]:
            add(made, each, "later")
        others += 1
    assert others <= 3 * (before.count(kind) + 1) - 1


def test_a_group_that_everybody_has_left_is_passed_over() -> None:
    """It takes nobody's turn, and is not waited for."""
    made = agenda(head=["h1", "h2"], newcomers=["n"], laggards=["l"])
    for queue in (made.head, made.newcomers):
        queue.first.clear()
    assert made.is_live()
    assert (made.head.take(), made.head.added, made.head.taken) == (["h2"], 2, 2)
    assert (take(made), take(made)) == ("l", None)


def test_depth_and_oldest_wait_are_known_by_kind() -> None:
    """Groups count by their clients."""
    made = agenda()
    made.head.add(["a", "b"], 10.0)
    made.head.add(["c"], 11.0)
    made.closings.add("d", 12.5)
    assert made.waits(13.0) == {
        Kind.HEAD: Wait(3, 3.0),
        Kind.NEWCOMERS: Wait(0, 0.0),
        Kind.LAGGARDS: Wait(0, 0.0),
        Kind.CLOSINGS: Wait(1, 0.5),
    }


def test_groups_can_be_forgotten_and_closings_stay() -> None:
    made = agenda(head=["h"], newcomers=["n"], laggards=["l"], closings=["c"])
    made.clear_groups()
    assert (made.is_live(), take(made), take(made)) == (False, "c", None)
    assert (made.head.added, made.head.taken) == (1, 1)
