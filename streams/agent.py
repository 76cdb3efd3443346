"""Faust's part: feed the windows, complete what is to be completed, release it.

The stream is not acknowledged by Faust. An offset is released when its posts are confirmed on the feed, their retries
on posts.created, or their ids on posts.dead, strictly in order in each partition, and what is released is committed
here. Faust's own bookkeeping would commit past an offset that is still open (its issue #606), and ends the worker when
a commit finds the broker away.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol, cast

import faust
from aiokafka.errors import KafkaError
from faust.types import StreamT
from mode import Service

from streams.clock import EventClock
from streams.contract import DeadLetter, Millis, Partition
from streams.group import Group
from streams.hindrances import Hindrances
from streams.intake import FlowState, Intake
from streams.lasting import lasting
from streams.logs import Logs
from streams.positions import Positions
from streams.progress import OpenWork, Stage
from streams.publisher import delays
from streams.releases import Releases
from streams.settings import Settings
from streams.standing import Standing
from streams.standstill import Place
from streams.telemetry import Metrics, log
from streams.windows import OVERDUE_IDS, Batch, Windows

# How often batches are looked for: a window closes at most 1 s after its end (law 4).
TICK_SECONDS: Final = 0.25
# How long a stop, or a rebalance, waits for the batch in work. Cut off, it is read and published again.
SETTLE_SECONDS: Final = 3.0


class Completes(Protocol):
    """What completes batches: :class:`streams.completion.Completion`."""

    async def complete(self, batch: Batch) -> None:
        """Return when every post of the batch is where it belongs, however long that takes."""
        ...

    async def dead_letter(self, letters: Iterable[DeadLetter]) -> None:
        """Return when the letters are confirmed."""
        ...


class Flow(Service):
    """From posts.created, in windows, to posts.feed."""

    def __init__(
        self,
        group: Group,
        settings: Settings,
        *,
        completion: Completes,
        read: Stage,
        commit: Stage,
        metrics: Metrics,
        checkpoint: Callable[[str], None],
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._group = group
        self._max_held = settings.max_held
        self._completion = completion
        self._commit_stage = commit
        self._metrics = metrics
        self._checkpoint = checkpoint
        self._size = Millis(settings.window_ms)
        self._clock = EventClock(wall, steady)
        self._windows = Windows(self._size, settings.max_batch)
        self._positions = Positions()
        self._releases = Releases(group, self._positions, commit)
        self._logs = Logs(group, self._positions, skipped=self._releases.settle, steady=steady)
        state = FlowState(self._positions, self._windows, self._releases, self._logs, self._clock)
        self._intake = Intake(group, state, completion.dead_letter, max_held=settings.max_held)
        self.standing = Standing(group, state, self._intake)
        """What is held, behind and lagging."""
        # Counts assignments: what began under another number is not ours any more.
        self._assignment = 0
        self._hindrances = Hindrances(read)
        self._idle = asyncio.Event()
        self._idle.set()

    async def consume(self, stream: StreamT[bytes]) -> None:
        """Feed the windows."""
        async for event in cast("faust.Stream[bytes]", stream).noack().events():
            try:
                await self._intake.arrived(event.message)
            except Exception as error:  # noqa: BLE001 - this task's root
                # Faust would skip the event and go on; the commit after it would lose the record.
                await self.crash(error)
                return

    # -- what is completed -------------------------------------------------------------------------

    @lasting
    async def _run(self) -> None:
        while not self.should_stop:
            await self.sleep(TICK_SECONDS)
            await self.tick()

    async def tick(self) -> None:
        """Complete what there is to complete now."""
        await self._intake.relieve()
        while not self.should_stop and (batch := self._next_batch()):
            await self._complete(batch)
            await self._intake.relieve()
            # Overdue records that are still coming gather until the next tick.
            if batch.overdue and len(batch.records) < OVERDUE_IDS:
                return

    def _next_batch(self) -> Batch | None:
        return self._windows.next_batch(
            self._clock.now(),
            read=self._logs.read(),
            absent=self.standing.absent,
            pressed=self._windows.held >= 2 * self._max_held,
        )

    async def _complete(self, batch: Batch) -> None:
        assignment = self._assignment
        self.standing.in_work = batch
        self._idle.clear()
        try:
            done = await self._completed(batch, assignment)
        finally:
            self.standing.in_work = None
            self._idle.set()
        # The records of a batch that a rebalance cut off may be held again, by a new reading.
        if done and assignment == self._assignment:
            self._releases.finish((record.partition, record.offset) for record in batch.records)
            ended = self._clock.now() - batch.window - self._size
            self._metrics.window_delay_seconds.observe(ended / 1000)

    async def _completed(self, batch: Batch, assignment: int) -> bool:
        """Complete a batch while it is ours, again and again if it has to be: no error is a reason to skip it."""
        known = ""
        report = OpenWork(self._commit_stage)
        attempts = delays()
        try:
            while assignment == self._assignment and not self.should_stop:
                try:
                    await self._completion.complete(batch)
                except Exception as error:  # noqa: BLE001 - law 7: never skipped, never silent
                    if repr(error) != known:
                        known = repr(error)
                        log.exception("batch.failed", ids=len(batch.records))
                    report.open().waits("worker", f"a batch fails for an unexpected reason, see the log: {known}")
                    await self.sleep(next(attempts))
                else:
                    return True
        finally:
            report.close()
        return False

    # -- what is looked after ----------------------------------------------------------------------

    @lasting
    async def _look_after_logs(self) -> None:
        while not self.should_stop:
            await self.sleep(TICK_SECONDS)
            await self._logs.look()

    @lasting
    async def _commit_released(self) -> None:
        attempts = delays()
        while not self.should_stop:
            await self._releases.wait()
            if await self._releases.commit():
                attempts = delays()
            else:
                await self.sleep(next(attempts))

    async def places(self) -> dict[Partition, Place]:
        """Say where each partition stands whose leader tells its end; asks through the consumer's thread."""
        places = await self.standing.places()
        if places or not list(self._positions):
            self._hindrances.answered()
        else:
            self._hindrances.unanswered()
        self._hindrances.note_right(is_refused=self._group.refused)
        return places

    # -- what is ours ------------------------------------------------------------------------------

    async def on_revoked(self) -> None:
        """Drop what is held; the batch in work is released first if it can be done soon."""
        self._hindrances.rebalance("waiting for partitions")
        self._windows.clear()
        self._intake.begin()
        self._checkpoint("partitions.revoked")
        await self._settle()
        self._forget()

    async def on_assigned(self) -> None:
        """Begin anew with what is assigned now; Faust calls this before it lets records flow again."""
        self._forget()
        mine = self._assignment
        for delay in delays():
            try:
                offsets = await self._group.begin()
            except (KafkaError, TimeoutError) as error:
                # Faust would end the worker for it.
                self._hindrances.rebalance(f"Kafka does not say where to begin: {type(error).__name__}")
                await self.sleep(delay)
            else:
                break
            if self.should_stop or mine != self._assignment:
                return
        if mine != self._assignment:
            return
        self._positions.begin(offsets)
        self._releases.begin(offsets)
        self._windows.assign(offsets, self._clock.now())
        log.info("partitions.assigned", partitions=sorted(offsets))
        self._hindrances.assigned()

    async def on_stop(self) -> None:
        """Release the batch in work if it can be done soon. What is not closed is read again."""
        await self._settle()

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                await self._idle.wait()
                await self._releases.commit()
        except TimeoutError:
            log.warning("batch.cut_off", held=self._releases.held)

    def _forget(self) -> None:
        self._assignment += 1
        self._windows.clear()
        self._hindrances.answered()
        self._positions.begin({})
        self._releases.begin({})
        self._logs.begin()
        self._intake.begin()
