"""When clients need attention, without any."""

import math
import sys
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.fanout.deadlines import GRAIN_SECONDS, Deadlines, Due, Entry, Pace, Patience, deadline, due
from edge.fanout.expiry import Expiry

PATIENCE = Patience(ping=20, dead=60, stalled=600)


@dataclass
class Connection:
    """What a link says of itself."""

    heard: float = 0.0
    unsent_since: float | None = None
    close_by: float | None = None


@dataclass(eq=False)
class Client:
    """A client that is nothing but its deadlines."""

    link: Connection = field(default_factory=Connection)
    pinged: float = 0.0
    told_at: float = math.inf
    ends_at: float = math.inf
    expiry: Expiry | None = None
    entry: Entry | None = None


@pytest.mark.parametrize(
    ("now", "client", "expected"),
    [
        (19.9, Client(), None),
        (20, Client(), Due.PING),
        (20, Client(Connection(heard=1)), None),
        (39, Client(pinged=20), None),
        (40, Client(pinged=20), Due.PING),
        (60, Client(pinged=50), Due.DEAD),
        (24.9, Client(pinged=20, told_at=0), None),
        (25, Client(pinged=20, told_at=0), Due.HEARTBEAT),
        (25, Client(told_at=0), Due.HEARTBEAT),
        (25, Client(told_at=1), Due.PING),
        (60, Client(told_at=0), Due.DEAD),
        (25, Client(ends_at=25, told_at=0), Due.END),
        (400, Client(Connection(unsent_since=1), told_at=0), None),
        (100, Client(Connection(close_by=101), told_at=0), None),
        (1000, Client(Connection(unsent_since=401)), None),
        (1001, Client(Connection(unsent_since=401)), Due.STALLED),
        (10, Client(ends_at=10), Due.END),
        (20, Client(ends_at=20), Due.END),
        (60, Client(ends_at=20), Due.DEAD),
        (10, Client(Connection(unsent_since=1), ends_at=10), Due.END),
        (601, Client(Connection(unsent_since=1), ends_at=10), Due.STALLED),
        (100, Client(Connection(close_by=101)), None),
        (101, Client(Connection(close_by=101)), Due.DEAD),
        (601, Client(Connection(unsent_since=1, close_by=5)), Due.STALLED),
        (4.9, Client(expiry=Expiry(0, warns_at=5, ends_at=9)), None),
        (5, Client(expiry=Expiry(0, warns_at=5, ends_at=9), told_at=-99), Due.EXPIRING),
        (5, Client(Connection(unsent_since=1), expiry=Expiry(0, warns_at=5, ends_at=9)), None),
        (9, Client(Connection(unsent_since=1), expiry=Expiry(0, warns_at=5, ends_at=9)), Due.EXPIRED),
        (9, Client(expiry=Expiry(0, warns_at=5, ends_at=9), ends_at=8), Due.EXPIRED),
        (9, Client(Connection(close_by=10), expiry=Expiry(0, warns_at=5, ends_at=9)), None),
        (60, Client(expiry=Expiry(0, warns_at=5, ends_at=9)), Due.DEAD),
    ],
)
def test_what_is_due(now: float, client: Client, expected: Due | None) -> None:
    """A client that holds unsent bytes cannot answer; one that closes is not asked for a sign of life."""
    assert due(client, now, PATIENCE) is expected
    assert (deadline(client, PATIENCE) <= now) is (expected is not None)


instants = st.integers(0, 700).map(float)
never = st.just(math.inf)
connections = st.builds(Connection, instants, st.none() | instants, st.none() | instants)


expiries = st.builds(lambda warns, ends: Expiry(0, warns_at=warns, ends_at=ends), instants | never, instants)


@given(st.builds(Client, connections, instants, instants | never, instants | never, st.none() | expiries), instants)
def test_nothing_is_due_before_the_deadline_and_something_is_then(client: Client, now: float) -> None:
    """So that a look is never for nothing, unless something has moved the deadline since."""
    assert (due(client, now, PATIENCE) is None) is (now < deadline(client, PATIENCE))


@pytest.mark.parametrize(("share", "seconds"), [(0.0, 900), (0.5, 1000), (1.0, 1100)])
def test_connections_of_the_same_age_end_at_different_times(share: float, seconds: float) -> None:
    """A tenth more or less; without a limit never."""
    assert Patience(1, 2, 3, age=1000).lifetime(share) == pytest.approx(seconds)
    assert PATIENCE.lifetime(share) == math.inf


