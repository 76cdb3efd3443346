"""When positions are written, who is told, and what a store that is away is to those who acknowledge."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog

from edge.positions import keeper as keepers
from edge.positions.device import Device, Key
from edge.positions.keeper import Keeper
from edge.positions.store import Away, Row
from tests.edge.kit.positions import Foreigners, MemoryStore
from tests.edge.kit.running import running
from tests.edge.positions.contract import OTHER, PHONE, TABLET, place
from tests.streams.virtual import virtual

NEVER = 3600.0


class Session:
    """A session that acknowledges, and says when it is told."""

    def __init__(self, keeper: Keeper, key: Key = PHONE) -> None:
        self.keeper = keeper
        self.device = Device(key)
        self.number = 0
        self.told: asyncio.Queue[tuple[int, str] | None] = asyncio.Queue()

    def acknowledge(self, position: int) -> None:
        """Say how far it is."""
        self.number += 1
        assert self.keeper.acknowledge(self.device, place(position), self.number, self._hear)

    def hurry(self) -> None:
        """Have others wait."""
        self.keeper.hurry(self.device, lambda: self.told.put_nowait(None))

    def _hear(self, number: int, position: str) -> None:
        self.told.put_nowait((number, position))


@asynccontextmanager
async def keeping(
    store: MemoryStore, seconds: float = NEVER, foreigners: Foreigners | None = None
) -> AsyncIterator[Keeper]:
    """Run a keeper, which has seen its store, and closes it at the end."""
    keeper = Keeper(store, seconds=seconds, foreign=foreigners or Foreigners())
    async with running(keeper.run()):
        while not keeper.writes.total():
            await asyncio.sleep(0)
        yield keeper
        assert not store.is_closed
    assert store.is_closed


def due_in(keeper: Keeper) -> float:
    """Return in how many seconds something is written; ``NEVER`` when nothing is to be."""
    wait = keeper._wait()  # noqa: SLF001 - to wait for what does not happen would prove nothing
    return NEVER if wait is None else wait


async def settled(keeper: Keeper, *, away: bool) -> None:
    """Wait until it knows that its store is away, or there."""
    while keeper.is_away is not away:
        await asyncio.sleep(0)


async def test_the_store_is_asked_at_once_so_that_its_trouble_is_known() -> None:
    """Before anybody needs it; that is said once, and its end, too, without traffic."""
    store = MemoryStore()
    store.away = "no table"
    with structlog.testing.capture_logs() as logs:
        async with keeping(store, seconds=0) as keeper:
            await settled(keeper, away=True)
            while len(store.written) < 4:
                await asyncio.sleep(0)
            assert (keeper.trouble, keeper.writes["done"]) == ("no table", 0)
            store.away = None
            await settled(keeper, away=False)
            # Nothing is left to ask.
            count = len(store.written)
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(store.written) == count
    assert [(line["event"], line.get("why")) for line in logs] == [
        ("positions.away", "no table"),
        ("positions.there", None),
    ]


async def test_what_is_acknowledged_is_stored_in_one_statement_and_told() -> None:
    store = MemoryStore()
    async with keeping(store, seconds=0) as keeper:
        store.gate.clear()
        phone, other = Session(keeper), Session(keeper, OTHER)
        for position in range(3):
            phone.acknowledge(position)
            other.acknowledge(position)
        assert keeper.waiting == 2
        store.gate.set()
        assert [await phone.told.get(), await other.told.get()] == [(3, place(2))] * 2
        assert store.written[-1] == [Row(PHONE, place(2)), Row(OTHER, place(2))]
        assert (keeper.waiting, keeper.age, keeper.stored) == (0, 0, 2)


@pytest.mark.parametrize("how", ["hurry", "leave"])
async def test_who_waits_or_leaves_has_it_stored_at_once(how: str) -> None:
    """All that waits goes with it."""
    store = MemoryStore()
    async with keeping(store) as keeper:
        first, second = Session(keeper), Session(keeper, TABLET)
        first.acknowledge(1)
        second.acknowledge(1)
        assert due_in(keeper) > keepers.APART_SECONDS
        if how == "leave":
            keeper.leave(first.device)
        else:
            first.hurry()
        assert await second.told.get() == (1, place(1))
        assert first.told.qsize() == (how == "hurry")
        assert store.positions == {PHONE: place(1), TABLET: place(1)}
        # Nothing waits: there is nothing to write.
        keeper.leave(first.device)
        assert due_in(keeper) == NEVER


async def test_while_the_store_is_away_the_newest_waits_and_who_is_in_a_hurry_is_put_off() -> None:
    """Also who hurries while it is tried, and nobody twice. Then it is tried again by the clock alone."""
    store = MemoryStore()
    async with keeping(store) as keeper:
        store.gate.clear()
        store.asked.clear()
        before, meanwhile = Session(keeper), Session(keeper, TABLET)
        before.acknowledge(1)
        before.hurry()
        await store.asked.wait()
        meanwhile.acknowledge(5)
        meanwhile.hurry()
        store.away = "the database is gone"
        store.gate.set()
        assert [await before.told.get(), await meanwhile.told.get()] == [None, None]
        assert (keeper.trouble, keeper.waiting) == ("the database is gone", 2)
        before.acknowledge(2)
        keeper.leave(meanwhile.device)
        assert due_in(keeper) > keepers.APART_SECONDS
        store.away = None
        await keeper.drain(5)
        assert await before.told.get() == (2, place(2))
        assert store.positions == {PHONE: place(2), TABLET: place(5)}


async def test_a_drain_stores_all_and_gives_up_where_the_store_is_away() -> None:
    """And says how many were lost; their clients were told nothing."""
    store = MemoryStore()
    async with keeping(store) as keeper:
        await keeper.drain(5)
        session = Session(keeper)
        session.acknowledge(1)
        await keeper.drain(5)
        assert store.positions == {PHONE: place(1)}
        store.away = "gone"
        session.acknowledge(2)
        with structlog.testing.capture_logs() as logs:
            await keeper.drain(5)
        assert logs[-1] == {"event": "positions.lost", "devices": 1, "why": "gone", "log_level": "warning"}


async def test_a_drain_ends_in_time() -> None:
    store = MemoryStore()
    async with keeping(store) as keeper:
        store.gate.clear()
        Session(keeper).acknowledge(1)
        await keeper.drain(0.01)
        assert keeper.waiting == 1
        store.gate.set()


async def all_told(sessions: Sequence[Session]) -> None:
    """Have all acknowledge one position in the same turn, and wait until each was told what is stored."""
    for session in sessions:
        session.acknowledge(1)
    sessions[0].hurry()
    for session in sessions:
        await session.told.get()


async def test_batches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has come meanwhile is for the next time."""
    monkeypatch.setattr(keepers, "BATCH", 2)
    monkeypatch.setattr(keepers, "_SLICE_SECONDS", 0)
    store = MemoryStore()
    async with keeping(store) as keeper:
        await all_told([Session(keeper, Key("alice", str(number))) for number in range(5)])
        assert [len(rows) for rows in store.written] == [0, 2, 2, 1]


