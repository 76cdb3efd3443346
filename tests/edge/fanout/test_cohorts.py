"""Who is served together, without anybody who sends."""

from dataclasses import dataclass, field
from itertools import count
from typing import Any
from weakref import ref

import pytest

from edge.fanout.agenda import Kind
from edge.fanout.cohorts import Cohort, Cohorts
from edge.fanout.parked import AT_ONCE
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.reads import Chunk
from edge.feed.replay import Replay
from edge.feed.selection import Selection
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.contract import Offset
from tests.edge.kit.records import record

keys = count()
NOW = 1000.0


@dataclass(eq=False)
class Client:
    """A client, and nothing but where it is."""

    session: Session
    key: int = field(default_factory=lambda: next(keys))


def client(position: int, encoding: Encoding = PLAIN, greeting: bytes = b"") -> Client:
    """Make one."""
    return Client(Session(Position(position), encoding, greeting=greeting))


def cohorts(head: int, *clients: Client, max_size: int = 128) -> Cohorts[Client]:
    """Place them all, as newcomers."""
    made: Cohorts[Client] = Cohorts(Position(head), max_size)
    for one in clients:
        made.place(one, Kind.NEWCOMERS, NOW)
    return made


def next_of(of: Cohorts[Client]) -> tuple[Kind, Cohort[Client]] | None:
    """Take out the next, as the agenda says."""
    kind = Kind.HEAD if of.agenda.is_live() else of.agenda.turn()
    return None if kind is None else (kind, of.take(kind))


def turns(of: Cohorts[Client]) -> list[Cohort[Client]]:
    """Take all cohorts out, one after the other."""
    taken = []
    while (turn := next_of(of)) is not None:
        taken.append(turn[1])
    return taken


def turn(of: Cohorts[Client]) -> Cohort[Client]:
    """Take out the next."""
    taken = next_of(of)
    assert taken is not None
    return taken[1]


def clients_of(some: list[Cohort[Client]]) -> list[list[Client]]:
    """Name the clients of each."""
    return [list(cohort.clients.values()) for cohort in some]


def move_on(cohort: Cohort[Client], position: int, posts: int = 1) -> None:
    """Have it been sent something."""
    cohort.greeting = b""
    cohort.move_on(Chunk(b"", Position(position), posts))


def test_clients_at_the_head_rest_until_it_moves() -> None:
    """Then they are on the agenda as a whole, one cohort an encoding, in the order in which they came."""
    one, two, three = client(5), client(5), client(5, CURSOR)
    made = cohorts(5, one, two, three)
    assert not made.advance(Position(5), NOW)
    assert (turns(made), made.waiting) == ([], 0)
    assert made.advance(Position(7), NOW)
    assert made.waiting == 3
    plain, knowing = turns(made)
    assert clients_of([plain, knowing]) == [[one, two], [three]]
    assert [(each.position, each.reading.encoding) for each in (plain, knowing)] == [(5, PLAIN), (5, CURSOR)]


def test_clients_that_select_the_same_go_on_together() -> None:
    """Equal filters are one object: so the others have cohorts of their own."""
    some, others = Selection([1]), Selection([2])
    clients = [Client(Session(Position(5), PLAIN, b"", each)) for each in (some, others, None, some)]
    made = cohorts(5, *clients)
    made.advance(Position(6), NOW)
    assert clients_of(turns(made)) == [[clients[0], clients[3]], [clients[1]], [clients[2]]]


def test_a_cohort_moves_with_all_its_clients() -> None:
    """Its position is theirs, until one of them goes on by itself; each counts what it was sent itself."""
    one, two = client(5), client(5)
    made = cohorts(5, one, two)
    made.advance(Position(7), NOW)
    cohort = turn(made)
    move_on(cohort, 7, 2)
    made.put_back(cohort, NOW)
    made.pause(two)
    made.advance(Position(9), NOW)
    cohort = turn(made)
    move_on(cohort, 9, 1)
    assert (clients_of([cohort]), list(cohort.keys)) == ([[one]], [one.key])
    assert [(each.session.position, each.session.sent) for each in (one, two)] == [(9, 3), (7, 2)]
    cohort.take_in(two)
    assert list(cohort.keys) == [one.key, two.key]
    cohort.let_go(two)
    assert (list(cohort.keys), two.session.sent) == ([one.key], 2)


