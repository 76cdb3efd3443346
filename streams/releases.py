"""What is released and committed: an offset when all ids of its record are safely elsewhere, in order.

A commit that fails is tried again, and forgotten at a rebalance: the worker that has the partition then begins at what
was committed.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Protocol

from aiokafka.errors import KafkaError

from streams.contract import Millis, Offset, Partition
from streams.frontier import Frontier
from streams.positions import Positions
from streams.progress import OpenWork, Stage
from streams.telemetry import log


class Commits(Protocol):
    """Where offsets are committed: :class:`streams.group.Group`."""

    async def commit(self, offsets: Mapping[Partition, Offset]) -> None:
        """Commit what is to be read next, by partition; raises KafkaError or TimeoutError."""
        ...


class Releases:
    """The offsets that are worked on, and those that are to be committed."""

    def __init__(self, group: Commits, positions: Positions, stage: Stage) -> None:
        self._group = group
        self._positions = positions
        self._report = OpenWork(stage)
        self._frontier: Frontier[Partition] = Frontier()
        self._committed: dict[Partition, Offset] = {}
        self._due: dict[Partition, Offset] = {}
        self._released = asyncio.Event()

    @property
    def held(self) -> int:
        """How many ids are read and not yet released."""
        return self._frontier.held

    def begin(self, committed: Mapping[Partition, Offset]) -> None:
        """Forget everything; these partitions are ours now, and this is committed of them."""
        self._frontier.clear()
        self._committed = dict(committed)
        self._due.clear()
        self._report.close()

    def hold(self, partition: Partition, offset: Offset, ids: int, event_time: Millis) -> None:
        """Note that a record is being worked on."""
        self._frontier.hold(partition, offset, ids, event_time)

    def finish(self, offsets: Iterable[tuple[Partition, Offset]]) -> None:
        """Note that ids are safely elsewhere: one of the record at each of these places."""
        by_partition: dict[Partition, list[int]] = {}
        for partition, offset in offsets:
            by_partition.setdefault(partition, []).append(offset)
        for partition, some in by_partition.items():
            self._frontier.finish(partition, some)
        self._frontier.release()
        for partition in by_partition:
            self.settle(partition)

    def settle(self, partition: Partition) -> None:
        """Have everything committed that can be: what was read before the oldest record that is held."""
        if (released := self._committable(partition)) > self._committed[partition]:
            self._due[partition] = released
            self._report.open()
            self._released.set()

    def _committable(self, partition: Partition) -> Offset:
        oldest = self._frontier.oldest(partition)
        return self._positions.next(partition) if oldest is None else Offset(oldest[0])

    def oldest_event(self, partition: Partition) -> Millis | None:
        """Return the event time of the oldest record that is held of a partition."""
        oldest = self._frontier.oldest(partition)
        return None if oldest is None else Millis(oldest[1])

    def committed(self, partition: Partition) -> Offset:
        """Return what is committed of a partition of ours."""
        return self._committed[partition]

    async def wait(self) -> None:
        """Return when something is to be committed."""
        await self._released.wait()
        self._released.clear()

    async def commit(self) -> bool:
        """Commit what is released, and say whether nothing is left to do."""
        offsets = dict(self._due)
        if not offsets:
            return True
        try:
            await self._group.commit(offsets)
        except (KafkaError, TimeoutError) as error:
            if self._due:
                self._report.open().waits("kafka", f"Kafka does not commit offsets: {type(error).__name__}")
                log.warning("commit.failed", error=repr(error))
                self._released.set()
            # A rebalance in the meantime ends it too: then there is nothing left to commit.
            return not self._due
        for partition, offset in offsets.items():
            if self._due.get(partition) == offset:
                del self._due[partition]
            if partition in self._committed:
                self._committed[partition] = max(self._committed[partition], offset)
        if self._due:
            self._report.open().progressed()
        else:
            self._report.close()
        return not self._due
