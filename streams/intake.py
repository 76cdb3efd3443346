"""Takes what Faust brings, and says of which partitions no more is to be read for now.

Laws:

* a worker that holds ``max_held`` ids pauses each partition that brings an overdue record, so those that are behind:
  what is live flows on;
* at twice as many ids every partition is paused: then the database or Kafka is away, and records wait in Kafka;
* what still comes of a paused partition is parked as it is, in order. It is what Faust has in its hands already: some
  thousands of records at most, and a paused partition brings no more.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import NamedTuple, Protocol

from faust.types.tuples import Message

from streams.clock import EventClock
from streams.contract import BadRecord, DeadLetter, Millis, Offset, Partition, dead_letter, decode_created
from streams.logs import Logs
from streams.positions import Passed, Positions, Verdict
from streams.releases import Releases
from streams.windows import Windows


class Brings(Protocol):
    """What brings the records: :class:`streams.group.Group`."""

    @property
    def generation(self) -> int:
        """The number of the latest rebalance."""
        ...

    def passed(self, partition: Partition) -> Passed | None:
        """Return how far the consumer has handed a partition over; None before it has begun."""
        ...

    def pause(self, partitions: Collection[Partition]) -> None:
        """Read these partitions no further, and all others on."""
        ...


class FlowState(NamedTuple):
    """What a flow knows of its partitions and their records."""

    positions: Positions
    windows: Windows
    releases: Releases
    logs: Logs
    clock: EventClock


class Intake:
    """Where records come in. ``dead_letter`` writes letters and returns when they are confirmed."""

    def __init__(
        self,
        group: Brings,
        state: FlowState,
        dead_letter: Callable[[Iterable[DeadLetter]], Awaitable[None]],
        *,
        max_held: int,
    ) -> None:
        self._group = group
        self._positions, self._windows, self._releases, self._logs, self._clock = state
        self._dead_letter = dead_letter
        self._max_held = max_held
        self._parked: dict[Partition, deque[Message]] = {}
        self.paused: frozenset[Partition] = frozenset()
        """The partitions that are not read on."""

    def begin(self) -> None:
        """Forget everything: partitions were revoked, or assigned."""
        self._parked.clear()
        self._pause(frozenset())

    async def arrived(self, message: Message) -> None:
        """Take a record, or park it."""
        partition = Partition(message.partition)
        # What was read before a rebalance belongs to nobody now.
        if message.generation_id != self._group.generation or partition not in self._windows:
            return
        if partition in self._parked or self._is_too_much(message):
            self._pause(self.paused | {partition})
            self._parked.setdefault(partition, deque()).append(message)
        else:
            await self._take(message)

    async def relieve(self) -> None:
        """Take what was parked as far as there is room, and read paused partitions on."""
        for partition in list(self._parked):
            # A letter that is to be confirmed takes its time: the partition may be revoked meanwhile.
            while (parked := self._parked.get(partition)) and not self._is_too_much(parked[0]):
                await self._take(parked.popleft())
            if not parked:
                self._parked.pop(partition, None)
        self._pause(frozenset(self._parked))

    def _is_too_much(self, message: Message) -> bool:
        held = self._releases.held
        if held < self._max_held:
            return False
        return held >= 2 * self._max_held or self._windows.is_overdue(
            Partition(message.partition), _timestamp(message), self._clock.now()
        )

    def _pause(self, partitions: frozenset[Partition]) -> None:
        if partitions != self.paused:
            self.paused = partitions
            self._group.pause(partitions)

    async def _take(self, message: Message) -> None:
        partition, offset = Partition(message.partition), Offset(message.offset)
        expected = self._positions.next(partition)
        match self._positions.judge(partition, offset, self._group.passed(partition)):
            case Verdict.DROP | Verdict.READ_AGAIN:
                return
            case Verdict.HOLE:
                self._logs.hole(partition, expected, offset)
        now = self._clock.now()
        timestamp = _timestamp(message)
        value = message.value or b""
        try:
            created = decode_created(value)
        except BadRecord as error:
            self._releases.hold(partition, offset, 1, min(timestamp, now))
            letter = dead_letter("bad_record", str(error), value)
            generation = message.generation_id
            await self._dead_letter([letter])
            if generation == self._group.generation and partition in self._windows:
                self._releases.finish([(partition, offset)])
            return
        self._releases.hold(partition, offset, len(created.ids), min(timestamp, now))
        self._windows.add(
            partition=partition,
            offset=offset,
            timestamp=timestamp,
            now=now,
            ids=created.ids,
            attempt=created.attempt,
        )


def _timestamp(message: Message) -> Millis:
    return Millis(round((message.timestamp or 0) * 1000))
