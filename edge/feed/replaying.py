"""The replays that run: which of them a client shares, and how many there may be.

Each is a task with a consumer of its own (:mod:`edge.feed.replay_run`).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, TypeVar

import structlog

from edge.feed.beginnings import Beginnings
from edge.feed.log import Log
from edge.feed.position import Cursor, Gap, Position, Reason
from edge.feed.replay import Replay
from edge.feed.replay_run import Fanout, Run, Surroundings
from edge.feed.seats import Reader, Seat
from edge.feed.topic import Topic
from streams.contract import Millis, Offset

_logger = structlog.get_logger("edge.replays")

Bound = Literal["replays", "bytes", "address"]
"""A limit on replays."""

R = TypeVar("R", bound=Reader)


# So many times as many replays may begin in a few seconds as may run: those of clients who go on are seldom so short.
_BEGIN_TIMES: Final = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """How many replays there may be, how many that clients of one address began, and what they may cost in bytes."""

    replays: int
    per_address: int
    bytes: int

    @property
    def share(self) -> int:
        """How many bytes the log of one may take; as much again is for what its consumer has fetched."""
        return self.bytes // self.replays // 2


@dataclass(frozen=True, slots=True)
class Place(Generic[R]):
    """Where a reader goes on: behind ``position`` of a replay, which is kept for it; see :meth:`Replays.at`."""

    replay: Replay[R]
    position: Position
    _seat: Seat
    _wait: Callable[[Replay[R], Seat], Awaitable[object]]

    @property
    def log(self) -> Log:
        """What is read there."""
        return self.replay.log

    async def read_to(self, offset: Offset) -> Gap | None:
        """Wait until every record before ``offset`` is in the replay, or as many as there are and it has room for.

        Return the gap that it has come upon, if there is one.
        """
        self._seat.until, self._seat.takes_less = offset, True
        self.replay.moved()
        if not (self.replay.is_over or self.replay.has_reached(self._seat)):
            await self._wait(self.replay, self._seat)
        return self.replay.gap


class Replays(Generic[R]):
    """All replays of an edge; between the source and those that the log is read for, whom it tells of the log, too.

    ``connect`` opens the feed with a consumer for one replay; ``reach`` and ``age`` are those of repeats, as in a log.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Topic]],
        live: Log,
        fanout: Fanout[R],
        *,
        reach: int,
        age: Millis,
        limits: Limits,
    ) -> None:
        self._around = Surroundings(connect, live, fanout)
        self._reach = reach
        self._age = age
        self._limits = limits
        self._beginnings = Beginnings(_BEGIN_TIMES * limits.replays, _BEGIN_TIMES * limits.per_address)
        self._running: dict[Replay[R], tuple[Run[R], asyncio.Task[None]]] = {}
        self.begun = 0
        """How many replays have begun."""
        self.refused: Counter[Bound] = Counter()
        """How many cursors were refused, by the bound that was reached."""

    def __len__(self) -> int:
        return len(self._running)

    @property
    def readers(self) -> int:
        """How many read a replay, or wait for their place in one."""
        return sum(len(replay.readers) + len(replay.seats) for replay in self._running)

    @property
    def size(self) -> int:
        """What the records in replays cost in memory."""
        return sum(replay.log.size for replay in self._running)

    @property
    def records(self) -> int:
        """How many records replays have read."""
        return self._around.records

    @property
    def bytes(self) -> int:
        """How many bytes these have."""
        return self._around.bytes

    @property
    def left_behind(self) -> int:
        """How many readers others did not wait for."""
        return self._around.left_behind

    def publish(self, read_at: float | None = None) -> None:
        """Tell those that the log is read for that it has got something."""
        self._around.fanout.publish(read_at)

    def interrupt(self, reason: Reason) -> None:
        """Be rid of all replays, since the feed has a gap: everybody goes on behind it."""
        for replay in list(self._running):
            replay.end()
        self._around.fanout.interrupt(reason)

    async def run(self) -> None:
        """Wait until cancelled, and stop all replays then."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            tasks = [task for _, task in self._running.values()]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def is_at_hand(self, cursor: Cursor, *, or_earliest: bool = False) -> bool:
        """Tell whether a replay runs that has, or soon will have, what follows a cursor."""
        seat = Seat(cursor, or_earliest=or_earliest)
        return any(replay.may_share(seat) for replay in self._running)

    def bound(self, address: str) -> Bound | None:
        """Return the bound by which no replay may begin now for a client of an address."""
        bound = self._beginnings.bound(address, asyncio.get_running_loop().time())
        if bound is not None:
            return bound
        if not self._may_be_one_more(lambda _: True, self._limits.replays):
            return "replays"
        if not self._may_be_one_more(_is_of(address), self._limits.per_address):
            return "address"
        if sum(replay.log.size for replay in self._running) + 2 * self._limits.share > self._limits.bytes:
            return "bytes"
        return None

    @asynccontextmanager
    async def at(
        self, cursor: Cursor, address: str, *, or_earliest: bool = False
    ) -> AsyncIterator[Place[R] | Gap | Bound | None]:
        """Find what follows a cursor for a client of this address, and keep the place meanwhile.

        ``or_earliest``: or the first record that may be offered, where that comes later. It is where it was cut off, or
        why it cannot be replayed, or the bound by which it is refused now; None when the feed was interrupted
        meanwhile. Nothing is awaited between the look and the yield.
        """
        seat = Seat(cursor, or_earliest=or_earliest)
        replay = self._replay_for(seat, address)
        if isinstance(replay, str):
            self.refused[replay] += 1
            yield replay
            return
        replay.sit(seat)
        try:
            found = replay.place(seat) if replay.has_reached(seat) else await self._answer(replay, seat)
            yield Place(replay, found, seat, self._answer) if isinstance(found, int) else found
        finally:
            replay.stand_up(seat)

    async def _answer(self, replay: Replay[R], seat: Seat) -> Position | Gap | None:
        run, _ = self._running[replay]
        return await run.answer(seat)

    def _replay_for(self, seat: Seat, address: str) -> Replay[R] | Bound:
        for replay in self._running:
            if replay.may_share(seat):
                return replay
        bound = self.bound(address)
        if bound is not None:
            return bound
        self._make_room(lambda _: True, self._limits.replays)
        self._make_room(_is_of(address), self._limits.per_address)
        return self._begin(seat, address)

    def _may_be_one_more(self, counts: Callable[[Replay[R]], bool], most: int) -> bool:
        """Tell whether there may be another one beside those that count, if one ends that only lingers."""
        running = self._counted(counts)
        return len(running) < most or any(_lingers(replay) for replay in running)

    def _make_room(self, counts: Callable[[Replay[R]], bool], most: int) -> None:
        """End one that only lingers, where there are as many as there may be."""
        running = self._counted(counts)
        if len(running) >= most:
            next(filter(_lingers, running)).end()

    def _counted(self, counts: Callable[[Replay[R]], bool]) -> list[Replay[R]]:
        return [replay for replay in self._running if not replay.is_over and counts(replay)]

    def _begin(self, seat: Seat, address: str) -> Replay[R]:
        changed = asyncio.Event()
        log = Log(limit=self._limits.share, reach=self._reach, age=self._age)
        replay: Replay[R] = Replay(log, first=seat.first, reach=self._reach, address=address, moved=changed.set)
        self.begun += 1
        self._beginnings.note(address, asyncio.get_running_loop().time())
        run = Run(replay, self._around, changed)
        task = asyncio.create_task(run.run())
        self._running[replay] = run, task
        task.add_done_callback(lambda _: self._running.pop(replay))
        _logger.info("replay.begun", offset=seat.first, peer=address)
        return replay


def _lingers(replay: Replay[Any]) -> bool:
    return not (replay.readers or replay.seats)


def _is_of(address: str) -> Callable[[Replay[Any]], bool]:
    return lambda replay: replay.address == address
