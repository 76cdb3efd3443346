"""Who is slow, or only seems to be there, hurts nobody: it is waited for, told, or cut; the others have every post."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Final

import pytest

from integration import slow, topics
from integration.bench.posts import FIRST_ID, feed_record
from integration.bench.usage import resident_bytes, serving
from integration.clients import PATIENCE_SECONDS, Client, connect
from integration.conftest import Install
from integration.slow import SlowClient
from integration.system import Process, System

_MIB: Final = 1024 * 1024
_WRITE_BYTES: Final = 65_536
_WINDOW: Final = 50
_FEW: Final = 10
_CLIENTS: Final = 100
_PING_SECONDS: Final = 1
_DEAD_SECONDS: Final = 8
_STALLED_SECONDS: Final = 40
"""Longer than any client here does not read that is to get all it was sent."""

_ids = count(FIRST_ID)


@pytest.fixture(scope="module")
def system(install_for_module: Install) -> System:
    """Have an edge with a small log and one with a large one, and a feed that no worker writes."""
    system = install_for_module(WRITE_BYTES=_WRITE_BYTES)
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    for edge in (system.edge(LOG_BYTES=_MIB, STALLED_SECONDS=_STALLED_SECONDS), system.edge()):
        edge.until_ready()
    return system


@pytest.fixture
def forgetful(system: System) -> Process:
    """Name the edge with the small log."""
    return system.processes[0]


@pytest.fixture
def lasting(system: System) -> Process:
    """Name the edge that remembers all that is shown here."""
    return system.processes[1]


class Show:
    """Posts that are shown while a healthy client looks on, who gets all of them at once. Made by :func:`showing`."""

    def __init__(self, system: System, edge: Process, healthy: Client) -> None:
        self.ids: list[int] = []
        self._system = system
        self._edge = edge
        self._healthy = healthy

    async def windows(self, number: int) -> None:
        """Write windows to the feed, and wait for the healthy client to have them: in order, and each once."""
        windows = [[next(_ids) for _ in range(_WINDOW)] for _ in range(number)]
        await topics.write(self._system.environment["KAFKA_URL"], self._system.feed, map(feed_record, windows))
        self.ids += [id_ for window in windows for id_ in window]
        await self._healthy.until_shown(len(self.ids))
        assert (self._healthy.ids, self._healthy.code) == (self.ids, None)

    async def until_lagging(self, clients: int) -> None:
        """Show until so many do not take what they are sent."""
        while await asyncio.to_thread(self._edge.metric, "postcast_edge_lagging") != clients:
            await self.windows(_FEW)


@asynccontextmanager
async def showing(system: System, edge: Process) -> AsyncIterator[Show]:
    """Have a healthy client and a feed that nobody else writes."""
    async with await connect(edge.websocket, asks=True) as healthy:
        yield Show(system, edge, healthy)


async def left(edge: Process, clients: int) -> None:
    """Wait until only so many clients are left."""
    await asyncio.to_thread(
        edge.until,
        lambda: edge.connections() == clients,
        f"has {clients} clients",
    )


async def test_who_falls_out_of_the_log_and_reads_again_is_told_4008(
    system: System, forgetful: Process, lasting: Process
) -> None:
    """What was begun is finished, and the cursor of the last post is good."""
    async with showing(system, forgetful) as show:
        with await slow.connect(forgetful.port) as client:
            await show.until_lagging(1)
            # A session that the log has moved past is at its end, and so lags no more.
            await show.until_lagging(0)
            assert await client.read_until_end() == 4008
        await expect_to_go_on(client, show.ids, forgetful, lasting)


async def test_who_falls_out_of_the_log_and_never_reads_is_cut(
    system: System, forgetful: Process, lasting: Process
) -> None:
    """When it has taken nothing for as long as it may. It sees 1006 whenever it looks, and its cursor is as good."""
    async with showing(system, forgetful) as show:
        with await slow.connect(forgetful.port) as client:
            await show.until_lagging(1)
            await show.until_lagging(0)
            await left(forgetful, 1)
            assert await client.read_until_end() == 1006
        await expect_to_go_on(client, show.ids, forgetful, lasting)


async def expect_to_go_on(client: SlowClient, shown: list[int], forgetful: Process, lasting: Process) -> None:
    """Expect the client to have the beginning of what was shown, and to get the rest: from memory, or by a replay."""
    assert 0 < len(client.ids) < len(shown)
    assert client.ids == shown[: len(client.ids)]
    for edge in (forgetful, lasting):
        async with await connect(edge.websocket, query=f"?cursor={client.cursor}") as resumed:
            await resumed.until_last(shown[-1])
            assert (resumed.welcome["recovered"], client.ids + resumed.ids) == (True, shown)


async def test_who_reads_a_byte_a_second_is_waited_for_and_gets_every_post(system: System, lasting: Process) -> None:
    """The log is its buffer: nothing is lost, and when it reads as others do it has caught up."""
    async with showing(system, lasting) as show:
        with await slow.connect(lasting.port) as client:
            for _ in range(5):
                await show.windows(2 * _FEW)
                await asyncio.sleep(1)
                await client.read(1)
            assert client.ids == []
            await client.read_until_last(show.ids[-1])
            assert (client.ids, client.code) == (show.ids, None)


async def test_slow_clients_cost_the_edge_no_more_than_one_write_each(system: System, lasting: Process) -> None:
    """What waits for a hundred of them is in the log once. Twice a write is allowed, for buffers have spare room."""
    process = serving(lasting.port)
    async with AsyncExitStack() as connected, showing(system, lasting) as show:
        clients = [connected.enter_context(await slow.connect(lasting.port)) for _ in range(_CLIENTS)]
        # What each connection and the encodings of the log take is there before.
        await show.windows(1)
        for client in clients:
            await client.read_until_last(show.ids[-1])
        before = resident_bytes(process) - await asyncio.to_thread(lasting.metric, "postcast_edge_log_bytes")
        # More than three times what each may take, if it were kept for each of them.
        await show.windows(2 * _FEW)
        await show.until_lagging(_CLIENTS)
        after = resident_bytes(process) - await asyncio.to_thread(lasting.metric, "postcast_edge_log_bytes")
        assert after - before <= 2 * _WRITE_BYTES * _CLIENTS
        for client in clients[:3]:
            await client.read_until_last(show.ids[-1])
            assert (client.ids, client.code) == (show.ids, None)


@pytest.fixture
def watchful(system: System) -> Iterator[Process]:
    """Start an edge that soon takes the silent for dead."""
    edge = system.edge(PING_SECONDS=_PING_SECONDS, DEAD_SECONDS=_DEAD_SECONDS).until_ready()
    yield edge
    edge.close()
    system.processes.remove(edge)


async def test_who_never_answers_a_ping_is_cut(system: System, watchful: Process) -> None:
    """A peer may be gone without a word; who answers stays."""
    async with showing(system, watchful) as show:
        with await slow.connect(watchful.port) as client:
            await show.windows(1)
            await client.read_until_last(show.ids[-1])
            assert await client.read_until_end() == 1006
        await show.windows(1)


async def test_a_client_whose_process_is_frozen_is_cut(system: System, watchful: Process) -> None:
    """The kernel goes on for it and takes what it is sent; only a pong would tell that somebody is there."""
    frozen = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "websockets", watchful.websocket,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with showing(system, watchful) as show:
            await left(watchful, 2)
            # It answers pings by itself, and so is still there after the time for the dead.
            await asyncio.sleep(_DEAD_SECONDS + 2)
            assert await asyncio.to_thread(watchful.connections) == 2
            os.kill(frozen.pid, signal.SIGSTOP)
            await left(watchful, 1)
            await show.windows(1)
        os.kill(frozen.pid, signal.SIGCONT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            said, _ = await frozen.communicate()
        assert b"Connection closed: 1006" in said
    finally:
        if frozen.returncode is None:
            frozen.kill()
            await frozen.wait()
