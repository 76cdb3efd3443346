"""One schedule from its beginning to its verdict, on a system that goes on from one to the next."""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, cast

import asyncpg
from aiokafka.errors import KafkaError

from integration.faults import logs
from integration.faults.acts import ACTS, Act
from integration.faults.announcer import POSTS_A_TICK, Announcer
from integration.faults.bearers import BRIEF, ENDING, Bearer
from integration.faults.installation import Installation
from integration.faults.mending import troubles
from integration.faults.observations import Fate, Happened, Observations, Span
from integration.faults.outcome import Outcome
from integration.faults.proxy import Proxy
from integration.faults.results import keep
from integration.faults.scene import Scene, Unprovable
from integration.faults.schedule import Fault
from integration.faults.silence import longest_silence
from integration.faults.stage import Stage
from integration.faults.transports import Transport
from integration.faults.transports.events import Events
from integration.faults.transports.feeds import Feeds
from integration.faults.transports.pages import Pages
from integration.faults.transports.sockets import Sockets
from integration.faults.verdict import GRACE_SECONDS, judge
from integration.faults.viewer import Viewer
from integration.posts_service import create_tables
from integration.system import System

_POSTS: Final = 6_000
"""How many posts are in the database for a schedule: at 30/s three minutes' worth."""
_LAST_POSTS: Final = 30
"""What is announced when all is whole again: whoever does not see it in the end has lost the thread."""
_MEND_SECONDS: Final = 45.0
"""How long after the last fault the processes may take to be ready: thrice what the contract gives a post."""
_QUIET_SECONDS: Final = GRACE_SECONDS + 10.0
"""How long, beyond a window, what was announced last may take: what comes later than that is late anyway."""
_SCHEDULE_SECONDS: Final = 300.0
"""A schedule is bounded, whatever hangs."""
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True)
class Setting:
    """How a system is tried: the acts that break it, the pace of announcements, and the arguments of its queue."""

    acts: Mapping[str, Act] = field(default_factory=lambda: ACTS)
    posts_a_tick: int = POSTS_A_TICK
    queue_arguments: Mapping[str, Any] = field(default_factory=dict)