def test_clients_at_the_head_are_served_in_the_order_of_the_records() -> None:
    """Those that are behind it when it moves are not among them."""
    late, quick, next_one = client(1), client(5), client(7)
    made = cohorts(5, late, quick)
    made.advance(Position(7), NOW)
    made.place(next_one, Kind.NEWCOMERS, NOW)
    made.advance(Position(9), NOW)
    assert clients_of(turns(made)) == [[quick], [next_one], [late]]


def test_laggards_are_each_served_once_before_any_of_them_twice() -> None:
    late, later = client(1), client(2)
    made = cohorts(9, late, later)
    order = turns(made)
    assert clients_of(order) == [[late], [later]]
    for cohort in order:
        move_on(cohort, cohort.position + 2)
        made.put_back(cohort, NOW)
    again = [next_of(made), next_of(made)]
    assert [each and (each[0], *clients_of([each[1]])) for each in again] == [
        (Kind.LAGGARDS, [late]),
        (Kind.LAGGARDS, [later]),
    ]


def test_a_cohort_has_at_most_so_many_clients() -> None:
    """The others have a cohort of their own; those that have become small are one again."""
    clients = [client(5) for _ in range(7)]
    made = cohorts(5, *clients, max_size=3)
    made.advance(Position(6), NOW)
    order = turns(made)
    assert clients_of(order) == [clients[:3], clients[3:6], clients[6:]]
    for one in clients[1:5]:
        made.remove(one)
    for cohort in order:
        move_on(cohort, 6)
        made.put_back(cohort, NOW)
    made.advance(Position(7), NOW)
    assert clients_of(turns(made)) == [[clients[0], clients[5], clients[6]]]
    assert [one.session.position for one in clients] == [6, 5, 5, 5, 5, 6, 6]


def test_clients_that_wait_at_the_same_place_wait_together() -> None:
    """Also when they come there later; but only with those of their kind, in their encoding, with the same greeting."""
    one, two, other = client(1), client(1), client(1, CURSOR)
    greeted, also, otherwise = client(1, CURSOR, b"c"), client(1, CURSOR, b"c"), client(1, CURSOR, b"d")
    laggard = client(1)
    made = cohorts(5, one, other, greeted, otherwise, two, also)
    made.place(laggard, Kind.LAGGARDS, NOW)
    assert clients_of(turns(made)) == [[one, two], [laggard], [other], [greeted, also], [otherwise]]


def test_a_cohort_that_is_full_or_was_taken_out_is_joined_no_more() -> None:
    clients = [client(1) for _ in range(5)]
    made = cohorts(5, *clients[:3], max_size=2)
    assert clients_of([turn(made)]) == [clients[:2]]
    made.place(clients[3], Kind.NEWCOMERS, NOW)
    assert clients_of([turn(made)]) == [clients[2:4]]
    made.place(clients[4], Kind.NEWCOMERS, NOW)
    assert clients_of(turns(made)) == [clients[4:]]


def test_a_client_at_the_head_that_is_to_be_greeted_waits() -> None:
    """And rests once it was; a client that is paused before has its greeting back."""
    greeted, paused = client(5, CURSOR, b"c"), client(5, CURSOR, b"c")
    made = cohorts(5, greeted, paused)
    assert made.waiting == 2
    made.pause(paused)
    cohort = turn(made)
    assert (clients_of([cohort]), cohort.greeting) == ([[greeted]], b"c")
    move_on(cohort, 5, 0)
    made.put_back(cohort, NOW)
    assert (made.waiting, greeted.session.progress.greeting, paused.session.progress.greeting) == (0, b"", b"c")
    made.place(paused, Kind.NEWCOMERS, NOW)
    assert turn(made).greeting == b"c"


