"""How things stand: what is held, which partitions are behind, and how far each lags. For metrics and the watchdog."""

from collections.abc import Collection, Mapping
from typing import Protocol

from streams.contract import Offset, Partition
from streams.intake import FlowState, Intake
from streams.standstill import Place
from streams.windows import Batch


class Knows(Protocol):
    """What knows the partitions: :class:`streams.group.Group`."""

    def highwater(self, partition: Partition) -> Offset | None:
        """Return the end of a partition as of its last fetch; None before the first."""
        ...

    def leaderless(self, partitions: Collection[Partition]) -> frozenset[Partition]:
        """Return which of these partitions no broker leads, as far as the consumer knows."""
        ...

    async def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, Offset]:
        """Return the end of each partition whose leader answers, as of now."""
        ...


class Standing:
    """Reads the parts of a flow, and changes none of them."""

    def __init__(self, group: Knows, state: FlowState, intake: Intake) -> None:
        self._group = group
        self._positions, self._windows, self._releases, self._logs, self._clock = state
        self._intake = intake
        self.in_work: Batch | None = None
        """The batch that is being completed."""

    @property
    def absent(self) -> frozenset[Partition]:
        """The partitions that bring nothing for now: paused, or without a leader."""
        return self._intake.paused | self._group.leaderless(list(self._positions))

    @property
    def behind(self) -> frozenset[Partition]:
        """The partitions that no live window waits for: with a backlog, or without a leader."""
        behind = self._windows.behind(self._clock.now(), self._logs.read())
        return behind | self._group.leaderless(list(self._positions))

    @property
    def held_overdue(self) -> int:
        """How many ids of overdue windows are held, with those of the batch in work."""
        batch = self.in_work
        return self._windows.held_overdue + (len(batch.records) if batch and batch.overdue else 0)

    @property
    def held_live(self) -> int:
        """How many other ids are read and not yet released."""
        return max(0, self._releases.held - self.held_overdue)

    def lags(self) -> dict[Partition, tuple[int, float]]:
        """Return of each partition how many records are not released, and the age of the oldest in seconds.

        Of a partition of which nothing is held the age is that of the newest record that was read.
        """
        now = self._clock.now()
        lags: dict[Partition, tuple[int, float]] = {}
        for partition in self._positions:
            end = max(self._positions.next(partition), self._group.highwater(partition) or 0)
            records = end - self._releases.committed(partition)
            oldest = self._releases.oldest_event(partition) or self._windows.newest_event(partition) or now
            lags[partition] = records, max(0, now - oldest) / 1000 if records else 0.0
        return lags

    async def places(self) -> dict[Partition, Place]:
        """Say where each partition stands whose leader tells its end."""
        ends = await self._group.ends(list(self._positions))
        return {
            partition: Place(
                self._releases.committed(partition),
                end,
                None if partition in self._intake.paused else self._positions.next(partition),
            )
            for partition, end in ends.items()
            if partition in self._positions
        }
