"""What the bridge needs of RabbitMQ: a consumer of the queue that says when it is gone, and why."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from streams.contract import DeadLetter, PostId
from streams.deliveries import Acknowledgement

Deliver = Callable[[int, PostId | DeadLetter], None]
"""Told of each delivery: its tag and what it is, in the order of the tags."""


class Lost(Exception):
    """There is no consumer; the message says why, in a sentence for operators."""


class Depth(NamedTuple):
    """What RabbitMQ says about a queue: messages that are ready to be delivered, and consumers."""

    messages: int
    consumers: int


class Subscription(Protocol):
    """A consumer of the queue. Any call raises :class:`Lost` once it is gone."""

    ended: asyncio.Future[Lost]
    """Has the reason as its result once no more deliveries come."""

    async def acknowledge(self, acknowledgement: Acknowledgement) -> None:
        """Tell RabbitMQ that deliveries are safe."""
        ...

    async def depth(self) -> Depth:
        """Ask how many messages and consumers the queue has."""
        ...

    async def renew(self) -> None:
        """Consume anew, on a new channel whose tags begin anew, after :meth:`cancel` and the last acknowledgement."""
        ...

    async def cancel(self) -> None:
        """Take no more deliveries; those that were taken can still be acknowledged."""
        ...


class Subscribes(Protocol):
    """Where subscriptions are made; :class:`streams.rabbit.RabbitMQ` is the real one."""

    def subscribed(self, deliver: Deliver) -> AbstractAsyncContextManager[Subscription]:
        """Connect, look for the queue, consume; entering raises :class:`Lost` when that cannot be done now."""
        ...
