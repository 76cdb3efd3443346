"""Whose turn it is, without anybody who sends."""

from dataclasses import dataclass

from edge.cohorts import Cohort, Cohorts
from edge.cursors import Position
from edge.frames import Form, welcome
from edge.session import Session


@dataclass(eq=False)
class Client:
    """A client, and nothing but where it is."""

    session: Session


def client(position: int, form: Form = Form.PLAIN, greeting: bytes = b"") -> Client:
    """Make one."""
    return Client(Session(Position(position), form, greeting))


def cohorts(head: int, *clients: Client) -> Cohorts[Client]:
    """Place them all."""
    made: Cohorts[Client] = Cohorts(Position(head))
    for one in clients:
        made.place(one)
    return made


def turns(of: Cohorts[Client]) -> list[Cohort[Client]]:
    """Take all cohorts out, one after the other."""
    taken = []
    while (cohort := of.next()) is not None:
        taken.append(cohort)
    return taken


def test_who_is_at_the_head_rests_until_it_moves() -> None:
    """Then they stand in line as a whole, one cohort a form."""
    one, two, three = client(5), client(5), client(5, Form.CURSOR)
    made = cohorts(5, one, two, three)
    made.advance(Position(5))
    assert (turns(made), made.waiting) == ([], 0)
    made.advance(Position(7))
    assert made.waiting == 3
    assert turns(made) == [
        Cohort(Position(5), Form.PLAIN, {one, two}, lags=False),
        Cohort(Position(5), Form.CURSOR, {three}, lags=False),
    ]


def test_who_was_at_the_head_comes_before_who_lags() -> None:
    """In the order of the records, and those that lag each once before any of them twice."""
    late, later, quick, next_one = client(1), client(2), client(5), client(7)
    made = cohorts(5, late, later, quick)
    made.advance(Position(7))
    made.place(next_one)
    made.advance(Position(9))
    order = turns(made)
    assert [cohort.clients for cohort in order] == [{quick}, {next_one}, {late}, {later}]
    for cohort in order[2:]:
        made.put_back(cohort)
    assert [cohort.clients for cohort in turns(made)] == [{late}, {later}]


def test_what_is_left_of_a_cohort_comes_again() -> None:
    """At once when it was at the head, after the others when it lags; with those who have come there since."""
    one, two, late, later, lagging = client(5), client(5), client(1), client(2), client(1)
    next_one = client(7)
    made = cohorts(5, one, two)
    made.advance(Position(7))
    made.place(next_one)
    made.advance(Position(9))
    made.place(late)
    made.place(later)
    cohort = made.next()
    assert cohort is not None
    cohort.clients.remove(one)
    made.put_back(cohort)
    assert made.next() == Cohort(Position(5), Form.PLAIN, {two}, lags=False)
    assert made.next() == Cohort(Position(7), Form.PLAIN, {next_one}, lags=False)
    cohort = made.next()
    assert cohort is not None
    made.place(lagging)
    made.put_back(cohort)
    assert [cohort.clients for cohort in turns(made)] == [{later}, {late, lagging}]
    made.put_back(Cohort(Position(1), Form.PLAIN, set(), lags=True))
    assert turns(made) == []


def test_who_is_to_be_greeted_is_alone() -> None:
    """And has a place among the others once it was."""
    greeted = client(5, Form.CURSOR, welcome("c"))
    made = cohorts(5, greeted)
    assert (made.waiting, made.next(), made.next_greeted()) == (1, None, greeted)
    assert (made.waiting, made.next_greeted()) == (0, None)


def test_who_is_held_is_in_no_cohort_until_it_is_placed_again() -> None:
    """Wherever it was; it waits when there is something that it has not been sent."""
    clients = [client(5), client(3), client(5, Form.CURSOR, welcome("c")), client(6)]
    made = cohorts(5, *clients[:3])
    made.advance(Position(6))
    made.place(clients[3])
    for one in clients:
        made.hold(one)
    assert (made.held, made.waiting) == (set(clients), 3)
    assert (made.next_greeted(), turns(made)) == (None, [Cohort(Position(5), Form.PLAIN, set(), lags=False)])
    made.place(clients[1])
    assert (clients[1] in made.held, made.waiting) == (False, 3)
    assert [cohort.clients for cohort in turns(made)] == [{clients[1]}]


def test_who_was_removed_has_no_turn() -> None:
    """A cohort of nobody is passed over."""
    one, late = client(5), client(3)
    made = cohorts(5, one, late)
    made.remove(one)
    made.remove(late)
    made.advance(Position(6))
    assert (turns(made), made.waiting) == ([], 0)


def test_a_log_that_begins_anew_leaves_only_those_that_are_held() -> None:
    """All others are placed again, where they are then."""
    one, late, greeted, held = client(5), client(3), client(5, Form.CURSOR, welcome("c")), client(5)
    made = cohorts(5, one, late, greeted)
    made.hold(held)
    made.advance(Position(6))
    made.begin(Position(9))
    assert (made.next_greeted(), turns(made), made.held) == (None, [], {held})
    one.session.position = Position(9)
    made.place(one)
    assert turns(made) == []
