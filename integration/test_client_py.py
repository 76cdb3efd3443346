"""The Python client: nothing lost, twice or out of order, whatever edges do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import msgspec
import pytest

from edge.client import Feed, Gap, Post, Transport, connect
from integration import topics
from integration.conftest import Install
from integration.relay import relaying
from integration.system import Process, System
from streams.contract import FeedRecord, Publication, encode_feed

_PATIENCE_SECONDS: Final = 90.0

_ids = count(2**63 - 100)


@pytest.fixture
def system(install: Install) -> System:
    """One edge that says often that it lives, and a feed that no worker writes."""
    system = install(HEARTBEAT_SECONDS=1, LONG_POLL_SECONDS=2, DRAIN_SECONDS=2)
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    system.edge().until_ready()
    return system


class Viewer:
    """Iterates over a feed, and writes down what it was given."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.ids: list[int] = []
        self.gaps: list[Gap] = []

    async def run(self) -> None:
        async for item in self.feed:
            if isinstance(item, Post):
                self.ids.append(item.id)
            else:
                self.gaps.append(item)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(
                f"not within {_PATIENCE_SECONDS:.0f} s: {what}; {self.feed.state}, {self.ids}"
            ) from None


@asynccontextmanager
async def viewing(url: str, transport: Transport) -> AsyncIterator[Viewer]:
    async with connect(url, transports=[transport]) as feed:
        viewer = Viewer(feed)
        running = asyncio.create_task(viewer.run())
        yield viewer
        await feed.close()
        await running


class Shown:
    """What was shown on the feed."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.ids: list[int] = []

    async def show(self, number: int) -> None:
        """Show so many posts, in as many records."""
        new = [next(_ids) for _ in range(number)]
        self.ids += new
        records = [
            FeedRecord(window=0, publications=[Publication("created", id_, msgspec.Raw(b'{"id":%d}' % id_))])
            for id_ in new
        ]
        await topics.write(
            self._system.environment["KAFKA_URL"], self._system.feed, [encode_feed(record) for record in records]
        )

    async def until_seen(self, viewer: Viewer) -> None:
        """Wait until a viewer was given all of them, and nothing else."""
        await viewer.until(lambda: len(viewer.ids) >= len(self.ids), f"{len(self.ids)} posts")
        assert viewer.ids == self.ids


async def start_again(edge: Process) -> None:
    await asyncio.to_thread(edge.start().until_ready)


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
async def test_nothing_is_lost_twice_or_out_of_order_whatever_an_edge_does(
    system: System, transport: Transport
) -> None:
    """It is killed, frozen, drained, and cut off, with posts before, meanwhile and afterwards."""
    shown, [edge] = Shown(system), system.processes
    async with relaying(edge.port) as relay, viewing(f"http://127.0.0.1:{relay.port}/", transport) as viewer:

        async def until_lost() -> None:
            await viewer.until(lambda: viewer.feed.state != "live", "the connection is given up")

        await viewer.until(lambda: viewer.feed.state == "live", "live")
        await shown.show(4)
        await shown.until_seen(viewer)

        edge.kill()
        await shown.show(3)
        await until_lost()
        await start_again(edge)
        await shown.show(2)
        await shown.until_seen(viewer)

        edge.pause()
        await shown.show(3)
        if transport == "websocket":
            await until_lost()
        edge.resume()
        await shown.show(2)
        await shown.until_seen(viewer)

        assert await asyncio.to_thread(edge.terminate) == 0
        await shown.show(3)
        await until_lost()
        await start_again(edge)
        await shown.until_seen(viewer)

        relay.flowing.clear()
        await shown.show(3)
        if transport == "websocket":
            await until_lost()
        relay.flowing.set()
        await shown.show(2)
        await shown.until_seen(viewer)
        assert viewer.gaps == []
        assert viewer.feed.cursor is not None
