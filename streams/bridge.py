"""From RabbitMQ to Kafka: a delivery is acknowledged after Kafka has it.

The bridge keeps one connection, one channel and one consumer, and makes all three anew when anything
about them ends: a lost connection, a deleted queue, a consumer that hears nothing although the queue
is not empty. What was in flight then is delivered again by RabbitMQ, and may be announced twice;
that is the feed's readers' business (law 2).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractQueue
from aiormq.abc import AbstractChannel, DeliveredMessage
from aiormq.exceptions import AMQPError, ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed
from mode import Service

from streams.announcement import NotAnId, announced_post
from streams.contract import Created, dead_letter, encode_created, encode_dead
from streams.publisher import Keyed, Publishes, delays
from streams.settings import Settings
from streams.telemetry import Health, Metrics, log

# How often a consumer that hears nothing asks whether there is something to hear.
_WATCH_SECONDS: Final = 10.0
# A heartbeat that is missed twice ends a connection to a broker that is gone without a word.
_HEARTBEAT_SECONDS: Final = 10
_CONNECT_SECONDS: Final = 10.0
# How long a stop waits for what is in flight. What is not confirmed by then RabbitMQ delivers again.
_DRAIN_SECONDS: Final = 5.0
# The errors that end a connection: the protocol's, the socket's, what a late call on a closed channel raises, and
# what aio-pika lets through when the peer hangs up in the middle of the handshake.
_CONNECTION_ERRORS: Final = (AMQPError, OSError, TimeoutError, RuntimeError, StopAsyncIteration)


class Lost(Exception):
    """The consumer is gone, or might as well be."""


class Bridge(Service):
    """Consumes the queue for as long as the worker runs."""

    def __init__(
        self,
        settings: Settings,
        *,
        publisher: Publishes,
        health: Health,
        metrics: Metrics,
        reached: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._settings = settings
        self._publisher = publisher
        self._health = health
        self._metrics = metrics
        self._reached = reached

    @Service.task
    async def _run(self) -> None:
        attempts = delays()
        while not self.should_stop:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    connection = await aio_pika.connect(
                        self._settings.amqp_url.get_secret_value(), heartbeat=_HEARTBEAT_SECONDS
                    )
                async with connection:
                    queue = await self._queue(connection)
                    consumer = _Consumer(queue, self._announce)
                    async with consumer.consuming(self._settings.prefetch):
                        self._health.well("rabbitmq")
                        attempts = delays()
                        await consumer.watch(connection, self.wait_until_stopped())
            except (*_CONNECTION_ERRORS, Lost) as error:
                self._health.waiting("rabbitmq", _sentence(error))
                await self.sleep(next(attempts))

    async def _queue(self, connection: AbstractConnection) -> AbstractQueue:
        """Return the queue as it is, durable or not; declare it as the producer does where it is missing."""
        name = self._settings.queue_name
        try:
            channel = await connection.channel(publisher_confirms=False)
            return await channel.declare_queue(name, passive=True)
        except ChannelNotFoundEntity:
            # The refusal closed that channel.
            channel = await connection.channel(publisher_confirms=False)
        try:
            return await channel.declare_queue(name, durable=False)
        except ChannelPreconditionFailed as error:
            # Somebody was quicker and declared it otherwise: the next attempt finds it.
            raise Lost(f"queue {name!r} was declared with other arguments at this moment: {error.reason}") from error
        except ChannelAccessRefused as error:
            raise Lost(
                f"queue {name!r} does not exist and the user of AMQP_URL may not declare it: "
                "declare it, or grant the right to configure it"
            ) from error

    async def _announce(self, bodies: Sequence[bytes]) -> None:
        """Put what deliveries say where it belongs, and return when Kafka has it."""
        posts: list[Keyed] = []
        letters: list[Keyed] = []
        for body in bodies:
            try:
                post = announced_post(body)
            except NotAnId as error:
                letter = dead_letter("not_an_id", str(error), body)
                letters.append((None, encode_dead(letter)))
                self._metrics.dead.labels(letter.reason).inc()
            else:
                posts.append((b"%d" % post, encode_created(Created(post))))
        await self._publisher.publish(self._settings.dead_topic, letters)
        await self._publisher.publish(self._settings.created_topic, posts)
        self._metrics.deliveries.inc(len(bodies))
        for _ in bodies:
            self._reached("bridge.confirmed")


class _Consumer:
    """One consumer on one channel.

    Deliveries are announced in groups: while Kafka confirms one, the next gathers. So the busier the
    queue the larger the groups, and a group is acknowledged with one frame, up to its last delivery.
    """

    def __init__(self, queue: AbstractQueue, announce: Callable[[Sequence[bytes]], Awaitable[None]]) -> None:
        self._queue = queue
        self._announce = announce
        # What is not acknowledged, at most the prefetch: what gathers (tag, body), and the group under way.
        self._gathered: list[tuple[int, bytes]] = []
        self._open = 0
        self._heard = 0
        self._ended = asyncio.Event()
        self._arrived = asyncio.Event()
        self._drained = asyncio.Event()

    @asynccontextmanager
    async def consuming(self, prefetch: int) -> AsyncIterator[None]:
        """Take deliveries; at the end take no more, and let what is in flight be confirmed and acknowledged."""
        channel = self._queue.channel
        # aio-pika's own consumer makes an object of every header: a third of the time of a delivery.
        underlay = await channel.get_underlay_channel()
        # RabbitMQ cancels the consumer of a queue that is deleted, and says so on the channel alone.
        underlay.on_consumer_cancel_callbacks.add(lambda _: self._ended.set())
        channel.close_callbacks.add(lambda *_: self._ended.set())
        await channel.set_qos(prefetch_count=prefetch)
        forwarding = asyncio.create_task(self._forward(underlay))
        forwarding.add_done_callback(lambda _: self._ended.set())
        try:
            consumer = await underlay.basic_consume(self._queue.name, self._on_delivery)
            yield
            await underlay.basic_cancel(consumer.consumer_tag or "")
            await self._drain()
        finally:
            forwarding.cancel()
            # Its own error, if it had one, has ended the consumer already.
            await asyncio.gather(forwarding, return_exceptions=True)

    async def watch(self, connection: AbstractConnection, stop: Coroutine[Any, Any, None]) -> None:
        """Return when told to stop; raise :class:`Lost` when the consumer is gone."""
        stopped, ended = asyncio.create_task(stop), asyncio.create_task(self._ended.wait())
        try:
            while not stopped.done():
                heard = self._heard
                await asyncio.wait((stopped, ended), timeout=_WATCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    raise Lost("RabbitMQ ended the consumer: the queue was deleted, or the channel closed")
                if heard == self._heard and not self._open:
                    await self._ask(connection)
        finally:
            stopped.cancel()
            ended.cancel()

    async def _ask(self, connection: AbstractConnection) -> None:
        """Find out whether silence means an empty queue; raises :class:`Lost` if not."""
        heard = self._heard
        async with asyncio.timeout(_CONNECT_SECONDS), connection.channel(publisher_confirms=False) as channel:
            state = (await channel.declare_queue(self._queue.name, passive=True)).declaration_result
        if heard == self._heard and (state.message_count or not state.consumer_count):
            raise Lost(f"nothing arrives although the queue holds {state.message_count} messages")

    async def _on_delivery(self, message: DeliveredMessage) -> None:
        if message.delivery_tag is None:
            raise Lost("RabbitMQ sent a delivery without a tag")
        self._heard += 1
        self._open += 1
        self._gathered.append((message.delivery_tag, message.body))
        self._arrived.set()

    async def _forward(self, channel: AbstractChannel) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            group, self._gathered = self._gathered, []
            await self._announce([body for _, body in group])
            # aiormq begins its callbacks in the order of the deliveries: the last tag speaks for all before it.
            await channel.basic_ack(group[-1][0], multiple=True)
            self._open -= len(group)
            if not self._open:
                self._drained.set()

    async def _drain(self) -> None:
        self._drained.clear()
        if not self._open:
            return
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._drained.wait()
        except TimeoutError:
            log.warning("bridge.not_drained", deliveries=self._open)


def _sentence(error: BaseException) -> str:
    """Say what is wrong with RabbitMQ. aiormq's texts name the user and the host, never the password."""
    if isinstance(error, Lost):
        return str(error)
    reason = str(error) or type(error).__name__
    return f"waiting for RabbitMQ: {reason}"
