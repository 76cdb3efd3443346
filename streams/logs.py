"""Looks after the logs that are read: what a jump means, and whether a log was cut behind what was read of it."""

from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from aiokafka.errors import KafkaError

from streams.contract import Offset, Partition
from streams.positions import Passed, Positions
from streams.telemetry import log

# Three fetches, which bring news of a partition's end every 1.5 s at the latest.
CUT_SECONDS: Final = 5.0


class LostPlace(Exception):
    """A log ends before what was read of it; only beginning anew helps."""


class Reads(Protocol):
    """Where the logs are read: :class:`streams.group.Group`."""

    def highwater(self, partition: Partition) -> Offset | None:
        """Return the end of a partition as of its last fetch; None before the first."""
        ...

    def passed(self, partition: Partition) -> Passed | None:
        """Return how far the consumer has handed a partition over; None before it has begun."""
        ...

    async def seek(self, partition: Partition, offset: Offset) -> None:
        """Read a partition again from this offset on."""
        ...

    async def begin_anew(self, partition: Partition) -> None:
        """Commit a partition's beginning."""
        ...

    async def earliest(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        """Return the beginning of each partition whose leader answers."""
        ...

    async def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        """Return the end of each partition whose leader answers, as of now."""
        ...


class Logs:
    """The logs of the assigned partitions."""

    def __init__(
        self, group: Reads, positions: Positions, *, skipped: Callable[[Partition], None], steady: Callable[[], float]
    ) -> None:
        self._group = group
        self._positions = positions
        self._skipped = skipped
        self._steady = steady
        # Since when a partition's log has seemed to end before what was read of it.
        self._beyond: dict[Partition, float] = {}
        # Holes that are to be explained: where each begins and ends.
        self._holes: list[tuple[Partition, Offset, Offset]] = []

    def begin(self) -> None:
        """Forget everything: partitions were assigned."""
        self._beyond.clear()
        self._holes.clear()

    def read(self) -> frozenset[Partition]:
        """Return the partitions that are read to their high-water mark, as far as the consumer knows it."""
        ends = ((partition, self._group.highwater(partition)) for partition in self._positions)
        return frozenset(p for p, end in ends if end is not None and self._positions.next(p) >= end)

    def hole(self, partition: Partition, begin: Offset, end: Offset) -> None:
        """Note a hole that was gone past, to be explained in the log."""
        self._holes.append((partition, begin, end))

    async def look(self) -> None:
        """Look once at everything; raises :class:`LostPlace`. Kafka is asked only where something is strange."""
        for partition in list(self._positions):
            begin = self._positions.look(partition, self._group.passed(partition))
            if begin is not None:
                self.hole(partition, begin, self._positions.next(partition))
                self._skipped(partition)
        await self._read_again()
        await self._explain()
        await self._check_ends()

    async def _read_again(self) -> None:
        for partition, offset in self._positions.to_seek().items():
            try:
                await self._group.seek(partition, offset)
            except KafkaError as error:
                # A rebalance: it begins everything anew.
                log.warning("seek.failed", partition=partition, error=repr(error))
            else:
                self._positions.sought(partition)

    async def _explain(self) -> None:
        """Say once for each hole what is known of it: the log must not be silent about records that nobody reads."""
        holes, self._holes = self._holes, []
        if not holes:
            return
        earliest = await self._earliest({partition for partition, *_ in holes})
        for partition, begin, end in holes:
            if partition not in self._positions:
                continue
            if partition not in earliest:
                self._holes.append((partition, begin, end))
            elif earliest[partition] >= end:
                log.warning("records.gone", partition=partition, first=begin, next=end)
            elif not self._positions.has_holes(partition):
                # A transactional writer leaves markers, compaction removes records.
                log.warning("records.hole", partition=partition, first=begin, next=end)

    async def _earliest(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        try:
            return await self._group.earliest(partitions)
        except (KafkaError, TimeoutError):
            return {}

    async def _check_ends(self) -> None:
        """Make sure that no log was cut, or made anew, behind what was read of it.

        The consumer's idea of an end is as old as its last fetch, and Kafka's answer to the question may be wrong too
        (Tansu's is): the log was cut when both say so, and go on saying it.
        """
        now = self._steady()
        suspects: dict[Partition, Offset] = {}
        for partition in self._positions:
            offset, highwater = self._positions.next(partition), self._group.highwater(partition)
            if highwater is None or offset <= highwater:
                self._beyond.pop(partition, None)
            elif now - self._beyond.setdefault(partition, now) > CUT_SECONDS:
                suspects[partition] = offset
        if not suspects:
            return
        try:
            ends = await self._group.ends(suspects)
        except (KafkaError, TimeoutError):
            # Away, Kafka says nothing, and nothing is concluded from it.
            return
        for partition, end in ends.items():
            offset = suspects[partition]
            if offset > end and partition in self._positions and self._positions.next(partition) == offset:
                await self._group.begin_anew(partition)
                raise LostPlace(f"partition {partition} ends at {end}, before {offset}: it was cut or made anew")