class Runner:
    """Runs schedules one after the other. Made by :func:`running`."""

    def __init__(self, stage: Stage, proxies: dict[str, Proxy], installation: Installation, setting: Setting) -> None:
        self._stage = stage
        self._proxies = proxies
        self._installation = installation
        self._setting = setting

    async def run(self, name: str, faults: Sequence[Fault]) -> Outcome:
        """Run one schedule; raises :class:`TimeoutError` when it hangs."""
        begun, issued = time.monotonic(), self._stage.issuer.issued
        async with asyncio.timeout(_SCHEDULE_SECONDS):
            seen, stuck, restarts, promises = await self._observe(name, faults)
        verdict = judge(seen)
        if (
            not verdict.is_clean
            or stuck
            or promises
            or restarts
            or any(fault.evidence is None for fault in seen.faults)
        ):
            keep(name, seen, self._installation.logs)
        deliveries = sum(len(view.arrivals) for view in seen.views)
        gaps = sum(view.gaps for view in seen.views)
        return Outcome(
            name,
            seen.faults,
            verdict,
            stuck,
            restarts,
            posts=len(seen.announced),
            deliveries=deliveries,
            gaps=gaps,
            seconds=time.monotonic() - begun,
            silence=longest_silence(seen),
            promises=promises,
            clients=Counter(view.transport for view in seen.views),
            tokens=self._stage.issuer.issued - issued,
        )

    async def _observe(
        self, name: str, faults: Sequence[Fault]
    ) -> tuple[Observations, list[str], list[str], list[str]]:
        system, kafka_url = self._installation.system, self._stage.kafka.url
        restarts = len(self._installation.restarts)
        announcer = _announcer(self._stage, system, self._setting)
        scene = Scene(self._stage, self._proxies, self._installation, announcer, self._viewers(name))
        posts = iter(await scene.insert(_POSTS))
        first_letter = await logs.end(kafka_url, system.dead)
        async with _together(*(viewer.run() for viewer in scene.viewers)):
            await scene.until_all_came()
            enough = asyncio.Event()
            async with asyncio.TaskGroup() as announcing:
                announcing.create_task(announcer.go_on(posts, enough))
                happened = await self._break(scene, faults)
                stuck = await self._mended(scene)
                enough.set()
            last = list(islice(posts, _LAST_POSTS))
            await announcer.announce(last)
            dead = await self._quiet(scene, last, first_letter)
        await announcer.close()
        views = [viewer.view for viewer in scene.viewers]
        seen = Observations(announcer.announced, views, happened, frozenset(dead), self._installation.window_seconds)
        broken = [*scene.charges, *(breach for view in views for breach in view.breaches)]
        return seen, stuck, self._installation.restarts[restarts:], broken

    def _viewers(self, name: str) -> list[Viewer]:
        one, other = edges = [f"127.0.0.1:{edge.port}" for edge in self._installation.edges]

        def viewer(client: str, transport: Transport, *edges: str, **more: Any) -> Viewer:
            dice = random.Random(f"{name} {client}")  # noqa: S311 - when a client leaves is no secret
            return Viewer(client, transport, edges, dice=dice, **more)

        def bearer(*claim: int, **more: Any) -> Bearer:
            return Bearer(self._stage.issuer, frozenset(claim), **more)

        some = frozenset({1, 4})
        others = [frozenset({4, 6}), frozenset({2, 4, 6}), some]
        return [
            viewer("steady", Feeds(edges), one, other),
            viewer("restless", Feeds(edges), one, other, away=(0.0, 0.5)),
            viewer("traveller", Feeds(edges), other, one, away=(2.0, 6.0)),
            viewer("poller", Feeds(edges, by="long-polling"), one, other),
            viewer("plain-0", Sockets(asks=False), one),
            viewer("plain-1", Sockets(asks=False), other),
            viewer("events", Events(), other, one),
            viewer("pages", Pages(), one, other),
            viewer(
                "some-sockets",
                Sockets(choices=others, bearer=bearer(1, 2, 4, 8)),
                other,
                one,
                away=(0.0, 3.0),
                authors=some,
            ),
            viewer("some-events", Events(), one, other, away=(0.0, 3.0), authors=frozenset({2, 3, 7})),
            viewer("some-pages", Pages(), other, one, away=(0.0, 3.0), authors=frozenset({5, 8})),
            viewer("signed", Feeds(edges, bearer=bearer(1, 2, 5, seconds=BRIEF)), one, other),
            viewer(
                "signed-some",
                Feeds(edges, bearer=bearer(1, 2, 5, 6, seconds=BRIEF)),
                *(other, one),
                away=(0.0, 3.0),
                authors=frozenset({2, 6, 7}),
            ),
            viewer("signed-careless", Feeds(edges, bearer=bearer(3, 4, seconds=ENDING, renews=False)), other, one),
            viewer("signed-plain", Sockets(asks=False, bearer=bearer(5, 6)), one),
            viewer("signed-events", Events(bearer(1, 8, seconds=ENDING)), other, one),
            viewer(
                "device",
                Feeds(edges, polls=True, bearer=Bearer(self._stage.issuer), device="phone"),
                *(one, other),
                away=(0.0, 6.0),
            ),
            viewer(
                "device-some",
                Feeds(edges, bearer=bearer(1, 2, 3, 4, seconds=BRIEF), device="phone"),
                *(other, one),
                away=(0.0, 2.0),
                authors=frozenset({2, 3, 5}),
            ),
            viewer("signed-pages", Pages(bearer(4, 5, 6)), one, other, away=(0.0, 3.0), authors=frozenset({3, 4, 5})),
        ]

    async def _break(self, scene: Scene, faults: Sequence[Fault]) -> list[Happened]:
        begun = time.monotonic()

        async def make(fault: Fault) -> Happened:
            await asyncio.sleep(max(0.0, begun + fault.at_ms / 1000 - time.monotonic()))
            async with scene.holding(fault.targets):
                start = time.monotonic()
                evidence: str | None
                try:
                    evidence = await self._setting.acts[fault.act](scene, fault)
                except (Unprovable, TimeoutError, AssertionError, asyncpg.PostgresError, KafkaError) as error:
                    # The fault was not made as it should have been: that is the checker's failure, not the product's.
                    print(f"  {fault.kind}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
                    evidence = None
                return Happened(fault.kind, Span(start, time.monotonic()), evidence)

        async with asyncio.TaskGroup() as making:
            tasks = [making.create_task(make(fault)) for fault in faults]
        return [task.result() for task in tasks]

    async def _mended(self, scene: Scene) -> list[str]:
        """Wait until everything is well, and everybody there; return what is not in the end."""
        deadline = time.monotonic() + _MEND_SECONDS
        for viewer in scene.viewers:
            viewer.stay()
        while said := await troubles(scene):
            if time.monotonic() > deadline:
                return said
            await asyncio.sleep(_LOOK_SECONDS)
        return []

    async def _quiet(self, scene: Scene, last: Sequence[int], first_letter: int) -> set[tuple[Fate, int]]:
        """Wait until nothing is left to be done, or for as long as that may take; return the dead letters."""
        system, kafka_url = self._installation.system, self._stage.kafka.url
        due = {(one.fate, one.post) for one in scene.announcer.announced if one.fate != "shown"}
        deadline = time.monotonic() + self._installation.window_seconds + _QUIET_SECONDS
        while True:
            dead = cast("set[tuple[Fate, int]]", await logs.dead_since(kafka_url, system.dead, first_letter))
            is_done = due <= dead and scene.is_shown() and scene.is_shown(last) and not await scene.unreleased()
            if is_done or time.monotonic() > deadline:
                # What is on the feed already is with the clients a moment later.
                await asyncio.sleep(1)
                return dead
            await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def running(
    stage: Stage,
    *,
    make: Callable[..., Installation],
    say: Callable[[str], None],
    setting: Setting | None = None,
) -> AsyncIterator[Runner]:
    """Start the product behind the proxies, and have it end in the end."""
    setting = setting or Setting()
    proxies = stage.proxies()
    installation = make(stage.environment, stage.scratch)
    try:
        for proxy in proxies.values():
            await proxy.start()
        await _tables(stage)
        system = installation.system
        await stage.make_topics(system)
        announcer = _announcer(stage, system, setting)
        await announcer.declare()
        await announcer.close()
        installation.start()
        async with _together(installation.supervise()):
            for member in installation.members.values():
                await asyncio.to_thread(member.until_ready)
            say(f"{len(installation.workers)} workers and {len(installation.edges)} edges are ready")
            yield Runner(stage, proxies, installation, setting)
    finally:
        await asyncio.to_thread(installation.close)
        for proxy in proxies.values():
            await proxy.close()


def _announcer(stage: Stage, system: System, setting: Setting) -> Announcer:
    return Announcer(
        stage.rabbitmq.url, system.queue, arguments=setting.queue_arguments, posts_a_tick=setting.posts_a_tick
    )


async def _tables(stage: Stage) -> None:
    database = await asyncpg.connect(stage.postgres.url)
    try:
        if await database.fetchval("SELECT to_regclass('posts') IS NULL"):
            await create_tables(database)
    finally:
        await database.close()
    # As an operator makes it.
    command = [sys.executable, "-m", "edge", "positions", "create"]
    environment = {**os.environ, **stage.environment, "POSITIONS_URL": stage.postgres.url}
    await asyncio.to_thread(subprocess.run, command, env=environment, check=True, stdout=subprocess.DEVNULL)


@asynccontextmanager
async def _together(*coroutines: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these meanwhile; what one of them raises is raised at the end."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end
