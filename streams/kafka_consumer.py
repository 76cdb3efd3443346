"""Faust's consumer, which aiokafka runs in a thread of its own, with four things otherwise.

* **Each partition gets its turn.** Faust asks for everything that was fetched, and hands over a whole fetch (a
  megabyte) before it asks again: live records would wait for seconds behind those of a partition with a backlog. Here a
  partition brings :data:`TURN_RECORDS` records at most before the next one's turn.
* **A partition can be paused** without losing what was fetched of it: it stays in aiokafka's buffer, one fetch at most.
* **A right that is missing is waited for.** Faust would crash of the error that aiokafka raises for it.
* **Positions are ours.** Faust seeks to committed offsets by itself, and drops records below the largest offset that it
  has seen. :mod:`streams.group` seeks, :mod:`streams.positions` judges.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, cast

import aiokafka
from aiokafka.errors import TopicAuthorizationFailedError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.contract import Offset
from streams.positions import Passed

TURN_RECORDS: Final = 500
"""How many records one partition brings before the next one's turn: some 40 ms of Faust's work."""

# How long a partition that is paused, or that may not be read, waits until it is looked at again.
_PAUSED_SECONDS: Final = 0.25


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads in a thread. What the other thread reads of it is replaced whole, never changed."""

    paused: frozenset[TP] = frozenset()
    """What is not to be read for now."""
    refused = False
    """Whether Kafka last said that this consumer may not read a topic."""

    def __post_init__(self) -> None:
        """Begin with nothing read."""
        super().__post_init__()
        self.fetching = asyncio.Lock()
        """Held while records are handed over: who seeks holds it, so that nothing is under way."""
        self.passed: dict[TP, Passed] = {}

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,
        max_records: int | None = None,  # noqa: ARG002 - a turn's length is ours
    ) -> Any:
        async with self.fetching:
            active = active_partitions - self.paused
            if not active:
                # No partitions would mean all of them.
                await asyncio.sleep(_PAUSED_SECONDS)
                return {}
            if self.paused:
                timeout = min(timeout or 0.0, _PAUSED_SECONDS)
            records: dict[TP, list[Any]] = {}
            try:
                records |= await super()._fetch_records(consumer, active, timeout, TURN_RECORDS)
                for tp in [tp for tp in consumer._fetcher._records if tp in active and tp not in records]:  # noqa: SLF001
                    records |= await super()._fetch_records(consumer, {tp}, 0, TURN_RECORDS)
            except TopicAuthorizationFailedError:
                self.refused = True
                # aiokafka has forgotten the answer, and asks again.
                await asyncio.sleep(_PAUSED_SECONDS)
            else:
                self.refused = False
            self._note(consumer, records)
            return records

    def _note(self, consumer: aiokafka.AIOKafkaConsumer, records: dict[TP, list[Any]]) -> None:
        """Note how far each partition was handed over."""
        subscription = consumer._subscription.subscription  # noqa: SLF001
        if subscription is None or subscription.assignment is None:
            return
        for tp in subscription.assignment.tps:
            state = subscription.assignment.state_value(tp)
            if state.has_valid_position:
                before = self.passed.get(tp)
                first, end = (before.first, before.end) if before else (None, None)
                if some := records.get(tp):
                    first, end = some[0].offset if first is None else first, some[-1].offset + 1
                self.passed[cast(TP, tp)] = Passed(first, end, Offset(state.position))


class _NoOffsets(dict[TP, int | None]):
    """What Faust has read of each partition, for Faust: it never knows, so it never drops."""

    def __missing__(self, key: TP) -> None:
        return None

    def __setitem__(self, key: TP, value: int | None) -> None:
        """Keep nothing."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Keep nothing."""


class Consumer(driver.Consumer):
    """Faust's consumer whose positions are ours."""

    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._read_offset = cast(Any, _NoOffsets())

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Leave the positions alone: Flow seeks when partitions are assigned."""

    def pause_reading(self, partitions: Iterable[TP]) -> None:
        """Read these partitions no further, and all others on."""
        self._thread.paused = frozenset(partitions)