def test_a_paused_client_is_in_no_cohort_until_it_is_placed_again() -> None:
    """Wherever it was; it waits when there is something that it has not been sent."""
    clients = [client(5), client(3), client(5, CURSOR, b"c"), client(6)]
    made = cohorts(5, *clients[:3])
    made.advance(Position(6), NOW)
    made.place(clients[3], Kind.NEWCOMERS, NOW)
    for one in clients:
        made.pause(one)
    assert (made.paused, made.waiting) == (set(clients), 3)
    assert turns(made) == []
    made.place(clients[1], Kind.LAGGARDS, NOW)
    assert (clients[1] in made.paused, made.waiting) == (False, 3)
    assert clients_of(turns(made)) == [[clients[1]]]


def test_a_client_that_was_removed_has_no_turn() -> None:
    """A cohort of nobody is passed over, and joined by nobody: it may be on the agenda no more."""
    one, late, later, again = client(5), client(3), client(4), client(3)
    made = cohorts(5, one, late, later)
    made.remove(one)
    made.remove(late)
    made.advance(Position(6), NOW)
    assert (clients_of(turns(made)), made.waiting) == ([[later]], 0)
    made.place(again, Kind.NEWCOMERS, NOW)
    assert clients_of(turns(made)) == [[again]]


def test_nothing_is_kept_of_cohorts_that_are_gone() -> None:
    """Clients may come at ever new places, and leave before their turn or after it."""
    made = cohorts(1000)
    for position in range(100):
        leaves, stays = client(position), client(position, CURSOR)
        for each in (leaves, stays):
            made.place(each, Kind.NEWCOMERS, NOW)
        made.remove(leaves)
        assert clients_of(turns(made)) == [[stays]]
    assert made._waiting == {}  # noqa: SLF001 - what would be kept


def test_nothing_is_kept_of_a_cohort_that_rested() -> None:
    """A client may come and go with ever new selections while the feed is silent."""
    made = cohorts(5)
    stays, leaves = client(5), client(5)
    for each in (stays, leaves):
        made.place(each, Kind.NEWCOMERS, NOW)
    for author in range(100):
        one = Client(Session(Position(5), PLAIN, b"", Selection([author])))
        made.place(one, Kind.NEWCOMERS, NOW)
        made.remove(one)
    made.remove(leaves)
    assert list(made.rest._asked) == [stays.session.reading]  # noqa: SLF001 - what would be kept
    made.advance(Position(6), NOW)
    assert clients_of(turns(made)) == [[stays]]


def test_a_cohort_of_nobody_is_not_put_back() -> None:
    one = client(3)
    made = cohorts(5, one)
    cohort = turn(made)
    made.remove(one)
    made.put_back(cohort, NOW)
    assert (turns(made), made._waiting) == ([], {})  # noqa: SLF001 - what would be kept


def test_a_log_that_begins_anew_leaves_only_paused_clients() -> None:
    """All others are placed again, where they are then."""
    one, late, greeted, paused = client(5), client(3), client(5, CURSOR, b"c"), client(5)
    made = cohorts(5, one, late, greeted, paused)
    made.pause(paused)
    made.advance(Position(6), NOW)
    made.begin(Position(9))
    assert (turns(made), made.paused) == ([], {paused})
    made.place(client(9), Kind.NEWCOMERS, NOW)
    assert turns(made) == []


def test_cohorts_at_the_head_are_counted() -> None:
    """So that it is known when all were served that waited at a time. One of nobody counts, one that lags does not."""
    leaving, gone = client(5), client(5)
    of = cohorts(5, client(5), client(5, CURSOR), leaving, client(3), gone, max_size=1)
    of.remove(gone)
    head = of.agenda.head
    assert not of.advance(Position(5), NOW)
    assert of.advance(Position(6), NOW)
    of.remove(leaving)
    assert (head.added, head.taken) == (3, 0)
    assert next_of(of) is not None
    assert (head.added, head.taken) == (3, 1)
    of.begin(Position(6))
    assert (head.added, head.taken) == (3, 3)
    assert not of.advance(Position(7), NOW)


