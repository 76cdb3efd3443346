"""RabbitMQ as the bridge sees it: one connection, with the queue, a consumer, and a channel for questions.

A subscription is made anew when anything about it ends; nothing here repairs itself. The library's own reconnecting
("robust") connections are not used: they report neither what they wait for nor which deliveries are void.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Final

import aio_pika
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from aiormq.abc import AbstractConnection as AbstractAMQPConnection
from aiormq.exceptions import AMQPError, ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed
from yarl import URL

from runtime.waiting import uncancelled, within
from streams.amqp_urls import completed
from streams.deliveries import Acknowledgement
from streams.delivery_channel import DeliveryChannel
from streams.settings import Settings
from streams.subscription import Deliver, Depth, Lost, Subscription

ATTEMPT_SECONDS: Final = 4.0
"""How long one host may take for a connection, TLS and login included."""
CLOSE_SECONDS: Final = 3.0
"""How long it may take to close a connection: milliseconds when RabbitMQ answers, 30 s by TLS when it is frozen."""
ANSWER_SECONDS: Final = 10.0
"""How long RabbitMQ may take to answer on a connection that is open."""
GRACE_SECONDS: Final = 5.0
"""How long a queue that was deleted is left undeclared, so that somebody can declare it otherwise."""
# What ends a connection: the protocol's errors, the socket's, what a late call on a closed channel raises, and what
# aio-pika lets through when the peer hangs up in the middle of the handshake.
_CONNECTION_ERRORS: Final = (AMQPError, OSError, TimeoutError, RuntimeError, StopAsyncIteration)


class RabbitMQ:
    """Makes subscriptions to the settings' queue. ``clock`` counts seconds."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        name = f"{settings.app_id} on {socket.gethostname()}"
        self._urls = [completed(URL(url), name) for url in settings.amqp_urls]
        self._queue = settings.queue_name
        self._prefetch = settings.prefetch
        self._may_declare = settings.queue_declare != "never"
        self._clock = clock
        # When the queue was deleted under its consumer; None while it is there, or when a connection was lost.
        self._deleted: float | None = None

    @asynccontextmanager
    async def subscribed(self, deliver: Deliver) -> AsyncIterator[Subscription]:
        """Connect, look for the queue, consume; raises :class:`Lost` when that cannot be done now."""
        async with self._connected() as connection:
            subscription = _Subscription(connection, self._queue, deliver)
            with _lost():
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._look_for_queue(connection)
                    await subscription.begin(self._prefetch)
            try:
                yield subscription
            finally:
                if subscription.queue_was_deleted:
                    self._deleted = self._clock()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AbstractConnection]:
        connection = await self._connection()
        try:
            yield connection
        finally:
            # How it ends is nobody's business any more, and must not hide why.
            with suppress(*_CONNECTION_ERRORS):
                await within(CLOSE_SECONDS, connection.close())

    async def _connection(self) -> AbstractConnection:
        """Connect to the first host that answers; raises :class:`Lost` with what each of them said."""
        failures: list[str] = []
        for url in self._urls:
            try:
                return await within(ATTEMPT_SECONDS, aio_pika.connect(url))
            except TimeoutError:
                failures.append(f"{url.host_port_subcomponent} does not answer")
            except _CONNECTION_ERRORS as error:
                failures.append(f"{url.host_port_subcomponent}: {explanation(error)}")
        raise Lost(f"waiting for RabbitMQ: {'; '.join(failures)}")

    async def _look_for_queue(self, connection: AbstractConnection) -> None:
        """Find the queue, durable or not; declare it where it is missing and that is allowed."""
        channel = await connection.channel(publisher_confirms=False)
        try:
            await channel.declare_queue(self._queue, passive=True)
        except ChannelNotFoundEntity:
            await self._missing_queue(connection)
        else:
            await channel.close()
        self._deleted = None

    async def _missing_queue(self, connection: AbstractConnection) -> None:
        if not self._may_declare:
            raise Lost(f"queue {self._queue!r} does not exist, and QUEUE_DECLARE is never: declare it")
        if self._deleted is not None and self._clock() - self._deleted < GRACE_SECONDS:
            raise Lost(
                f"queue {self._queue!r} was deleted: "
                f"it is declared again after {GRACE_SECONDS:.0f} s, unless somebody else declares it"
            )
        channel = await connection.channel(publisher_confirms=False)
        try:
            await channel.declare_queue(self._queue, durable=False)
        except ChannelPreconditionFailed as error:
            # Somebody was quicker and declared it otherwise: the next attempt finds it.
            raise Lost(f"queue {self._queue!r} was declared with other arguments just now: {error.reason}") from error
        except ChannelAccessRefused as error:
            raise Lost(
                f"queue {self._queue!r} does not exist and the user of AMQP_URL may not declare it: "
                "declare it, or grant the right to configure it"
            ) from error
        await channel.close()


