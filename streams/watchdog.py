"""Ends a worker that is stuck, so that its supervisor starts it again (law 9: waiting is not failing).

A worker is stuck when

* a stage neither progresses nor waits for anything (:meth:`streams.progress.Progress.stalled`);
* a partition stands still although its log goes on (:mod:`streams.standstill`);
* the consumer's thread does not answer, or a stage waits for Kafka in it, although Kafka answers another connection;
* the event loop does not turn.

Consumers that die without a word are what Faust's users report most (its issues #175, #523, #532, #640).
"""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from aiokafka.errors import KafkaError
from mode import Service

from streams.contract import Millis, Partition
from streams.lasting import lasting
from streams.progress import OpenWork, Progress, Work
from streams.standstill import Place, Standstill
from streams.telemetry import log

LOOK_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 18.0
"""How long a stage may be silent, and how long a partition may stand still beyond a window."""
CLAIM_SECONDS: Final = 40.0
"""How long the consumer may wait for a Kafka that answers: twice what a rebalance takes with a member that is gone."""
ANSWER_SECONDS: Final = 7.0
"""How long an answer of the consumer's thread may take, which takes a millisecond, or Kafka's, which takes tens."""
UNANSWERED: Final = 2
_LOOP_SECONDS: Final = 20

_CONSUMER: Final = frozenset({"read", "commit"})
"""The stages that reach Kafka through the consumer's thread."""
_BATCHES: Final = ("look up", "publish", "commit")
"""The stages whose progress is that of batches."""
_BRIDGE: Final = "bridge"
_KAFKA: Final = frozenset({"kafka", "leader"})
"""What Kafka is called as a service that is waited for: all of it, or the leaders of the assigned partitions."""


class Stuck(Exception):
    """The worker neither gets on nor waits for anything. The message says what stands still."""


class Watched(Protocol):
    """What is watched: :class:`streams.agent.Flow`."""

    async def places(self) -> Mapping[Partition, Place]:
        """Say where each assigned partition stands whose end Kafka tells; asks through the consumer's thread."""
        ...


class Watch:
    """Looks at the worker, one look at a time; :class:`Watchdog` calls it. ``clock`` counts seconds, never back.

    ``answers`` says whether the group's coordinator and all leaders answer connections that no consumer shares.
    ``work`` is the watchdog's own: while the consumer gets no answer, the worker waits for Kafka.
    """

    def __init__(
        self,
        watched: Watched,
        progress: Progress,
        work: Work,
        *,
        answers: Callable[[], Awaitable[bool]],
        clock: Callable[[], float],
        window: Millis,
    ) -> None:
        self._watched = watched
        self._progress = progress
        self._work = work
        self._answers = answers
        self._clock = clock
        self._standstill = Standstill(Millis(round(PATIENCE_SECONDS * 1000)), window)
        self._unanswered = 0
        # Since when stages wait for Kafka in the consumer's thread although Kafka answers.
        self._claims: dict[str, float] = {}

    async def look(self) -> str | None:
        """Return a sentence when the worker is stuck."""
        return (
            self._progress.stalled(PATIENCE_SECONDS) or await self._look_at_partitions() or await self._look_at_claims()
        )

    async def _look_at_partitions(self) -> str | None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                places = await self._watched.places()
        except (KafkaError, TimeoutError):
            if not await self._answers():
                self._work.waits("kafka", "the consumer gets no answer from Kafka")
                self._unanswered = 0
            else:
                self._unanswered += 1
            return None if self._unanswered < UNANSWERED else "the consumer does not answer although Kafka does"
        self._unanswered = 0
        self._work.progressed()
        stages = self._progress.stages.items()
        return self._standstill.stuck(
            Millis(round(self._clock() * 1000)),
            places,
            waiting=any(waiting.stage != _BRIDGE for waiting in self._progress.waiting),
            progressed=sum(stage.progressed for name, stage in stages if name in _BATCHES),
        )

    async def _look_at_claims(self) -> str | None:
        waiting = [w for w in self._progress.waiting if w.service in _KAFKA]
        claims = {w.stage for w in waiting} & _CONSUMER
        if not claims or len(claims) < len({w.stage for w in waiting}) or not await self._answers():
            self._claims.clear()
            return None
        now = self._clock()
        self._claims = {stage: self._claims.get(stage, now) for stage in claims}
        stage, since = min(self._claims.items(), key=lambda claim: claim[1])
        if now - since <= CLAIM_SECONDS:
            return None
        return f"stage {stage} has waited for Kafka for {now - since:.0f} s although Kafka answers"


class RunningClock:
    """Counts the seconds in which this process ran: one that was suspended is not stuck.

    It is asked every second; a longer pause between two calls counts as :data:`PAUSE_SECONDS`.
    """

    PAUSE_SECONDS: Final = 5.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()
        self._seconds = 0.0

    def __call__(self) -> float:
        """Return the seconds since the start."""
        now = self._clock()
        self._seconds += min(now - self._last, self.PAUSE_SECONDS)
        self._last = now
        return self._seconds


class LoopWatch:
    """Counts the looks at which the event loop had not turned since the look before.

    It counts looks and no clock's seconds: a process that was suspended is not stuck.
    """

    def __init__(self) -> None:
        self._beats = -1
        self._silent = 0

    def look(self, beats: int) -> int:
        """Return for how many looks in a row the number of beats has been the same."""
        self._silent = 0 if beats != self._beats else self._silent + 1
        self._beats = beats
        return self._silent


class Watchdog(Service):
    """Looks every two seconds; a crash of this service ends the worker."""

    def __init__(
        self,
        watched: Watched,
        progress: Progress,
        *,
        answers: Callable[[], Awaitable[bool]],
        clock: Callable[[], float],
        window: Millis,
    ) -> None:
        super().__init__()
        self._report = OpenWork(progress.stage("consumer"))
        self._watch = Watch(watched, progress, self._report.open(), answers=answers, clock=clock, window=window)
        self._clock = clock
        self._beats = 0

    async def on_start(self) -> None:
        """Watch the loop from a thread, which goes on when the loop does not."""
        self._report.open().progressed()
        threading.Thread(target=self._watch_loop, name="watchdog", daemon=True).start()

    @lasting
    async def _look(self) -> None:
        while not self.should_stop:
            await self.sleep(LOOK_SECONDS)
            if sentence := await self._watch.look():
                self._report.open().waits("watchdog", sentence)
                raise Stuck(sentence)

    @lasting
    async def _beat(self) -> None:
        while not self.should_stop:
            self._beats += 1
            self._clock()
            await self.sleep(1.0)

    def _watch_loop(self) -> None:
        watch, stopped = LoopWatch(), threading.Event()
        while not self.should_stop:
            stopped.wait(1.0)
            if (seconds := watch.look(self._beats)) >= _LOOP_SECONDS:
                log.critical("worker.stuck", why=f"the event loop does not turn for {seconds} s")
                # Nothing orderly can run without the loop; what is not committed is read again.
                os._exit(70)
