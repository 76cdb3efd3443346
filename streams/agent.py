"""Faust's part: feed the windows, enrich what closes, publish it, release it.

The stream is not acknowledged by Faust. An offset is released when its post is confirmed on the
feed, its retry on posts.created, or its id on posts.dead, strictly in order in each partition, and
what is released is committed here. Faust's own bookkeeping would commit past an offset that is still
open (its issue #606), and ends the worker when a commit finds the broker away.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from typing import Final, cast

import faust
from aiokafka.errors import KafkaError
from faust.types import EventT, StreamT
from mode import Service

from streams.completion import Completion
from streams.contract import BadRecord, Millis, Offset, Partition, PostId, dead_letter, decode_created
from streams.frontier import Frontier
from streams.group import Group
from streams.publisher import delays
from streams.settings import Settings
from streams.standstill import Place
from streams.telemetry import Health, Metrics, log
from streams.windows import Batch, Windows, parts

# How often closed windows are looked for: a window closes at most 1 s after its end (law 4).
_TICK_SECONDS: Final = 0.25
# How long a stop, or a rebalance, waits for the batch in work. Cut off, it is read and published again.
_SETTLE_SECONDS: Final = 3.0
# Three fetches, which bring news of a partition's end every 1.5 s at the latest.
_CUT_SECONDS: Final = 5.0


class LostPlace(Exception):
    """The consumer is not where the log says it should be; only beginning anew from what is committed helps."""


class Flow(Service):
    """From posts.created, in windows, to posts.feed."""

    def __init__(
        self,
        group: Group,
        settings: Settings,
        *,
        completion: Completion,
        health: Health,
        metrics: Metrics,
        reached: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._group = group
        self._settings = settings
        self._completion = completion
        self._health = health
        self._metrics = metrics
        self._reached = reached
        self._windows = Windows(Millis(settings.window_ms))
        self._frontier: Frontier[Partition] = Frontier()
        # The offset to be read next, by partition; never less than what retention left.
        self._next: dict[Partition, Offset] = {}
        self._committed: dict[Partition, Offset] = {}
        # Since when a partition's log has seemed to end before what was read of it.
        self._beyond: dict[Partition, float] = {}
        self._commits: dict[Partition, Offset] = {}
        self._epoch = 0.0
        self._released = asyncio.Event()
        self._room = asyncio.Event()
        self._pressed = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        metrics.held.set_function(lambda: self._frontier.held)

    # -- what is read ------------------------------------------------------------------------------

    async def consume(self, stream: StreamT[bytes]) -> None:
        """Feed the windows. Waits while too much is held, so that records stay in Kafka."""
        async for event in cast("faust.Stream[bytes]", stream).noack().events():
            while self._frontier.held >= self._settings.max_held:
                self._room.clear()
                self._pressed.set()
                await self._room.wait()
            try:
                await self._take(event)
            except Exception as error:  # noqa: BLE001 - this task's root
                # Faust would skip the event and go on; the commit after it would lose the record.
                await self.crash(error)
                return

    async def _take(self, event: EventT[bytes]) -> None:
        message = event.message
        partition, offset = Partition(message.partition), Offset(message.offset)
        if message.generation_id == self._group.generation and offset > self._next.get(partition, offset):
            await self._check_gap(partition, offset)
        # What was read before a rebalance belongs to nobody now; what is read twice is held already.
        if message.generation_id != self._group.generation or offset < self._next.get(partition, 0):
            return
        self._next[partition] = Offset(offset + 1)
        self._frontier.hold(partition, offset)
        try:
            created = decode_created(message.value or b"")
        except BadRecord as error:
            await self._completion.set_aside([dead_letter("bad_record", str(error), message.value or b"")])
            self._finish([(partition, offset)])
            return
        self._windows.add(
            partition=partition,
            offset=offset,
            timestamp=Millis(round((message.timestamp or 0) * 1000)),
            now=self._now(),
            post=PostId(created.id),
            attempt=created.attempt,
        )

    async def _check_gap(self, partition: Partition, offset: Offset) -> None:
        """Make sure that a jump loses nothing: a commit past it would make that final."""
        read = self._next[partition]
        if await self._group.committed(partition) >= offset:
            # Faust has sought to a commit of who had the partition before, which Kafka did not know when we asked.
            log.info("records.done", partition=partition, first=read, next=offset)
            return
        earliest = (await self._group.earliest([partition]))[partition]
        if earliest < offset:
            raise LostPlace(f"partition {partition} jumped from {read} to {offset}, and its log begins at {earliest}")
        log.warning("records.gone", partition=partition, first=read, next=offset)

    def _now(self) -> Millis:
        return Millis(round((self._epoch + time.monotonic()) * 1000))

    # -- what is closed ----------------------------------------------------------------------------

    @Service.task
    async def _close_windows(self) -> None:
        while not self.should_stop:
            await self._tick()
            while batch := await self._closed():
                self._idle.clear()
                try:
                    for part in parts(batch, self._settings.max_batch):
                        await self._completion.complete(part)
                        self._finish((record.partition, record.offset) for record in part.records)
                finally:
                    self._idle.set()
                self._metrics.windows.inc()
                self._metrics.window_delay_seconds.observe(
                    (self._now() - batch.window) / 1000 - self._settings.window_seconds
                )

    async def _tick(self) -> None:
        try:
            async with asyncio.timeout(_TICK_SECONDS):
                await self._pressed.wait()
        except TimeoutError:
            pass
        # However it was answered: an event that stays set would turn this loop without a pause.
        self._pressed.clear()
        await self._check_ends()

    async def _check_ends(self) -> None:
        """Make sure that no log was cut, or made anew, behind what was read of it.

        The consumer's idea of an end is as old as its last fetch, and Kafka's answer to the question may be
        wrong too (Tansu's is): the log was cut when both say so, and go on saying it.
        """
        now = time.monotonic()
        for partition, offset in self._next.items():
            highwater = self._group.highwater(partition)
            if highwater is None or offset <= highwater:
                self._beyond.pop(partition, None)
            elif now - self._beyond.setdefault(partition, now) > _CUT_SECONDS:
                try:
                    end = (await self._group.ends([partition]))[partition]
                except (KafkaError, TimeoutError):
                    # Away, Kafka says nothing, and nothing is concluded from it.
                    return
                if offset > end and self._next.get(partition) == offset:
                    await self._group.begin_anew(partition)
                    raise LostPlace(f"partition {partition} ends at {end}, before {offset}: it was cut or made anew")
                return

    async def _closed(self) -> Batch | None:
        """Take the next window to complete: closed, or the oldest where too much is held."""
        if self.should_stop:
            return None
        if self._frontier.held >= self._settings.max_held:
            return self._windows.close(self._now(), self._read()) or self._windows.take()
        if batch := self._windows.close(self._now(), self._read()):
            return batch
        if lagging := self._windows.lagging(self._now(), self._read()):
            await self._find_gaps(lagging)
        return self._windows.close(self._now(), self._read())

    def _read(self) -> frozenset[Partition]:
        """Return the partitions that are read to their high-water mark, as far as the consumer knows it."""
        ends = ((partition, offset, self._group.highwater(partition)) for partition, offset in self._next.items())
        return frozenset(partition for partition, offset, end in ends if end is not None and offset >= end)

    async def _find_gaps(self, partitions: Collection[Partition]) -> None:
        """Learn what retention took from partitions that seem to lag: what is gone counts as read."""
        try:
            earliest = await self._group.earliest(partitions)
        except (KafkaError, TimeoutError) as error:
            # Without an answer the window waits; it is taken as overdue in the end.
            log.warning("positions.unknown", error=repr(error))
            return
        for partition, offset in earliest.items():
            if partition in self._next:
                self._next[partition] = max(self._next[partition], offset)

    # -- what is released --------------------------------------------------------------------------

    def _finish(self, places: Iterable[tuple[Partition, Offset]]) -> None:
        by_partition: dict[Partition, list[int]] = {}
        for partition, offset in places:
            by_partition.setdefault(partition, []).append(offset)
        for partition, offsets in by_partition.items():
            self._frontier.finish(partition, offsets)
        for partition, last in self._frontier.release().items():
            self._commits[partition] = Offset(last + 1)
        self._released.set()
        if self._frontier.held < self._settings.max_held:
            self._room.set()

    @Service.task
    async def _commit_released(self) -> None:
        attempts = delays()
        while not self.should_stop:
            await self._released.wait()
            self._released.clear()
            if await self._commit():
                attempts = delays()
            else:
                await self.sleep(next(attempts))
                self._released.set()

    async def _commit(self) -> bool:
        """Commit what is released, and say whether that is done."""
        offsets = dict(self._commits)
        if not offsets:
            return True
        try:
            await self._group.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            # A rebalance in the meantime ends it too: then there is nothing left to commit.
            log.warning("commit.failed", error=repr(error))
            return False
        for partition, offset in offsets.items():
            if self._commits.get(partition) == offset:
                del self._commits[partition]
            if partition in self._committed:
                self._committed[partition] = offset
        return True

    async def places(self) -> dict[Partition, Place]:
        """Say where the assigned partitions stand; asks Kafka for their ends, through the consumer's thread."""
        ends = await self._group.ends(list(self._committed))
        return {p: Place(self._committed[p], end) for p, end in ends.items() if p in self._committed}

    # -- what is ours ------------------------------------------------------------------------------

    async def on_revoked(self) -> None:
        """Drop what is held; the batch in work is released first if it can be done soon."""
        self._health.waiting("streams", "a rebalance: waiting for partitions")
        self._windows.clear()
        self._reached("partitions.revoked")
        await self._settle()
        self._forget()

    async def on_assigned(self) -> None:
        """Begin anew with what is assigned now; Faust calls this before it lets records flow again."""
        self._windows.clear()
        self._forget()
        # The clock that event time is measured by: the wall's now, and from now on a steady one. A wall
        # that is set back would keep windows open, one that is set ahead would close them early.
        self._epoch = time.time() - time.monotonic()
        self._next = await self._group.begin()
        self._committed = dict(self._next)
        self._windows.assign(self._next)
        log.info("partitions.assigned", partitions=sorted(self._windows.assigned))
        self._health.well("streams")

    async def on_stop(self) -> None:
        """Release the batch in work if it can be done soon. What is not closed is read again."""
        await self._settle()

    async def _settle(self) -> None:
        try:
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self._idle.wait()
                await self._commit()
        except TimeoutError:
            log.warning("batch.cut_off", held=self._frontier.held)

    def _forget(self) -> None:
        self._frontier.forget(self._next)
        self._next.clear()
        self._committed.clear()
        self._beyond.clear()
        self._commits.clear()
        self._room.set()
