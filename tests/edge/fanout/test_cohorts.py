"""Whose turn it is, without anybody who sends."""

from dataclasses import dataclass, field
from itertools import count

from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.session import Session
from edge.feed.position import Position
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, PLAIN

keys = count()


@dataclass(eq=False)
class Client:
    """A client, and nothing but where it is."""

    session: Session
    key: int = field(default_factory=lambda: next(keys))


def client(position: int, encoding: Encoding = PLAIN, greeting: bytes = b"") -> Client:
    """Make one."""
    return Client(Session(Position(position), encoding, greeting))


def cohorts(head: int, *clients: Client, most: int = 128) -> Cohorts[Client]:
    """Place them all."""
    made: Cohorts[Client] = Cohorts(Position(head), most)
    for one in clients:
        made.place(one)
    return made


def turns(of: Cohorts[Client]) -> list[Cohort[Client]]:
    """Take all cohorts out, one after the other."""
    taken = []
    while (cohort := of.next()) is not None:
        taken.append(cohort)
    return taken


def turn(of: Cohorts[Client]) -> Cohort[Client]:
    """Take out the next."""
    cohort = of.next()
    assert cohort is not None
    return cohort


def clients_of(some: list[Cohort[Client]]) -> list[list[Client]]:
    """Name the clients of each."""
    return [list(cohort.clients.values()) for cohort in some]


def test_who_is_at_the_head_rests_until_it_moves() -> None:
    """Then they stand in line as a whole, one cohort a encoding, in the order in which they came."""
    one, two, three = client(5), client(5), client(5, CURSOR)
    made = cohorts(5, one, two, three)
    made.advance(Position(5))
    assert (turns(made), made.waiting) == ([], 0)
    made.advance(Position(7))
    assert made.waiting == 3
    plain, knowing = turns(made)
    assert clients_of([plain, knowing]) == [[one, two], [three]]
    assert [(each.position, each.encoding) for each in (plain, knowing)] == [(5, PLAIN), (5, CURSOR)]


def test_a_cohort_moves_with_all_its_clients() -> None:
    """Its position is theirs, until one of them goes on by itself."""
    one, two = client(5), client(5)
    made = cohorts(5, one, two)
    made.advance(Position(7))
    cohort = turn(made)
    cohort.position = Position(7)
    made.settle(cohort)
    made.hold(two)
    made.advance(Position(9))
    cohort = turn(made)
    cohort.position = Position(9)
    assert (clients_of([cohort]), list(cohort.keys)) == ([[one]], [one.key])
    cohort.take_in(two)
    assert list(cohort.keys) == [one.key, two.key]
    cohort.let_go(two)
    two.session.place.position = Position(7)
    assert list(cohort.keys) == [one.key]
    assert (one.session.position, two.session.position) == (9, 7)


def test_who_was_at_the_head_comes_before_who_lags() -> None:
    """In the order of the records, and those that lag each once before any of them twice."""
    late, later, quick, next_one = client(1), client(2), client(5), client(7)
    made = cohorts(5, late, later, quick)
    made.advance(Position(7))
    made.place(next_one)
    made.advance(Position(9))
    order = turns(made)
    assert clients_of(order) == [[quick], [next_one], [late], [later]]
    for cohort in order[2:]:
        cohort.position = Position(cohort.position + 2)
        made.settle(cohort)
    assert clients_of(turns(made)) == [[late], [later]]


def test_a_cohort_has_at_most_so_many_clients() -> None:
    """The others have a cohort of their own; those that have become small are one again."""
    clients = [client(5) for _ in range(7)]
    made = cohorts(5, *clients, most=3)
    made.advance(Position(6))
    order = turns(made)
    assert clients_of(order) == [clients[:3], clients[3:6], clients[6:]]
    for one in clients[1:5]:
        made.remove(one)
    for cohort in order:
        cohort.position = Position(6)
        made.settle(cohort)
    made.advance(Position(7))
    assert clients_of(turns(made)) == [[clients[0], clients[5], clients[6]]]
    assert [one.session.position for one in clients] == [6, 5, 5, 5, 5, 6, 6]


