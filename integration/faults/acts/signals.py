"""Processes and services that are killed, told to end, or frozen."""

import asyncio
import signal
import time
from collections.abc import Callable

from integration.faults.endings import charge_stops
from integration.faults.installation import Member
from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import SERVICES, Fault
from integration.faults.verdict import GRACE_SECONDS
from integration.service import Service


async def kill(scene: Scene, fault: Fault) -> str:
    """``kill -9``; it is started again after the fault's time."""
    if fault.object in SERVICES:
        service = scene.stage.service(fault.object)
        return await _service_away(service, service.kill, fault)
    with scene.installation.attending(*fault.targets) as members:
        for member in members:
            await asyncio.to_thread(member.kill)
        codes = [member.exit_code for member in members]
        await asyncio.sleep(fault.lasts_ms / 1000)
        for member in members:
            await asyncio.to_thread(member.start)
    if set(codes) != {-signal.SIGKILL}:
        raise Unprovable(f"{', '.join(fault.targets)} ended with {codes}")
    return f"{', '.join(fault.targets)} killed"


async def term(scene: Scene, fault: Fault) -> str:
    """SIGTERM; it is started again after the fault's time."""
    if fault.object in SERVICES:
        service = scene.stage.service(fault.object)
        return await _service_away(service, service.stop, fault)
    with scene.installation.attending(*fault.targets) as members:
        if gone := [member.name for member in members if not member.is_alive()]:
            raise Unprovable(f"{', '.join(gone)} does not run")
        begun = time.monotonic()
        # Each in its own thread: told to end at the same moment, as a cluster's node does that is drained.
        codes = await asyncio.gather(*(asyncio.to_thread(member.terminate) for member in members))
        took = time.monotonic() - begun
        # A service that has just come back is not yet what it was for those that use it.
        disturbed = scene.disturbed(begun - GRACE_SECONDS)
        scene.charges += charge_stops(dict(zip(fault.targets, codes, strict=True)), disturbed)
        await asyncio.sleep(fault.lasts_ms / 1000)
        for member in members:
            await asyncio.to_thread(member.start)
    return f"{', '.join(fault.targets)} ended with {', '.join(map(str, codes))} within {took:.1f} s"


async def stop(scene: Scene, fault: Fault) -> str:
    """SIGSTOP, and SIGCONT after the fault's time."""
    if fault.object in SERVICES:
        service = scene.stage.service(fault.object)
        await asyncio.to_thread(service.pause)
        try:
            await asyncio.sleep(fault.lasts_ms / 1000)
        finally:
            await asyncio.to_thread(service.resume)
        return f"{service.name} frozen"
    with scene.installation.attending(*fault.targets) as members:
        await _frozen(members, fault.lasts_ms / 1000)
    return f"{', '.join(fault.targets)} frozen"


async def _frozen(members: list[Member], seconds: float) -> None:
    for member in members:
        await asyncio.to_thread(member.pause)
    try:
        await asyncio.sleep(seconds)
    finally:
        for member in members:
            await asyncio.to_thread(member.resume)


async def _service_away(service: Service, end: Callable[[], None], fault: Fault) -> str:
    await asyncio.to_thread(end)
    if service.is_alive():
        raise Unprovable(f"{service.name} lives")
    await asyncio.sleep(fault.lasts_ms / 1000)
    await asyncio.to_thread(service.start)
    return f"{service.name} was gone"