async def test_a_statement_stores_a_thousand_positions_at_most() -> None:
    """It is made in one turn of the loop, and PostgreSQL has so long for it."""
    store = MemoryStore()
    async with keeping(store) as keeper:
        sessions = [Session(keeper, Key(f"user-{number}", "phone")) for number in range(2001)]
        await all_told(sessions)
        assert [len(rows) for rows in store.written] == [0, 1000, 1000, 1]
        found = await asyncio.gather(*(keeper.find(session.device.key) for session in sessions))
        assert found == [place(1)] * 2001
        assert [len(keys) for keys in store.reads] == [1000, 1000, 1]


@pytest.mark.parametrize("is_away", [False, True])
def test_who_is_told_takes_no_turn_of_the_loop_too_long(monkeypatch: pytest.MonkeyPatch, *, is_away: bool) -> None:
    """Whether it is stored or put off: the others have a turn after each slice, which is one session here."""
    monkeypatch.setattr(keepers, "_SLICE_SECONDS", 0)
    turn, told_in = 0, []

    async def others() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    @virtual
    async def test() -> None:
        store = MemoryStore()
        store.away = "gone" if is_away else None
        async with keeping(store, seconds=NEVER if is_away else 0) as keeper, running(others()):
            for number in range(5):
                device = Device(Key("alice", str(number)))
                assert keeper.acknowledge(device, place(1), 1, lambda *_: told_in.append(turn))
                if is_away:
                    keeper.hurry(device, lambda: told_in.append(turn))
            if is_away:
                await keeper.drain(5)
            while len(told_in) < 5:
                await asyncio.sleep(0)

    test()
    assert told_in == [told_in[0] + more for more in range(5)]


