"""The replaced system's Posts service, careful this time: numbered posts at a steady rate, confirmed by RabbitMQ."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count as counting
from itertools import islice
from typing import Any, Final

import aio_pika
import aiormq
from aio_pika.abc import AbstractChannel, AbstractConnection, DeliveryMode

from integration.faults.authors import author_of
from integration.faults.logs import POISON
from integration.faults.observations import Announced, Fate

_TOLD_SECONDS: Final = 0.5
_TICK_SECONDS: Final = 0.1
POSTS_A_TICK: Final = 3
"""30 posts/s: some 60 a window, of which any that is missing shows; the processes have two cores to share."""
_CONFIRM_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.3
_FAILURES: Final = (
    aiormq.exceptions.AMQPError,
    aio_pika.exceptions.AMQPError,
    OSError,
    TimeoutError,
    RuntimeError,
    StopAsyncIteration,
)
"""How a lost connection may show. A closed channel raises a RuntimeError; a connection that is closed in the middle
of its handshake, as one to a port of a stopped container is, a StopAsyncIteration."""

_poison_numbers: Final = counting(1)


class Announcer:
    """Announces posts on a durable queue, as persistent messages, again until RabbitMQ has confirmed them."""

    def __init__(
        self, url: str, queue: str, *, arguments: Mapping[str, Any] | None = None, posts_a_tick: int = POSTS_A_TICK
    ) -> None:
        """``arguments`` are those of the queue's declaration."""
        self._url = url
        self._queue = queue
        self._arguments = dict(arguments or {})
        self._posts_a_tick = posts_a_tick
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._lock = asyncio.Lock()
        self.announced: list[Announced] = []
        """What was confirmed, in that order."""

    async def close(self) -> None:
        """Disconnect."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            await connection.close()

    async def go_on(self, posts: Iterator[int], until: asyncio.Event) -> None:
        """Announce at the steady rate until told to stop, or until no posts are left.

        Not to be cancelled: what was published and not yet confirmed would be shown, and nobody would know of it.
        """
        while not until.is_set() and (some := list(islice(posts, self._posts_a_tick))):
            await self.announce(some)
            await asyncio.sleep(_TICK_SECONDS)

    async def announce(self, posts: Sequence[int], fate: Fate = "shown", *, is_there: bool = True) -> None:
        """Return when RabbitMQ has confirmed these; those not ``is_there`` yet can be shown from :meth:`exists` on."""
        async with self._lock:
            left = list(posts)
            while left:
                left = await self._try(left, fate, due=None if is_there else float("inf"))

    async def poison(self, count: int, size: int) -> None:
        """Publish bodies of ``size`` bytes that are no ids, each with a number of its own."""
        async with self._lock:
            channel = await self._open()
            for _ in range(count):
                number = next(_poison_numbers)
                await self._publish(channel, (b"%b%d " % (POISON, number)).ljust(size, b"x"))
                self.announced.append(Announced(number, time.monotonic(), "not_an_id"))

    def note(self, posts: Sequence[int]) -> None:
        """Note posts that are announced past RabbitMQ, in Kafka's own records, as due from now on."""
        now = time.monotonic()
        self.announced += [Announced(post, now, author=author_of(post)) for post in posts]

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Announce nothing meanwhile."""
        async with self._lock:
            yield

    def exists(self, post: int) -> None:
        """Note that a post which was announced too early can be shown from now on."""
        self.announced = [one._replace(due=time.monotonic()) if one.post == post else one for one in self.announced]

    async def declare(self, *, delete: bool = False, more: Mapping[str, Any] | None = None) -> tuple[int, int]:
        """Declare the durable queue, after deleting it if told to; return how many consumers it had, and has.

        ``more`` are arguments of this declaration alone. To be called while nothing is announced.
        """
        channel = await self._open()
        before = 0
        if delete:
            state = (await channel.declare_queue(self._queue, passive=True)).declaration_result
            before = state.consumer_count or 0
            # Soon, since the bridge would declare a missing queue as one that is not durable, but not at once:
            # RabbitMQ 3.10 then does not always tell the consumers of a quorum queue, who notice after half a minute.
            await channel.queue_delete(self._queue)
            await asyncio.sleep(_TOLD_SECONDS)
        arguments = {**self._arguments, **(more or {})}
        queue = await channel.declare_queue(self._queue, durable=True, arguments=arguments)
        return before, queue.declaration_result.consumer_count or 0

    async def consumers(self) -> int:
        """Return how many consumers the queue has; 0 while RabbitMQ cannot be asked."""
        async with self._lock:
            try:
                channel = await self._open()
                async with asyncio.timeout(_CONFIRM_SECONDS):
                    queue = await channel.declare_queue(self._queue, passive=True)
            except _FAILURES:
                await self._begin_anew()
                return 0
            return queue.declaration_result.consumer_count or 0

    async def _try(self, posts: Sequence[int], fate: Fate, due: float | None) -> list[int]:
        """Publish posts and return those that were not confirmed."""
        try:
            channel = await self._open()
            async with asyncio.timeout(_CONFIRM_SECONDS):
                publishing = (self._publish(channel, b"%d" % post) for post in posts)
                outcomes = await asyncio.gather(*publishing, return_exceptions=True)
        except _FAILURES as error:
            outcomes = [error] * len(posts)
        now = time.monotonic()
        self.announced += [
            Announced(post, due or now, fate, author_of(post))
            for post, outcome in zip(posts, outcomes, strict=True)
            if outcome is None
        ]
        if failures := [outcome for outcome in outcomes if outcome is not None]:
            if not isinstance(failures[0], _FAILURES):
                raise failures[0]
            await self._begin_anew()
        return [post for post, outcome in zip(posts, outcomes, strict=True) if outcome is not None]

    async def _publish(self, channel: AbstractChannel, body: bytes) -> None:
        message = aio_pika.Message(body, delivery_mode=DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, self._queue)

    async def _open(self) -> AbstractChannel:
        if self._channel is None or self._channel.is_closed:
            self._connection = await aio_pika.connect(self._url, heartbeat=10, timeout=_CONFIRM_SECONDS)
            self._channel = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
        return self._channel

    async def _begin_anew(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(*_FAILURES):  # it was broken already
                async with asyncio.timeout(1):
                    await connection.close()
        await asyncio.sleep(_RETRY_SECONDS)