def test_clients_that_are_paused_before_the_tail_have_fallen_behind() -> None:
    """Those that were placed again have not, wherever they are: they have a turn."""
    one, two, again, gone = client(3), client(4), client(3), client(3)
    made = cohorts(5, one, two, again, gone)
    for each in (one, two, again, gone):
        made.pause(each)
    made.place(again, Kind.LAGGARDS, NOW)
    made.remove(gone)
    assert made.fallen_behind(Position(4), 9) == [one]


def replay_at(position: int) -> Replay[Any]:
    """Make a replay whose head is at the beginning: whoever stands there rests in it."""
    log = Log(limit=1000, reach=0)
    log.begin(Offset(0), Offset(0))
    assert log.head == position
    return Replay(log, first=Offset(0), reach=0, address="")


def readers(replay: Replay[Any], count: int, *, with_filters: bool = True) -> list[Client]:
    """Make clients that stand at the head of a replay, each with a filter of its own."""
    made = [client(0) for _ in range(count)]
    for number, one in enumerate(made):
        one.session.selection = Selection([number]) if with_filters else None
        one.session.skip_to(Position(0), replay=replay)
    return made


def move(replay: Replay[Any]) -> None:
    """Have it read a record."""
    replay.log.append(replay.log.next_offset or Offset(0), record(1))


def test_those_that_rest_in_a_replay_go_on_a_few_at_a_time() -> None:
    """Law 12: 10,000 clients may each have a filter of their own."""
    replay = replay_at(0)
    of = cohorts(1 << 100, *readers(replay, 3 * AT_ONCE), max_size=2)
    assert (turns(of), of.waiting) == ([], 3 * AT_ONCE)
    move(replay)
    of.wake(replay)
    assert (turns(of), of.waiting) == ([], 3 * AT_ONCE)
    for _ in range(3):
        assert of.go_on(NOW)
        assert sum(map(len, turns(of))) == AT_ONCE
    assert (of.go_on(NOW), of.waiting) == (False, 0)


def test_those_that_rest_in_a_replay_and_see_the_same_rest_together() -> None:
    replay = replay_at(0)
    of = cohorts(1 << 100, *readers(replay, 5, with_filters=False), max_size=2)
    move(replay)
    of.wake(replay)
    assert of.go_on(NOW)
    assert [len(cohort) for cohort in turns(of)] == [2, 2, 1]


def test_those_that_rest_in_a_replay_each_keep_where_they_will_have_caught_up() -> None:
    """The feed's end as it was when they came; those with the same one still rest together."""
    replay = replay_at(0)
    clients = readers(replay, 4, with_filters=False)
    for one, target in zip(clients, (7, 9, 9, 7), strict=True):
        one.session.progress.target = Position(target)
    of = cohorts(1 << 100, *clients)
    move(replay)
    of.wake(replay)
    assert of.go_on(NOW)
    one, two, three, four = clients
    taken = turns(of)
    assert clients_of(taken) == [[one, four], [two, three]]
    assert [cohort.target for cohort in taken] == [7, 9]


def test_who_leaves_or_begins_anew_while_it_is_to_go_on_does_not() -> None:
    replay = replay_at(0)
    leaves, stays = readers(replay, 2)
    of = cohorts(1 << 100, leaves, stays)
    move(replay)
    of.wake(replay)
    of.remove(leaves)
    assert of.go_on(NOW)
    assert clients_of(turns(of)) == [[stays]]
    of.place(stays, Kind.LAGGARDS, NOW)
    of.begin(Position(1 << 100))
    assert (of.go_on(NOW), of.waiting) == (False, 0)


@pytest.mark.parametrize("leaving", [1, 2])
def test_nothing_is_kept_of_a_replay_whose_readers_have_left(leaving: int) -> None:
    """It may be over before it moves again: what it has read would stay for ever."""
    replay = replay_at(0)
    known = ref(replay)
    clients = readers(replay, 2)
    of = cohorts(1 << 100, *clients)
    del replay
    for one in clients[:leaving]:
        of.remove(one)
        one.session.skip_to(Position(0))
    assert (known() is None) == (leaving == len(clients))