@virtual
async def test_statements_are_apart_however_many_are_in_a_hurry() -> None:
    """Clients that leave one after the other cause no statement each."""
    store = MemoryStore()
    begun = asyncio.get_running_loop().time()
    stored_after = []
    async with keeping(store) as keeper:
        for number in range(1, 4):
            session = Session(keeper)
            session.acknowledge(number)
            session.hurry()
            await session.told.get()
            stored_after.append(asyncio.get_running_loop().time() - begun)
    assert stored_after == pytest.approx([0.1, 0.2, 0.3], abs=0.001)


async def asking(keeper: Keeper, store: MemoryStore, key: Key) -> asyncio.Task[str]:
    """Ask where a device goes on; the store is asked then, and answers when its gate is opened."""
    store.gate.clear()
    store.asked.clear()
    asked = asyncio.create_task(keeper.find(key))
    await store.asked.wait()
    return asked


async def test_what_is_stored_is_found_by_all_who_ask_in_one_question() -> None:
    """Those who come while one is asked share the next."""
    store = MemoryStore()
    store.store([Row(PHONE, place(1)), Row(TABLET, place(2))])
    async with keeping(store) as keeper:
        first = await asking(keeper, store, PHONE)
        others = [asyncio.create_task(keeper.find(key)) for key in (PHONE, TABLET, OTHER)]
        await asyncio.sleep(0)
        store.gate.set()
        assert [await first, *[await each for each in others]] == [place(1), place(1), place(2), ""]
        assert store.reads == [[PHONE], [PHONE, TABLET, OTHER]]
        assert keeper.reads == {"done": 2}


async def test_what_waits_on_this_edge_is_found_before_it_is_stored() -> None:
    store = MemoryStore()
    async with keeping(store) as keeper:
        Session(keeper).acknowledge(4)
        assert await keeper.find(PHONE) == place(4)


async def test_who_asks_a_store_that_is_away_is_told() -> None:
    """What is found then says that it is there again."""
    store = MemoryStore()
    async with keeping(store) as keeper:
        store.away = "gone"
        asked = [asyncio.create_task(keeper.find(key)) for key in (PHONE, TABLET)]
        for each in asked:
            with pytest.raises(Away, match="gone"):
                await each
        assert (keeper.reads, keeper.is_away) == ({"failed": 1}, True)
        store.away = None
        assert await keeper.find(PHONE) == ""
        assert not keeper.is_away


async def test_a_store_that_somebody_found_away_is_tried_until_it_is_there() -> None:
    """Without traffic: nothing waits to be stored, and nobody asks again."""
    store = MemoryStore()
    async with keeping(store, seconds=0.01) as keeper:
        store.away = "gone"
        with pytest.raises(Away):
            await keeper.find(PHONE)
        assert keeper.is_away
        store.away = None
        await settled(keeper, away=False)


