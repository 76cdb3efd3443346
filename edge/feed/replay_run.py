"""Runs a replay: what it is to do next, done with Kafka, and told to its readers.

Records are appended for ``SLICE_SECONDS`` at a time, by one replay after the other, and then the loop has as long for
everything else. What is next is asked of :class:`edge.feed.replay.Replay`.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

import structlog

from edge.feed.log import Log
from edge.feed.position import Gap, Position, Reason
from edge.feed.replay import Replay
from edge.feed.seats import Reader, Seat, Step
from edge.feed.topic import Readers, Topic, Unreachable
from streams.contract import Offset

_logger = structlog.get_logger("edge.replays")

SLICE_SECONDS: Final = 0.002
_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
# How often a replay looks whether the log has gone on, or its readers have waited long enough.
_LOOK_SECONDS: Final = 0.25
# How many that wait for a place are let in before the loop has a turn: each takes up to 0.3 ms.
_AT_ONCE: Final = 8

R = TypeVar("R", bound=Reader)


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


@dataclass
class Surroundings(Generic[R]):
    """What all replays share; ``live`` is the log, and ``connect`` opens the feed with a consumer for one of them."""

    connect: Callable[[], AbstractAsyncContextManager[Topic]]
    live: Log
    fanout: Fanout[R]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    records: int = 0
    """How many records replays have read."""
    bytes: int = 0
    """How many bytes these have."""
    left_behind: int = 0
    """How many readers others did not wait for."""

    @property
    def end(self) -> Offset:
        """The record that the log reads next; nothing is replayed beyond it."""
        return self.live.next_offset or Offset(0)


class Run(Generic[R]):
    """The task of a replay, which is over with it; ``changed`` is set when the replay is to look again."""

    def __init__(self, replay: Replay[R], around: Surroundings[R], changed: asyncio.Event) -> None:
        self._replay = replay
        self._around = around
        self._changed = changed
        self._waiting: dict[Seat, asyncio.Future[Position | Gap | None]] = {}

    async def answer(self, seat: Seat) -> Position | Gap | None:
        """Wait until a seat's place was reached; None, or the gap, when the replay is over before."""
        self._waiting[seat] = asyncio.get_running_loop().create_future()
        try:
            found = await self._waiting[seat]
            # The replay may have gone on, or ended, between the answer and this turn of the loop.
            return self._replay.gap if isinstance(found, int) and seat not in self._replay.seats else found
        finally:
            del self._waiting[seat]

    async def run(self) -> None:
        """Read until nobody reads it any more."""
        replay, pause = self._replay, _SHORTEST_PAUSE
        try:
            while not replay.is_over:
                try:
                    async with self._around.connect() as topic:
                        await self._follow(topic)
                        return
                except Unreachable as error:
                    _logger.warning("replay.waiting", trouble=error.sentence, error=str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                replay.look(_now())
        except Exception:
            _logger.exception("replay.failed")
            self._around.fanout.leave_behind(replay.end())
        finally:
            replay.end()
            self._answer_all(None)
            _logger.info("replay.ended")

    async def _follow(self, topic: Topic) -> None:
        """Do what is next until it is over."""
        replay, around, changed = self._replay, self._around, self._changed
        begin = replay.begin(await topic.bounds())
        if isinstance(begin, Gap):
            self._fail(begin)
            return
        await topic.seek(begin)
        while True:
            changed.clear()
            step = replay.step(_now(), around.end)
            if replay.left_behind:
                # At once: while this waits below they may be sent something, and go on elsewhere.
                slow, replay.left_behind = replay.left_behind, []
                around.left_behind += len(slow)
                around.fanout.leave_behind(slow)
            match step:
                case Step.OVER:
                    return
                case Step.READ:
                    read = await topic.read()
                    around.records += len(read.records)
                    around.bytes += sum(len(raw.value) for raw in read.records)
                    gap = replay.take(read)
                case Step.APPEND:
                    async with around.turn:
                        gap = await self._append()
                case Step.REST:
                    gap = None
                    await _changed(changed)
            await self._let_in()
            if gap is not None:
                self._fail(gap)
                return

    async def _append(self) -> Gap | None:
        """Append what is read and wanted, for a slice; then give the loop as long."""
        replay, begun = self._replay, _now()
        while True:
            appended = replay.append()
            if isinstance(appended, Gap):
                return appended
            now = _now()
            if now - begun > SLICE_SECONDS or replay.step(now, self._around.end) is not Step.APPEND:
                break
        self._around.fanout.wake(replay)
        await asyncio.sleep(_now() - begun)
        return None

    async def _let_in(self) -> None:
        """Answer those whose place was reached, a few in a turn of the loop."""
        replay, answered = self._replay, 0
        for seat, answer in list(self._waiting.items()):
            if answer.done() or not (replay.has_reached(seat) or seat not in replay.seats):
                continue
            answer.set_result(replay.place(seat) if seat in replay.seats else None)
            answered += 1
            if answered % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _fail(self, gap: Gap) -> None:
        """End a replay that cannot go on, and tell its readers."""
        self._replay.gap = gap
        _logger.warning("replay.gap", reason=gap.reason, readers=len(self._replay.readers))
        self._answer_all(gap)
        self._around.fanout.redirect(self._replay.end(), gap.reason)

    def _answer_all(self, answer: Gap | None) -> None:
        for seat, waiting in self._waiting.items():
            if not waiting.done():
                waiting.set_result(answer if seat in self._replay.seats else None)


async def _changed(changed: asyncio.Event) -> None:
    """Wait until a reader has moved, or for a moment."""
    try:
        async with asyncio.timeout(_LOOK_SECONDS):
            await changed.wait()
    except TimeoutError:
        return


def _now() -> float:
    return asyncio.get_running_loop().time()
