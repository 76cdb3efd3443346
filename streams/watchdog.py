"""Ends a worker that is stuck, so that its supervisor starts it again.

Consumers that die without a word are what Faust's users report most (its issues #175, #523, #532,
#640). Three things are watched: that committed offsets move while the log goes on, that the consumer's
thread answers, and that the event loop turns. A worker that knows what it waits for is left alone.
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from aiokafka.errors import KafkaError
from mode import Service

from streams.contract import Millis, Partition
from streams.standstill import Place, Standstill
from streams.telemetry import Health, log

# Together with what a window takes this is below the 30 s in which an operator expects a verdict.
_LOOK_SECONDS: Final = 2.0
_PATIENCE_MS: Final = 18_000
_LOOP_SECONDS: Final = 20
# An answer of the consumer's thread takes a millisecond, Kafka's own tens of them. Two in vain, and what a crash takes
# to end the process, are 26 s.
_ANSWER_SECONDS: Final = 7.0
_UNANSWERED: Final = 2
# Twice what a rebalance may take with a member that does not answer.
_UNASSIGNED_LOOKS: Final = 20


class Stuck(Exception):
    """The worker does not get on, and does not know why."""


class Watched(Protocol):
    """What is watched: :class:`streams.agent.Flow`."""

    async def places(self) -> Mapping[Partition, Place]:
        """Say where each assigned partition stands; asks Kafka through the consumer's thread."""
        ...


class Watchdog(Service):
    """Looks every two seconds; a crash of this service ends the worker."""

    def __init__(
        self, watched: Watched, reachable: Callable[[], Awaitable[bool]], health: Health, window: Millis
    ) -> None:
        super().__init__()
        self._watched = watched
        self._reachable = reachable
        self._health = health
        self._patience = Millis(_PATIENCE_MS + window)
        self._standstill = Standstill(self._patience)
        self._beats = 0

    @Service.task
    async def _look(self) -> None:
        unanswered = unassigned = 0
        while not self.should_stop:
            await self.sleep(_LOOK_SECONDS)
            try:
                async with asyncio.timeout(_ANSWER_SECONDS):
                    places = await self._watched.places()
            except (KafkaError, TimeoutError) as error:
                if not await self._reachable():
                    self._health.waiting("kafka", "Kafka does not answer")
                    self._standstill = Standstill(self._patience)
                    continue
                unanswered += 1  # and not `well`: writing says that, and knows better
                if unanswered >= _UNANSWERED:
                    raise self._verdict("the consumer does not answer although Kafka does") from error
                continue
            unanswered = 0
            waiting = self._health.problems.keys()
            unassigned = unassigned + 1 if "streams" in waiting else 0
            if unassigned > _UNASSIGNED_LOOKS:
                raise self._verdict("the group assigns no partitions although Kafka answers")
            now = Millis(round(asyncio.get_running_loop().time() * 1000))
            if sentence := self._standstill.stuck(now, places, excused=not waiting.isdisjoint({"kafka", "database"})):
                raise self._verdict(sentence)

    def _verdict(self, sentence: str) -> Stuck:
        self._health.waiting("watchdog", sentence)
        return Stuck(sentence)

    async def on_start(self) -> None:
        """Watch the loop from a thread, which goes on when the loop does not."""
        threading.Thread(target=self._watch_loop, name="watchdog", daemon=True).start()

    @Service.task
    async def _beat(self) -> None:
        while not self.should_stop:
            self._beats += 1
            await self.sleep(1.0)

    def _watch_loop(self) -> None:
        # Counts its own turns and no clock's seconds: a process that was suspended is not stuck.
        last, turns = -1, 0
        stopped = threading.Event()
        while not self.should_stop:
            stopped.wait(1.0)
            last, turns = self._beats, 0 if self._beats != last else turns + 1
            if turns >= _LOOP_SECONDS:
                log.critical("worker.stuck", why=f"the event loop does not turn for {turns} s")
                # Nothing orderly can run without the loop; what is not committed is read again.
                os._exit(70)