async def test_who_leaves_while_it_asks_takes_nobody_s_question_along() -> None:
    """The first asks for all; it is gone before there is an answer, and nothing is asked twice."""
    store = MemoryStore()
    store.store([Row(PHONE, place(1)), Row(TABLET, place(2))])
    async with keeping(store) as keeper:
        first = await asking(keeper, store, OTHER)
        lost, kept = asyncio.create_task(keeper.find(PHONE)), asyncio.create_task(keeper.find(TABLET))
        await asyncio.sleep(0)
        store.gate.set()
        assert await first == ""
        store.gate.clear()
        while len(store.reads) == 1:
            await asyncio.sleep(0)
        lost.cancel()
        store.gate.set()
        assert await kept == place(2)
        assert store.reads == [[OTHER], [PHONE, TABLET]]


async def test_a_store_that_answers_later_than_anybody_waits_is_known_to_be_away() -> None:
    """Without anything to be stored: who needs it is sent away, and an operator is told why."""
    store = MemoryStore()
    async with keeping(store) as keeper:
        asked = await asking(keeper, store, PHONE)
        asked.cancel()
        await asyncio.wait([asked])
        store.away = "the database did not answer in time"
        with structlog.testing.capture_logs() as logs:
            store.gate.set()
            await settled(keeper, away=True)
        assert [line["event"] for line in logs] == ["positions.away"]
        assert (keeper.trouble, keeper.reads) == ("the database did not answer in time", {"failed": 1})


async def test_what_is_further_on_and_foreign_is_replaced() -> None:
    """Behind the answer, which waits for nobody; what is of the feed stays."""
    store, foreigners = MemoryStore(), Foreigners(place(8))
    store.store([Row(PHONE, place(8)), Row(TABLET, place(9)), Row(OTHER, place(1))])
    async with keeping(store, 0, foreigners) as keeper:
        sessions = [Session(keeper, key) for key in (PHONE, TABLET, OTHER)]
        foreigners.gate.clear()
        for session in sessions:
            session.acknowledge(2)
        assert [await session.told.get() for session in sessions] == [(1, place(8)), (1, place(9)), (1, place(2))]
        assert store.positions == {PHONE: place(8), TABLET: place(9), OTHER: place(2)}
        foreigners.gate.set()
        while store.positions[PHONE] == place(8):
            await asyncio.sleep(0)
        assert store.positions == {PHONE: place(2), TABLET: place(9), OTHER: place(2)}
        assert (foreigners.asked, keeper.waiting) == ([{place(8), place(9)}], 0)


async def test_what_is_foreign_is_asked_once_at_a_time() -> None:
    """Kafka may be away for long: those who come meanwhile are looked at when they acknowledge again."""
    store, foreigners = MemoryStore(), Foreigners(place(8))
    store.store([Row(PHONE, place(8)), Row(OTHER, place(8))])
    async with keeping(store, 0, foreigners) as keeper:
        foreigners.gate.clear()
        phone, other = Session(keeper), Session(keeper, OTHER)
        for session in (phone, other):
            session.acknowledge(2)
            await session.told.get()
        foreigners.gate.set()
        while store.positions[PHONE] == place(8):
            await asyncio.sleep(0)
        assert store.positions[OTHER] == place(8)
        other.acknowledge(3)
        while store.positions[OTHER] == place(8):
            await asyncio.sleep(0)
        assert (store.positions, len(foreigners.asked)) == ({PHONE: place(2), OTHER: place(3)}, 2)


async def test_a_keeper_that_ends_asks_nothing_more() -> None:
    store, foreigners = MemoryStore(), Foreigners()
    foreigners.gate.clear()
    store.store([Row(PHONE, place(8))])
    async with keeping(store, 0, foreigners) as keeper:
        session = Session(keeper)
        session.acknowledge(2)
        await session.told.get()
    assert len(asyncio.all_tasks()) == 1