@pytest.mark.parametrize(("clients", "seconds", "last"), [(10_000, 8, 8), (100, 8, 0.5), (1, 0, 0), (12_000, 60, 60)])
def test_clients_are_ended_one_after_the_other(clients: int, seconds: float, last: float) -> None:
    """Evenly, over the time that there is, or 200 a second where that is earlier."""
    pace = Pace(1000.0, clients, seconds)
    instants = [pace.next() - 1000 for _ in range(clients)]
    assert instants[-1] == pytest.approx(last)
    assert max(later - one for one, later in pairwise([0.0, *instants])) <= last / clients + 1e-6


def test_clients_come_up_when_they_are_due_and_not_before() -> None:
    """Up to a grain later, as many at a time as there is time for, and never twice."""
    deadlines: Deadlines[Client] = Deadlines()
    first, second, third = Client(), Client(), Client()
    assert deadlines.next is None
    deadlines.watch(third, 30.0)
    deadlines.watch(first, 10.01)
    deadlines.watch(second, 10.02)
    assert deadlines.next == pytest.approx(10.05)
    assert deadlines.take(10.04, 9) == []
    assert [deadlines.take(10.06, 1), deadlines.take(10.06, 1)] == [[second], [first]]
    assert deadlines.next == 30.0
    assert deadlines.take(99.0, 9) == [third]
    assert (deadlines.take(99.0, 9), deadlines.next, len(deadlines)) == ([], None, 0)


def test_only_a_nearer_deadline_makes_an_entry() -> None:
    """A later one waits for the entry that there is; a client that is forgotten never comes up."""
    deadlines: Deadlines[Client] = Deadlines()
    client, gone = Client(), Client()
    deadlines.watch(client, 20.0)
    for _ in range(1000):
        deadlines.watch(client, 30.0)
    deadlines.watch(gone, 20.0)
    deadlines.forget(gone)
    deadlines.forget(gone)
    assert len(deadlines) == 1
    deadlines.watch(client, 5.0)
    assert deadlines.take(5.0, 9) == [client]
    deadlines.watch(client, 20.0)
    assert deadlines.take(20.0, 9) == [client]
    assert (deadlines.take(99.0, 9), len(deadlines)) == ([], 0)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("wftt"), st.integers(0, 40)), max_size=60))
def test_every_client_comes_up_once_by_its_deadline(steps: list[tuple[int, str, int]]) -> None:
    """Whatever is watched, forgotten and taken in any order: compared with a dictionary of deadlines."""
    deadlines: Deadlines[Client] = Deadlines()
    clients = [Client() for _ in range(10)]
    entries: dict[int, int] = {}
    now = 0
    for number, step, seconds in steps:
        if step == "w":
            deadlines.watch(clients[number], now + 1 + seconds)
            entries[number] = min(entries.get(number, 1 << 20), now + 1 + seconds)
        elif step == "f":
            deadlines.forget(clients[number])
            entries.pop(number, None)
        else:
            now += seconds
            limit = number + 1
            taken = [clients.index(client) for client in deadlines.take(now, limit)]
            ready = {each for each, when in entries.items() if when <= now}
            assert len(taken) == len(set(taken)) == min(limit, len(ready))
            assert set(taken) <= ready
            for each in taken:
                del entries[each]
        assert deadlines.next is None or not entries or deadlines.next <= min(entries.values())


def test_nothing_is_kept_of_clients_that_have_gone_or_are_due_earlier() -> None:
    """However often clients come and go, or close: memory is bounded by those that are there, and by the time."""
    deadlines: Deadlines[Client] = Deadlines()
    for number in range(10_000):
        client = Client()
        deadlines.watch(client, 1e6 + number % 20)
        deadlines.watch(client, 1e5 + number % 5)
        deadlines.forget(client)
    assert len(deadlines) == 0
    assert len(deadlines._heap) == 25  # noqa: SLF001 - what is left
    assert deadlines.take(1e7, 1000) == []
    assert deadlines.next is None


def test_a_client_costs_few_bytes() -> None:
    """Those that are due in the same grain share an element of the heap: 20,000 clients, as pings spread them."""
    deadlines: Deadlines[Client] = Deadlines()
    clients = [Client() for _ in range(20_000)]
    for number, client in enumerate(clients):
        deadlines.watch(client, 1000 + 20 * number / len(clients))
    grains = deadlines._grains  # noqa: SLF001 - what it is made of
    objects = [grains, *grains.values(), *(grain.clients for grain in grains.values())]
    size = sum(map(sys.getsizeof, objects))
    assert len(grains) <= 20 / GRAIN_SECONDS + 1
    assert size / len(clients) <= 64
