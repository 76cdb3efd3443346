"""What is done to brokers: killed, restarted in turn, frozen, cut off from the others, two of three gone."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from aiokafka.errors import KafkaError

from integration.cluster.brokers import Broker, Cluster
from integration.cluster.roles import OFFSETS, Placement, coordinator, placements
from integration.elapsed import say
from integration.faults.acts import Act
from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault

_SYNC_SECONDS: Final = 90.0
"""How long a broker that is back may take until it holds all that the others hold."""
_LOOK_SECONDS: Final = 0.3
_READY_SECONDS: Final = 10.0
"""Law 9: a process is well again within 10 s of its services' answering."""


class Brokers:
    """The acts on one cluster. ``killed`` are the brokers that were killed so far."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.killed: set[int] = set()

    @property
    def acts(self) -> Mapping[str, Act]:
        """The acts by name, as schedules know them."""
        return {
            "kill": self.kill,
            "roll": self.roll,
            "freeze": self.freeze,
            "cut-off": self.cut_off,
            "too-few": self.too_few,
            "leaderless": self.leaderless,
        }

    async def kill(self, scene: Scene, fault: Fault) -> str:
        """Kill a broker, chosen by what it does, and start it again after the fault's time."""
        roles = await self._roles(scene)
        number = self._chosen(fault.object, roles)
        self.killed.add(number)
        return await self._away(scene, [number], roles, fault, "killed")

    async def roll(self, scene: Scene, _: Fault) -> str:
        """Stop each broker in good order and start it again, the next one when all copies are in sync."""
        roles = await self._roles(scene)
        took = []
        for broker in self._cluster:
            begun = time.monotonic()
            say(f"  {broker.name} ({roles[broker.number]}) is restarted")
            await asyncio.to_thread(broker.restart)
            await self._in_sync(scene)
            took.append(f"{time.monotonic() - begun:.1f}")
        return f"all restarted in turn, in sync again after {', '.join(took)} s"

    async def freeze(self, scene: Scene, fault: Fault) -> str:
        """Freeze the broker that leads the feed: its connections stay open, and nothing answers."""
        roles = await self._roles(scene)
        broker = self._cluster[self._chosen("leader", roles)]
        say(f"  {broker.name} ({roles[broker.number]}) is frozen")
        await asyncio.to_thread(broker.pause)
        try:
            await asyncio.sleep(fault.lasts_ms / 1000)
        finally:
            await asyncio.to_thread(broker.resume)
        return f"{broker.name} ({roles[broker.number]}) frozen, {await self._in_sync(scene)}"

    async def cut_off(self, scene: Scene, fault: Fault) -> str:
        """Cut the broker that leads the feed off from the others: its clients reach it all the while."""
        roles = await self._roles(scene)
        broker = self._cluster[self._chosen("leader", roles)]
        say(f"  {broker.name} ({roles[broker.number]}) is cut off from the others")
        await asyncio.to_thread(broker.cut_off)
        try:
            await asyncio.sleep(fault.lasts_ms / 1000)
            beliefs = [await self._leader(scene, self._cluster[number]) for number in sorted(roles)]
        finally:
            await asyncio.to_thread(broker.rejoin)
        if set(beliefs) == {broker.number}:
            raise Unprovable(f"{broker.name} still leads the feed for everybody")
        told = ", ".join(
            f"broker {number} says {leader}" for number, leader in zip(sorted(roles), beliefs, strict=True)
        )
        in_sync = await self._in_sync(scene)
        return f"{broker.name} ({roles[broker.number]}) cut off; who leads the feed: {told}; {in_sync}"

    async def too_few(self, scene: Scene, fault: Fault) -> str:
        """Kill the two brokers that do not lead the feed: no write gets enough copies, and no leader can be elected."""
        roles = await self._roles(scene)
        left = self._chosen("leader", roles)
        return await self._away(
            scene, [number for number in roles if number != left], roles, fault, "killed", waits=True
        )

    async def leaderless(self, scene: Scene, fault: Fault) -> str:
        """Kill a broker that alone keeps some partitions of posts.created, and not the leader of the feed."""
        roles = await self._roles(scene)
        leader, coordinates = self._chosen("leader", roles), self._chosen("coordinator", roles)
        # The group's own move is tried by other acts: rather one without it.
        number = min(roles, key=lambda number: (number == leader, number == coordinates))
        alone = [place.partition for place in await self._placements(scene) if place.replicas == {number}]
        if not alone:
            raise Unprovable(f"broker {number} keeps no partition alone")
        done = await self._away(scene, [number], roles, fault, "killed", waits=True)
        return f"{done}; {len(alone)} partitions of posts.created had no leader"

    async def _away(
        self,
        scene: Scene,
        numbers: Sequence[int],
        roles: Mapping[int, str],
        fault: Fault,
        how: str,
        *,
        waits: bool = False,
    ) -> str:
        """Have brokers away for the fault's time. ``waits``: the workers cannot write meanwhile, and must say so."""
        brokers = [self._cluster[number] for number in numbers]
        told = " and ".join(f"{broker.name} ({roles[broker.number]})" for broker in brokers)
        say(f"  {told}: {how} for {fault.lasts_ms / 1000:.0f} s")
        for broker in brokers:
            await asyncio.to_thread(broker.kill)
        try:
            if alive := [broker.name for broker in brokers if broker.is_alive()]:
                raise Unprovable(f"{', '.join(alive)} lives")
            await asyncio.sleep(fault.lasts_ms / 1000)
            if waits:
                scene.charges += [
                    f"{worker.name} cannot write, and its /readyz says {' '.join(text.split())}"
                    for worker in scene.installation.workers
                    if "Kafka" not in (text := (await asyncio.to_thread(worker.ask, "/readyz"))[1])
                ]
        finally:
            for broker in brokers:
                await asyncio.to_thread(broker.launch)
            for broker in brokers:
                await asyncio.to_thread(broker.wait_until_ready)
        in_sync = await self._in_sync(scene)
        say(f"  {' and '.join(broker.name for broker in brokers)}: back, {in_sync}")
        if waits:
            await self._ready(scene)
        return f"{told} {how} for {fault.lasts_ms / 1000:.0f} s, {in_sync}"

    async def _ready(self, scene: Scene) -> None:
        """Charge the processes that are not ready soon after all of Kafka is whole."""
        deadline = time.monotonic() + _READY_SECONDS
        while troubles := await asyncio.to_thread(scene.installation.troubles):
            if time.monotonic() > deadline:
                scene.charges += [f"{_READY_SECONDS:.0f} s after Kafka was whole {trouble}" for trouble in troubles]
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _in_sync(self, scene: Scene) -> str:
        """Wait until every copy of every partition is in sync and led by somebody; say how long that took."""
        begun = time.monotonic()
        while time.monotonic() < begun + _SYNC_SECONDS:
            try:
                views = [await self._placements(scene, broker) for broker in self._cluster]
            except (KafkaError, OSError, TimeoutError):
                views = []
            if views and all(_is_whole(view) for view in views):
                return f"in sync {time.monotonic() - begun:.1f} s after that"
            await asyncio.sleep(_LOOK_SECONDS)
        raise Unprovable(f"not all copies are in sync within {_SYNC_SECONDS:.0f} s")

    async def _placements(self, scene: Scene, broker: Broker | None = None) -> list[Placement]:
        system = scene.installation.system
        asked = broker or next(iter(self._cluster))
        return await placements(asked.url, [system.created, system.feed, system.dead, OFFSETS])

    async def _leader(self, scene: Scene, broker: Broker) -> int:
        [feed] = await placements(broker.url, [scene.installation.system.feed])
        return feed.leader

    async def _roles(self, scene: Scene) -> dict[int, str]:
        """Say what each broker does, once all are in sync: what came before must have no part in what comes."""
        await self._in_sync(scene)
        system = scene.installation.system
        places = await self._placements(scene)
        coordinates = await coordinator(next(iter(self._cluster)).url, system.name)
        return {
            broker.number: ", ".join(
                [
                    *(["leads the feed"] if _leads(places, system.feed, broker.number) else []),
                    *(["coordinates the group"] if broker.number == coordinates else []),
                    f"leads {_leads(places, system.created, broker.number)} partitions of posts.created",
                ]
            )
            for broker in self._cluster
        }

    def _chosen(self, role: str, roles: Mapping[int, str]) -> int:
        word = {"leader": "leads the feed", "coordinator": "coordinates the group"}.get(role)
        if word is not None:
            return next(number for number, does in roles.items() if word in does)
        return _first(roles, without=self.killed) or _first(roles, without=())


def _first(numbers: Collection[int], without: Collection[int]) -> int:
    return min((number for number in numbers if number not in without), default=0)


def _leads(places: Sequence[Placement], topic: str, number: int) -> int:
    return sum(place.topic == topic and place.leader == number for place in places)


def _is_whole(places: Sequence[Placement]) -> bool:
    return all(place.leader >= 0 and place.in_sync == place.replicas for place in places)
