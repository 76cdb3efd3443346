"""From RabbitMQ to Kafka: a delivery is acknowledged after Kafka has confirmed its record.

The bridge subscribes to the queue, and subscribes anew when anything about the subscription ends: a lost connection,
a deleted queue, a consumer that hears nothing although the queue is not empty. RabbitMQ then delivers again what was
not acknowledged, and some of it is announced twice; the readers of the feed know repeats (law 2).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from mode import Service

from runtime.waiting import first, uncancelled
from streams.consumer import GATHER_SECONDS, Consumer
from streams.contract import DeadLetter, PostId, encode_dead
from streams.deliveries import Acknowledgement
from streams.lasting import lasting
from streams.letters import LetterLog
from streams.outage import Outage
from streams.progress import Stage, Work
from streams.publisher import Publishes
from streams.settings import Settings
from streams.subscription import Lost, Subscribes, Subscription
from streams.telemetry import Metrics, log

DEPTH_SECONDS: Final = 10.0
"""How often the queue's depth is asked for, and a consumer that hears nothing looked after."""
DRAIN_SECONDS: Final = 5.0
"""How long a stop waits for what is in flight. RabbitMQ delivers again what is not acknowledged by then."""
PAUSES: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 2.0)
"""Seconds before each new attempt after a failure, the last for ever: RabbitMQ is found again within 10 s."""
_FLUSH_SECONDS: Final = 1.0
# How many looks in a row a consumer hears nothing of, on a queue that seems to be empty, until it is made anew.
_SILENT_LOOKS: Final = 3