def test_who_lags_goes_on_with_who_is_at_the_same_place() -> None:
    """Also when they come there later; but never with those of another encoding."""
    one, two, other = client(1), client(1), client(1, CURSOR)
    made = cohorts(5, one, other)
    made.place(two)
    assert clients_of(turns(made)) == [[one, two], [other]]


def test_who_is_to_be_greeted_is_alone() -> None:
    """And has a place among the others once it was."""
    greeted = client(5, CURSOR, CURSOR.welcome("c"))
    made = cohorts(5, greeted)
    assert (made.waiting, made.next(), made.next_greeted()) == (1, None, greeted)
    assert (made.waiting, made.next_greeted()) == (0, None)


def test_who_is_held_is_in_no_cohort_until_it_is_placed_again() -> None:
    """Wherever it was; it waits when there is something that it has not been sent."""
    clients = [client(5), client(3), client(5, CURSOR, CURSOR.welcome("c")), client(6)]
    made = cohorts(5, *clients[:3])
    made.advance(Position(6))
    made.place(clients[3])
    for one in clients:
        made.hold(one)
    assert (made.held, made.waiting) == (set(clients), 3)
    assert (made.next_greeted(), turns(made)) == (None, [])
    made.place(clients[1])
    assert (clients[1] in made.held, made.waiting) == (False, 3)
    assert clients_of(turns(made)) == [[clients[1]]]


def test_who_was_removed_has_no_turn() -> None:
    """A cohort of nobody is passed over."""
    one, late, later = client(5), client(3), client(4)
    made = cohorts(5, one, late, later)
    made.remove(one)
    made.remove(late)
    made.advance(Position(6))
    assert (clients_of(turns(made)), made.waiting) == ([[later]], 0)


def test_a_log_that_begins_anew_leaves_only_those_that_are_held() -> None:
    """All others are placed again, where they are then."""
    one, late, greeted, held = client(5), client(3), client(5, CURSOR, CURSOR.welcome("c")), client(5)
    made = cohorts(5, one, late, greeted)
    made.hold(held)
    made.advance(Position(6))
    made.begin(Position(9))
    assert (made.next_greeted(), turns(made), made.held) == (None, [], {held})
    made.place(client(9))
    assert turns(made) == []


def test_those_who_stood_in_line_and_were_taken_out_are_counted() -> None:
    """So that it is known when all were served that stood there at a time. Who has left counts, who lags does not."""
    leaving, gone = client(5), client(5)
    of = cohorts(5, client(5), client(5, CURSOR), leaving, client(3), gone, most=1)
    of.remove(gone)
    assert not of.advance(Position(5))
    assert of.advance(Position(6))
    of.remove(leaving)
    assert (of.queued, of.taken) == (3, 0)
    assert of.next() is not None
    assert (of.queued, of.taken) == (3, 1)
    of.begin(Position(6))
    assert (of.queued, of.taken) == (3, 3)
    assert not of.advance(Position(7))


def test_who_is_held_before_the_tail_is_named_once() -> None:
    """Whoever was let go, has gone or has moved since is not; however often they were held."""
    one, two, gone, moved = client(3), client(4), client(3), client(3)
    made = cohorts(5, one, two, gone, moved, most=2)
    for _ in range(50):
        for each in (one, two, gone, moved):
            made.hold(each)
            made.place(each)
    for each in (one, one, two, gone, moved):
        made.hold(each)
    made.remove(gone)
    moved.session.miss(Position(5), b"")
    made.hold(moved)
    assert made.fallen_behind(Position(3)) == []
    assert made.fallen_behind(Position(4)) == [one]
    made.remove(one)
    made.place(two)
    assert made.fallen_behind(Position(5)) == []
    assert made.fallen_behind(Position(6)) == [moved]
