"""What a fault finds when it comes: the parts that it may break, and who has to be told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import asyncpg

from integration.faults import logs
from integration.faults.announcer import Announcer
from integration.faults.authors import author_sql
from integration.faults.installation import Installation
from integration.faults.observations import Span
from integration.faults.proxy import Proxy
from integration.faults.schedule import SERVICES
from integration.faults.stage import Stage
from integration.faults.viewer import Viewer
from integration.probes import NOT_READY

PATIENCE_SECONDS: Final = 60.0
"""How long a fault may wait for what it needs: a member that is ready, a table that can be written."""
_LOOK_SECONDS: Final = 0.1
_INSERT: Final = (
    "WITH new AS (SELECT nextval('posts_id_seq') AS id FROM generate_series(1, $1)) "  # noqa: S608 - of our own words
    "INSERT INTO posts (id, description, created_at, owner_id) "
    f"SELECT id, $2, '2026-01-01', {author_sql('id')} FROM new RETURNING id"
)


class Unprovable(Exception):
    """The fault could not be made, or nothing shows that it was."""


@dataclass
class _Hold:
    """From when to when a fault has had its targets; ``end`` is None while it has."""

    task: asyncio.Task[object] | None
    begin: float
    end: float | None = None


@dataclass
class Scene:
    """The system of one schedule, and locks on all that can be a fault's target."""

    stage: Stage
    proxies: dict[str, Proxy]
    installation: Installation
    announcer: Announcer
    viewers: Sequence[Viewer]
    locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    charges: list[str] = field(default_factory=list)
    """Promises that a fault found broken itself, beyond what clients saw; each a sentence."""
    _released: dict[str, float] = field(default_factory=dict)
    """When a fault let go of a target last."""
    _holds: list[_Hold] = field(default_factory=list)

    @asynccontextmanager
    async def holding(self, targets: Sequence[str]) -> AsyncIterator[None]:
        """Have these targets for oneself. Locks are taken in one order, so that no two faults wait for each other."""
        async with AsyncExitStack() as held:
            for target in sorted(targets):
                await held.enter_async_context(self.locks.setdefault(target, asyncio.Lock()))
            hold = _Hold(asyncio.current_task(), time.monotonic())
            self._holds.append(hold)
            try:
                yield
            finally:
                hold.end = time.monotonic()
                self._released.update(dict.fromkeys(targets, hold.end))

    def others(self) -> list[Span]:
        """Return from when to when faults of other tasks than this one have had their targets, or until now."""
        now, task = time.monotonic(), asyncio.current_task()
        return [
            Span(hold.begin, now if hold.end is None else hold.end) for hold in self._holds if hold.task is not task
        ]

    def disturbed(self, since: float) -> list[str]:
        """Return the services that another fault has in hand, or has let go of later than that."""
        return [
            service
            for service in SERVICES
            if (service in self.locks and self.locks[service].locked()) or self._released.get(service, since) > since
        ]

    async def until(self, condition: Callable[[], bool], what: str, patience: float = PATIENCE_SECONDS) -> None:
        """Return when the condition holds; raises :class:`Unprovable` when that takes too long."""
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise Unprovable(f"not within {patience:.0f} s: {what}") from None

    async def until_ready(self, name: str) -> None:
        """Wait until a process is ready, started again by its supervisor or not; raises :class:`Unprovable`."""
        member = self.installation.members[name]
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await asyncio.to_thread(member.is_ready):
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise Unprovable(f"{name} is not ready within {PATIENCE_SECONDS:.0f} s") from None

    def is_shown(self, posts: Collection[int] | None = None) -> bool:
        """Tell whether all that was announced has been seen by all clients that are to see everything.

        With ``posts``: whether every client has seen these. Each is to see what it asks for.
        """
        if posts is not None:
            return all(viewer.has_seen(posts) for viewer in self.viewers)
        due = {one.post for one in self.announcer.announced if one.fate == "shown"}
        return all(viewer.has_seen(due) for viewer in self.viewers if viewer.promises_all)

    @property
    def absent(self) -> list[str]:
        """The clients that are not there."""
        return [viewer.view.client for viewer in self.viewers if not viewer.is_there]

    async def until_all_came(self) -> None:
        """Return once each client was there; raises :class:`Unprovable` naming those that were not.

        They need not be there together: some leave now and then, and an instant at which all are there may not come.
        """
        missing = self.absent

        def all_came() -> bool:
            missing[:] = [client for client in missing if client in self.absent]
            return not missing

        try:
            await self.until(all_came, "every client was there")
        except Unprovable as error:
            raise Unprovable(f"{error}, but not {', '.join(missing)}") from None

    async def until_settled(self) -> None:
        """Wait until everything that was announced is shown and released; raises :class:`Unprovable`.

        To be called while nothing is announced. What happened before this has no consequences after it.
        """
        await self.until(self.is_shown, "everything announced so far is shown")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await self.unreleased():
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise Unprovable("what was announced is not released") from None

    async def unreleased(self) -> int:
        """Return how many records of posts.created are still to be worked on."""
        system = self.installation.system
        return await logs.unreleased(self.stage.kafka.url, system.created, system.name)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection that may write, as soon as there is a database that takes it."""
        connection = await self._connection()
        try:
            yield connection
        finally:
            connection.terminate()

    async def _connection(self) -> asyncpg.Connection:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    return await asyncpg.connect(self.stage.postgres.url, timeout=2)
                except NOT_READY:
                    await asyncio.sleep(_LOOK_SECONDS)

    async def insert(self, count: int, description: str = "a post") -> list[int]:
        """Insert posts, each by the author that its id tells, and return their ids."""
        async with self.database() as database:
            rows = await database.fetch(_INSERT, count, description)
        return sorted(row["id"] for row in rows)

    async def execute(self, statement: str, *arguments: object) -> object:
        """Run a statement as soon as that is possible, again when the database goes away meanwhile; return a value."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    async with self.database() as database:
                        return await database.fetchval(statement, *arguments)
                except NOT_READY:
                    await asyncio.sleep(_LOOK_SECONDS)
