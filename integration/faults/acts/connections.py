"""Connections between the product and a service that are cut, stalled, slowed down, or half open."""

import asyncio

from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault


async def cut(scene: Scene, fault: Fault) -> str:
    """Reset all connections and refuse new ones meanwhile."""
    proxy = scene.proxies[fault.object]
    # Another fault may have ended them, or their owners.
    await scene.until(lambda: bool(proxy.links), "there is a connection")
    links = proxy.cut()
    await asyncio.sleep(fault.lasts_ms / 1000)
    proxy.heal()
    return _proven(links, "connections reset")


async def stall(scene: Scene, fault: Fault) -> str:
    """Let nothing through meanwhile."""
    proxy = scene.proxies[fault.object]
    before = proxy.held_back
    proxy.stall()
    await asyncio.sleep(fault.lasts_ms / 1000)
    if fault.object == "postgres":
        # Asked once a window at most.
        await scene.until(lambda: proxy.held_back > before, "something is said to the database")
    proxy.heal()
    return _proven(proxy.held_back - before, "bytes held back")


async def slow(scene: Scene, fault: Fault) -> str:
    """Let little through at a time meanwhile."""
    proxy = scene.proxies[fault.object]
    before = proxy.delayed
    proxy.slow()
    await asyncio.sleep(fault.lasts_ms / 1000)
    if fault.object == "postgres":
        await scene.until(lambda: proxy.delayed > before, "something is said to the database")
    proxy.heal()
    return _proven(proxy.delayed - before, "bytes delayed")


async def half_open(scene: Scene, fault: Fault) -> str:
    """Take the service's side of all connections away without a word to the product's."""
    proxy = scene.proxies[fault.object]
    await scene.until(lambda: bool(proxy.links), "there is a connection")
    links = proxy.orphan()
    await asyncio.sleep(fault.lasts_ms / 1000)
    left = proxy.heal()
    return f"{_proven(links, 'connections half open')}, {left} to the end"


def _proven(count: int, what: str) -> str:
    if not count:
        raise Unprovable(f"0 {what}")
    return f"{count} {what}"
