"""Stores what devices acknowledge, and finds it again: a task that writes all that waits, one statement at a time.

Laws: what was acknowledged is written ``seconds`` after the last beginning at most, and at once when a session ends or
somebody waits for it, but ``APART_SECONDS`` after the last beginning at least. While the store is away what is
acknowledged waits, and it is tried again every ``seconds``. Whoever is told takes no turn of the loop too long. Where
what is stored is further on than what was acknowledged, and foreign to the feed, it is replaced; nobody waits for that.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Literal

import structlog

from edge.feed.shared import Shared
from edge.positions.device import Device, Key
from edge.positions.pending import Pending, Stored
from edge.positions.store import Away, Row, Store

BATCH: Final = 1000
"""How many positions one statement stores: some 10 ms for the edge and for PostgreSQL (docs/decisions/0029)."""
APART_SECONDS: Final = 0.1
"""So that clients that leave one after the other, or change their filters, cause no statement each."""
_SLICE_SECONDS: Final = 0.005
"""How long clients are told in one turn of the loop."""

Foreign = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Tells which stored positions are none of the feed's; see :mod:`edge.feed.foreign`."""
Outcome = Literal["done", "failed"]
_logger = structlog.get_logger("edge.positions")


class Keeper:
    """The positions of all devices of this edge; ``seconds`` is how long one waits to be stored."""

    def __init__(self, store: Store, *, seconds: float, foreign: Foreign, pending: Pending | None = None) -> None:
        self._store = store
        self._foreign = foreign
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._pending = pending or Pending()
        # A store that hangs fails later than anybody waits for it, and is to be known to be away.
        self._found = Shared(self._read, is_kept=True)
        self._asked: list[Key] = []
        self._hurried: dict[Device, Callable[[], None]] = {}
        self._doubting: asyncio.Task[None] | None = None
        self._is_hurried = self._is_draining = False
        self._begun_at = self._loop.time() - seconds
        self._changed = asyncio.Event()
        self._wrote = asyncio.Event()
        self.trouble: str | None = None
        """Why nothing can be stored or found now; None when it can, as far as is known."""
        self.stored = 0
        """How many positions were stored."""
        self.writes: Counter[Outcome] = Counter()
        self.reads: Counter[Outcome] = Counter()
        """How often the store was asked."""

    @property
    def is_away(self) -> bool:
        """Whether nothing can be stored now: what is acknowledged waits."""
        return self.trouble is not None

    @property
    def waiting(self) -> int:
        """How many devices have something that is not stored."""
        return self._pending.devices

    @property
    def age(self) -> float:
        """For how long the first of them has waited, in seconds."""
        return self._pending.age(self._loop.time())

    def acknowledge(self, device: Device, position: str, number: int, stored: Stored) -> bool:
        """Store a session's position; see :class:`edge.clients.acknowledging.Positions`."""
        was_idle = not len(self._pending)
        is_taken = self._pending.acknowledge(device, position, number, stored, self._loop.time())
        if was_idle:
            self._changed.set()
        return is_taken

    def hurry(self, device: Device, put_off: Callable[[], None]) -> None:
        """Store what was acknowledged at once, since somebody waits for that; call this if that fails."""
        self._hurried[device] = put_off
        self._write_soon()

    def leave(self, device: Device) -> None:
        """Hear that a session has ended: it is told nothing more, and its position is stored at once."""
        self._hurried.pop(device, None)
        if self._pending.leave(device):
            self._write_soon()

    async def find(self, key: Key) -> str:
        """Return the position at which a device goes on, empty where it has none; raises :class:`Away`."""
        self._asked.append(key)
        found = await self._found.answer()
        if isinstance(found, Away):
            raise found
        return self._pending.newest(key, "" if found is None else found.get(key, ""))

    async def run(self) -> None:
        """Store what waits, whenever it is due; never return. At the end close the store."""
        try:
            # What is wrong with the database is to be known before somebody needs it.
            await self._write()
            while True:
                await self._due()
                await self._write()
        finally:
            if self._doubting is not None:
                self._doubting.cancel()
            await self._store.close()

    async def drain(self, seconds: float) -> None:
        """Store all that waits, in so many seconds at most; give up where the store is away."""
        self._is_draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._pending.devices:
                    self._wrote.clear()
                    self._changed.set()
                    await self._wrote.wait()
                    if self.is_away:
                        break
        if self._pending.devices:
            _logger.warning("positions.lost", devices=self._pending.devices, why=self.trouble)

    def _write_soon(self) -> None:
        self._is_hurried = True
        self._changed.set()

    async def _due(self) -> None:
        """Wait until something is to be written, or the store is to be tried."""
        while (wait := self._wait()) is None or wait > 0:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    def _wait(self) -> float | None:
        if not len(self._pending) and not self.is_away:
            return None
        if self._is_draining:
            return 0
        is_soon = self._is_hurried and not self.is_away
        return self._begun_at + (APART_SECONDS if is_soon else self._seconds) - self._loop.time()

    async def _write(self) -> None:
        """Write what waits by now; where nothing does, see whether the store is there."""
        self._begun_at, self._is_hurried = self._loop.time(), False
        hurried, self._hurried = self._hurried, {}
        left = max(1, len(self._pending))
        try:
            while left > 0:
                rows = self._pending.take(BATCH)
                left -= BATCH
                further = await self._store.write(rows)
                self.writes["done"] += 1
                self.stored += len(rows)
                self._note(None)
                await self._each(told.tell for told in self._pending.succeeded(further))
                self._doubt([row._replace(replaces=further[row.key]) for row in rows if row.key in further])
        except Away as error:
            self.writes["failed"] += 1
            self._note(error)
            self._pending.failed()
            hurried, self._hurried = {**hurried, **self._hurried}, {}
            await self._each(hurried.values())
        self._wrote.set()

    def _doubt(self, rows: Sequence[Row]) -> None:
        """See whether what is stored instead of these is foreign. One look at a time: the others acknowledge again."""
        if rows and (self._doubting is None or self._doubting.done()):
            self._doubting = asyncio.create_task(self._replace_foreign(rows))

    async def _replace_foreign(self, rows: Sequence[Row]) -> None:
        foreign = await self._foreign({row.replaces for row in rows})
        for row in rows:
            if row.replaces in foreign:
                self._pending.replace(row, self._loop.time())
        self._changed.set()

    async def _each(self, calls: Iterable[Callable[[], None]]) -> None:
        """Tell sessions what has become of it, some in a turn of the loop."""
        until = self._loop.time() + _SLICE_SECONDS
        for call in calls:
            call()
            if self._loop.time() >= until:
                await asyncio.sleep(0)
                until = self._loop.time() + _SLICE_SECONDS

    async def _read(self) -> Mapping[Key, str] | Away:
        """Read what was asked for until now; those who asked may have left."""
        asked, self._asked = self._asked, []
        keys = list(dict.fromkeys(asked))
        found: dict[Key, str] = {}
        away: Away | None = None
        try:
            for first in range(0, len(keys), BATCH):
                found |= await self._store.read(keys[first : first + BATCH])
        except Away as error:
            away = error
        self.reads["done" if away is None else "failed"] += 1
        self._note(away)
        return found if away is None else away

    def _note(self, error: Away | None) -> None:
        """Say once that the store is away, or there again."""
        trouble = None if error is None else str(error)
        if trouble is not None and self.trouble is None:
            _logger.warning("positions.away", why=trouble, devices=self._pending.devices)
            # From now on it is tried by the clock.
            self._changed.set()
        elif trouble is None and self.trouble is not None:
            _logger.info("positions.there", devices=self._pending.devices)
        self.trouble = trouble
