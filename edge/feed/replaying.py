"""Runs replays: who shares one, how many there are, and what each reads from Kafka.

A replay is a task with a consumer of its own. What it does next it asks :class:`edge.feed.replay.Replay`. Records are
appended for ``SLICE_SECONDS`` at a time, by one replay after the other, and then the loop has as long for everything
else.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, Literal, Protocol, TypeVar

import structlog

from edge.feed.log import Log
from edge.feed.position import Cursor, Gap, Position, Reason
from edge.feed.replay import Reader, Replay, Seat, Step
from edge.feed.topic import Readers, Topic, Unreachable
from streams.contract import Millis, Offset

_logger = structlog.get_logger("edge.replays")

SLICE_SECONDS: Final = 0.002
_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
# How often a replay looks whether the log has gone on, or its readers have waited long enough.
_LOOK_SECONDS: Final = 0.25
# How many that wait for a place are let in before the loop has a turn: each takes up to 0.3 ms.
_AT_ONCE: Final = 8

Bound = Literal["replays", "bytes", "address"]
"""A limit on replays."""

R = TypeVar("R", bound=Reader)


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


class Fanout(Readers, Protocol[R]):
    """Those that replays are read for, and the log."""

    def wake(self, replay: Replay[R]) -> None:
        """Send those who read a replay what it has got."""
        ...

    def leave_behind(self, readers: Sequence[R]) -> None:
        """End the sessions of readers that were too slow for others."""
        ...

    def redirect(self, readers: Sequence[R], reason: Reason) -> None:
        """Have readers go on at the log's head, and tell them why."""
        ...


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
        self._connect = connect
        self._live = live
        self._fanout = fanout
        self._reach = reach
        self._age = age
        self._limits = limits
        self._running: dict[Replay[R], asyncio.Task[None]] = {}
        self._waiting: dict[Replay[R], dict[Seat, asyncio.Future[Position | Gap | None]]] = {}
        self._turn = asyncio.Lock()
        self.begun = 0
        """How many replays have begun."""
        self.records = self.bytes = 0
        """How many records replays have read, and how many bytes these have."""
        self.refused: Counter[Bound] = Counter()
        """How many cursors were refused, by the bound that was reached."""
        self.left_behind = 0
        """How many readers others did not wait for."""

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
    def _end(self) -> Offset:
        """The record that the log reads next; nothing is replayed beyond it."""
        return self._live.next_offset or Offset(0)

    def publish(self, read_at: float | None = None) -> None:
        """Tell those that the log is read for that it has got something."""
        self._fanout.publish(read_at)

    def interrupt(self, reason: Reason) -> None:
        """Be rid of all replays, since the feed has a gap: everybody goes on behind it."""
        for replay in list(self._running):
            replay.end()
        self._fanout.interrupt(reason)

    async def run(self) -> None:
        """Wait until cancelled, and stop all replays then."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            tasks = list(self._running.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def is_at_hand(self, cursor: Cursor, *, or_earliest: bool = False) -> bool:
        """Tell whether a replay runs that has, or soon will have, what follows a cursor."""
        seat = Seat(cursor, or_earliest=or_earliest)
        return any(replay.may_share(seat) for replay in self._running)

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
        waiting = self._waiting[replay]
        waiting[seat] = asyncio.get_running_loop().create_future()
        try:
            found = await waiting[seat]
            # The replay may have gone on, or ended, between the answer and this turn of the loop.
            return replay.gap if isinstance(found, int) and seat not in replay.seats else found
        finally:
            del waiting[seat]

    def _replay_for(self, seat: Seat, address: str) -> Replay[R] | Bound:
        for replay in self._running:
            if replay.may_share(seat):
                return replay
        if not self._has_room(lambda _: True, self._limits.replays):
            return "replays"
        if not self._has_room(lambda replay: replay.address == address, self._limits.per_address):
            return "address"
        if sum(replay.log.size for replay in self._running) + 2 * self._limits.share > self._limits.bytes:
            return "bytes"
        return self._begin(seat, address)

    def _has_room(self, counts: Callable[[Replay[R]], bool], most: int) -> bool:
        """Tell whether there may be another one beside those that count; end one for it that only lingers."""
        running = [replay for replay in self._running if not replay.is_over and counts(replay)]
        if len(running) < most:
            return True
        idle = next((replay for replay in running if not (replay.readers or replay.seats)), None)
        if idle is not None:
            idle.end()
        return idle is not None

    def _begin(self, seat: Seat, address: str) -> Replay[R]:
        changed = asyncio.Event()
        log = Log(limit=self._limits.share, reach=self._reach, age=self._age)
        replay: Replay[R] = Replay(log, first=seat.first, reach=self._reach, address=address, moved=changed.set)
        self.begun += 1
        self._waiting[replay] = {}
        self._running[replay] = asyncio.create_task(self._run(replay, changed))
        _logger.info("replay.begun", offset=seat.first, peer=address)
        return replay

    async def _run(self, replay: Replay[R], changed: asyncio.Event) -> None:
        """Read until nobody reads it any more."""
        pause = _SHORTEST_PAUSE
        try:
            while not replay.is_over:
                try:
                    async with self._connect() as topic:
                        await self._follow(replay, topic, changed)
                        return
                except Unreachable as error:
                    _logger.warning("replay.waiting", trouble=error.sentence, error=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                replay.look(_now())
        except Exception:
            _logger.exception("replay.failed")
            self._fanout.leave_behind(replay.end())
        finally:
            replay.end()
            for answer in self._waiting.pop(replay).values():
                if not answer.done():
                    answer.set_result(None)
            del self._running[replay]
            _logger.info("replay.ended")

    async def _follow(self, replay: Replay[R], topic: Topic, changed: asyncio.Event) -> None:
        """Do what is next until it is over."""
        begin = replay.begin(await topic.bounds())
        if isinstance(begin, Gap):
            await self._fail(replay, begin)
            return
        await topic.seek(begin)
        while True:
            changed.clear()
            match replay.step(_now(), self._end):
                case Step.OVER:
                    return
                case Step.READ:
                    read = await topic.read()
                    self.records += len(read.records)
                    self.bytes += sum(len(raw.value) for raw in read.records)
                    gap = replay.take(read)
                case Step.APPEND:
                    async with self._turn:
                        gap = await self._append(replay)
                case Step.REST:
                    gap = None
                    await _changed(changed)
            if replay.left_behind:
                slow, replay.left_behind = replay.left_behind, []
                self.left_behind += len(slow)
                self._fanout.leave_behind(slow)
            await self._let_in(replay)
            if gap is not None:
                await self._fail(replay, gap)
                return

    async def _append(self, replay: Replay[R]) -> Gap | None:
        """Append what is read and wanted, for a slice; then give the loop as long."""
        begun = _now()
        while True:
            appended = replay.append()
            if isinstance(appended, Gap):
                return appended
            now = _now()
            if now - begun > SLICE_SECONDS or replay.step(now, self._end) is not Step.APPEND:
                break
        self._fanout.wake(replay)
        await asyncio.sleep(_now() - begun)
        return None

    async def _let_in(self, replay: Replay[R]) -> None:
        """Answer those whose place was reached, a few in a turn of the loop."""
        answered = 0
        for seat, answer in list(self._waiting[replay].items()):
            if answer.done() or not (replay.has_reached(seat) or seat not in replay.seats):
                continue
            answer.set_result(replay.place(seat) if seat in replay.seats else None)
            answered += 1
            if answered % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _fail(self, replay: Replay[R], gap: Gap) -> None:
        """End a replay that cannot go on, and tell its readers."""
        replay.gap = gap
        _logger.warning("replay.gap", reason=gap.reason, readers=len(replay.readers))
        for answer in self._waiting[replay].values():
            if not answer.done():
                answer.set_result(gap)
        self._fanout.redirect(replay.end(), gap.reason)


async def _changed(changed: asyncio.Event) -> None:
    """Wait until a reader has moved, or for a moment."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            await changed.wait()
    except TimeoutError:
        return


def _now() -> float:
    return asyncio.get_running_loop().time()
