"""What a client must get through without losing anything, seeing it twice or out of order."""

import asyncio

from integration.fed import Feed, Viewer
from integration.relay import Relay
from integration.system import Process


async def survive(feed: Feed, viewer: Viewer, edge: Process, relay: Relay, *, notices_silence: bool) -> None:
    """Kill an edge, freeze it, drain it, and cut it off, with posts before, meanwhile and afterwards.

    ``relay`` is the viewer's only way to the edge. ``notices_silence`` says whether the client gives up a connection on
    which nothing comes.
    """

    async def until_lost() -> None:
        await viewer.until(lambda: viewer.state != "live", "the connection is given up")

    await viewer.until(lambda: viewer.state == "live", "live")
    await feed.show(4)
    await feed.until_shown(viewer)

    edge.kill()
    await feed.show(3)
    await until_lost()
    await start_again(edge)
    await feed.show(2)
    await feed.until_shown(viewer)

    edge.pause()
    await feed.show(3)
    if notices_silence:
        await until_lost()
    edge.resume()
    await feed.show(2)
    await feed.until_shown(viewer)

    assert await asyncio.to_thread(edge.terminate) == 0
    await feed.show(3)
    await until_lost()
    await start_again(edge)
    await feed.until_shown(viewer)

    relay.flowing.clear()
    await feed.show(3)
    if notices_silence:
        await until_lost()
    relay.flowing.set()
    await feed.show(2)
    await feed.until_shown(viewer)
    assert viewer.gaps == []


async def start_again(edge: Process) -> None:
    """Start an edge that was ended, and wait until it is ready."""
    await asyncio.to_thread(edge.start().until_ready)