class Bridge(Service):
    """Consumes the queue for as long as the worker runs.

    ``sleep`` waits that many seconds, ``gather`` is how many a group of posts gathers. ``checkpoint`` is told of each
    delivery between its confirmation and its acknowledgement.
    """

    def __init__(
        self,
        settings: Settings,
        rabbitmq: Subscribes,
        publisher: Publishes,
        *,
        stage: Stage,
        metrics: Metrics,
        letters: LetterLog,
        checkpoint: Callable[[str], None],
        gather: float = GATHER_SECONDS,
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self._settings = settings
        self._rabbitmq = rabbitmq
        self._publisher = publisher
        self._stage = stage
        self._metrics = metrics
        self._letters = letters
        self._checkpoint = checkpoint
        self._gather = gather
        self._sleep = sleep
        self._outage = Outage(stage)
        self._metrics.queue_messages.set(float("nan"))
        self._drained = asyncio.Event()
        self._drained.set()
        # How many subscriptions in a row ended before a delivery was acknowledged.
        self._failures = 0

    async def on_stop(self) -> None:
        """Wait until what is in flight is acknowledged: the service's tasks are cancelled when this returns."""
        await self._drained.wait()
        self._letters.flush(final=True)

    @lasting
    async def _flush_letters(self) -> None:
        while not self.should_stop:
            self._letters.flush()
            await self.sleep(_FLUSH_SECONDS)

    @lasting
    async def _run(self) -> None:
        self._outage.waits("not connected to RabbitMQ yet")
        logged: set[str] = set()
        while not self.should_stop:
            try:
                with uncancelled():
                    await self._consume()
            except Lost as error:
                self._outage.waits(str(error))
            except Exception as error:  # noqa: BLE001 - the root of this task: logged, and tried again
                self._outage.fails()
                seen = repr(error) in logged
                logged.add(repr(error))
                log.error("bridge.failed", error=repr(error), exc_info=None if seen else error)
            if not self.should_stop:
                await first(self.wait_until_stopped(), self._sleep(_pause(self._failures)))
                self._failures += 1

    async def _consume(self) -> None:
        """Subscribe and forward until told to stop; raises :class:`Lost` when the subscription ends."""
        consumer = Consumer(
            announce=self._announce,
            dead_letter=self._dead_letter,
            acknowledge=lambda acknowledgement: self._acknowledge(subscription, acknowledgement),
            enough=self._settings.prefetch // 2,
            gather=self._gather,
        )
        async with self._rabbitmq.subscribed(consumer.deliver) as subscription:
            log.info("bridge.consuming", queue=self._settings.queue_name)
            if not self._outage.failing:
                self._outage.ends()
            forwarding = asyncio.create_task(consumer.run())
            self._drained.clear()
            self._metrics.unacknowledged.set_function(lambda: consumer.open)
            try:
                await first(
                    self.wait_until_stopped(),
                    self._watch(subscription, consumer),
                    _raised(subscription.ended),
                    _ended(forwarding),
                )
                await self._drain(subscription, consumer, forwarding)
            finally:
                self._drained.set()
                forwarding.cancel()
                await asyncio.gather(forwarding, return_exceptions=True)
                self._metrics.unacknowledged.set_function(lambda: 0)
                self._metrics.queue_messages.set(float("nan"))

    async def _watch(self, subscription: Subscription, consumer: Consumer) -> None:
        """Ask for the queue's depth, and find out whether silence means an empty queue; raises :class:`Lost` if not."""
        heard: int | None = None
        silent = 0
        while True:
            with self._stage.work() as work, work.asks("rabbitmq", "RabbitMQ does not answer"):
                depth = await subscription.depth()
            self._metrics.queue_messages.set(depth.messages)
            # A queue may count its consumer only a moment after it has accepted it, so the first answer says nothing.
            if heard is not None and not depth.consumers:
                raise Lost("RabbitMQ has no consumer of the queue any more")
            silent = silent + 1 if consumer.heard == heard and not consumer.open else 0
            if silent and depth.messages and depth.consumers == 1:
                raise Lost(f"nothing arrives although the queue holds {depth.messages} messages")
            if silent and (depth.messages or silent % _SILENT_LOOKS == 0):
                # Another consumer may be the only one that RabbitMQ delivers to, or be preferred. If that is not so,
                # RabbitMQ has forgotten ours, or takes for delivered what it did not send: where a quorum queue is
                # deleted and declared again at once, RabbitMQ 3.10 does that for as long as the channel lasts.
                await subscription.cancel()
                await consumer.drained()
                await subscription.renew()
            heard = consumer.heard
            await self._sleep(DEPTH_SECONDS)
            self._outage.ends()

    async def _drain(self, subscription: Subscription, consumer: Consumer, forwarding: asyncio.Task[None]) -> None:
        """Take no more deliveries, and let those in flight be confirmed and acknowledged."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await subscription.cancel()
                await first(consumer.drained(), _ended(forwarding))
        except TimeoutError:
            log.warning("bridge.not_drained", deliveries=consumer.open)

    async def _announce(self, ids: Sequence[PostId]) -> None:
        """Put ids on posts.created; return when they are confirmed."""
        await self._insist(lambda work: self._publisher.announce(ids, 0, work))
        self._confirmed(len(ids))

    async def _dead_letter(self, letters: Sequence[DeadLetter]) -> None:
        """Put dead letters on posts.dead; return when they are confirmed."""
        values = [encode_dead(letter) for letter in letters]
        await self._insist(lambda work: self._publisher.publish(self._settings.dead_topic, values, work))
        for letter in letters:
            self._metrics.dead.labels(letter.reason).inc()
            self._letters.count(letter.reason)
        self._confirmed(len(letters))

    async def _insist(self, write: Callable[[Work], Awaitable[None]]) -> None:
        """Write until it succeeds. The publisher waits for Kafka itself: what it raises is a defect, and is logged.

        The work neither progresses nor waits meanwhile, so the watchdog ends a worker that gets nowhere.
        """
        failures = 0
        with self._stage.work() as work:
            while True:
                try:
                    with uncancelled():
                        return await write(work)
                except Exception as error:  # noqa: BLE001 - as above
                    log.error("bridge.write_failed", error=repr(error), exc_info=None if failures else error)
                await self._sleep(_pause(failures))
                failures += 1

    def _confirmed(self, deliveries: int) -> None:
        self._metrics.deliveries.inc(deliveries)
        for _ in range(deliveries):
            self._checkpoint("bridge.confirmed")

    async def _acknowledge(self, subscription: Subscription, acknowledgement: Acknowledgement) -> None:
        await subscription.acknowledge(acknowledgement)
        self._failures = 0
        if self._outage.failing:
            self._outage.ends()


def _pause(failures: int) -> float:
    return PAUSES[min(failures, len(PAUSES) - 1)]


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.shield(task)


async def _raised(ended: asyncio.Future[Lost]) -> None:
    raise await asyncio.shield(ended)