class _Subscription:
    """The consumer on its channel, and a second channel for questions: a refused question closes its channel."""

    def __init__(self, connection: AbstractConnection, queue: str, deliver: Deliver) -> None:
        self.ended: asyncio.Future[Lost] = asyncio.get_running_loop().create_future()
        self.queue_was_deleted = False
        self._connection = connection
        self._queue = queue
        self._deliver = deliver
        self._channel: DeliveryChannel
        self._questions: AbstractChannel
        self._consumer_tag = ""
        self._prefetch = 0

    async def begin(self, prefetch: int) -> None:
        """Open the channels and consume."""
        self._prefetch = prefetch
        self._questions = await self._opened.channel(publisher_confirms=False)
        await self._consume()

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Tell RabbitMQ that deliveries are safe."""
        with _lost():
            await self._channel.basic_ack(acknowledgement.tag, acknowledgement.multiple)

    async def depth(self) -> Depth:
        """Ask how many messages and consumers the queue has."""
        with _lost():
            async with asyncio.timeout(ANSWER_SECONDS):
                try:
                    answer = await self._questions.queue_declare(self._queue, passive=True)
                except ChannelNotFoundEntity:
                    # It was deleted, of which the consumer's channel was not told, or not yet.
                    self.queue_was_deleted = True
                    raise
        return Depth(answer.message_count or 0, answer.consumer_count or 0)

    async def renew(self) -> None:
        """Consume anew, on a new channel; with the old one RabbitMQ forgets what it takes for delivered."""
        with _lost():
            async with asyncio.timeout(ANSWER_SECONDS):
                old = self._channel
                await self._consume()
                await old.close()

    async def cancel(self) -> None:
        """Take no more deliveries; those that were taken can still be acknowledged."""
        with _lost():
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._channel.basic_cancel(self._consumer_tag)

    @property
    def _opened(self) -> AbstractAMQPConnection:
        transport = self._connection.transport
        assert transport is not None  # noqa: S101 - the connection is open
        return transport.connection

    async def _consume(self) -> None:
        channel = self._channel = await DeliveryChannel.opened(self._opened, self._deliver, self._end)
        # RabbitMQ cancels the consumer of a queue that is deleted, and says so on the channel alone.
        channel.on_consumer_cancel_callbacks.add(self._on_cancel)
        channel.closing.add_done_callback(partial(self._on_closed, channel))
        await channel.basic_qos(prefetch_count=self._prefetch)
        answer = await channel.basic_consume(self._queue, DeliveryChannel.unused)
        self._consumer_tag = answer.consumer_tag or ""

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(Lost(why))

    def _on_cancel(self, _: object) -> None:
        self.queue_was_deleted = True
        self._end(f"RabbitMQ ended the consumer of queue {self._queue!r}: the queue was deleted, or its node stopped")

    def _on_closed(self, channel: DeliveryChannel, closing: asyncio.Future[object]) -> None:
        if channel is not self._channel:
            return
        error = None if closing.cancelled() else closing.exception()
        self._end("RabbitMQ closed the channel" if error is None else f"waiting for RabbitMQ: {explanation(error)}")


@contextmanager
def _lost() -> Iterator[None]:
    """Turn whatever ends a connection into :class:`Lost`."""
    try:
        with uncancelled():
            yield
    except _CONNECTION_ERRORS as error:
        raise Lost(f"waiting for RabbitMQ: {explanation(error)}") from error


def explanation(error: BaseException) -> str:
    """Say what is wrong. aiormq's texts name the user and the host, never the password."""
    if isinstance(error, FileNotFoundError | PermissionError):
        return f"a file that AMQP_URL names (cafile, certfile or keyfile) cannot be read: {error.strerror}"
    # aiormq passes an OSError's number and text on as the arguments of its own errors.
    text = str(error.args[-1] if error.args else "") or type(error).__name__
    if "transient_nonexcl_queues" in text:
        # RabbitMQ 4.3 ends the connection with code 541 and this feature's name when such a queue is declared.
        return "it refuses to declare a queue that is not durable: declare the queue, durable for instance"
    return text
