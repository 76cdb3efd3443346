"""A channel that hands deliveries over as they arrive: judged, and of a long body only the beginning kept.

aiormq makes an object and a task for each delivery, and joins a body however long it is before anybody sees it. This
channel calls a plain function instead: that saves a third of a delivery's CPU time (docs/performance.md), and leaves at
most one frame of a body in memory beside what is kept of it.
"""

from collections.abc import Callable
from itertools import count
from typing import Final, Self, cast

import aiormq
from aiormq.abc import AbstractConnection, DeliveredMessage
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from streams.announcement import LongBody, judged
from streams.contract import DeadLetter, PostId

_STREAM_HEADER: Final = "x-stream-offset"


class DeliveryChannel(aiormq.Channel):
    """``deliver`` is told of each delivery; ``refuse`` once, with a sentence, of one that cannot be acknowledged."""

    def __init__(
        self,
        connection: AbstractConnection,
        number: int,
        deliver: Callable[[int, PostId | DeadLetter], None],
        refuse: Callable[[str], None],
    ) -> None:
        super().__init__(connection, number, publisher_confirms=False, frame_buffer=10)
        self._deliver = deliver
        self._refuse = refuse

    @classmethod
    async def opened(
        cls,
        connection: AbstractConnection,
        deliver: Callable[[int, PostId | DeadLetter], None],
        refuse: Callable[[str], None],
    ) -> Self:
        """Open a channel under the next free number of a connection."""
        # The lowest one: RabbitMQ allows 2,047, and a channel that is renewed for days must not count up to that.
        number = next(number for number in count(1) if number not in connection.channels)
        channel = cls(connection, number, deliver, refuse)
        connection.channels[number] = channel
        await channel.open()
        return channel

    @staticmethod
    async def unused(message: DeliveredMessage) -> None:
        """Stand in for the callback that ``basic_consume`` asks for: :meth:`_on_deliver_frame` is asked instead."""
        raise NotImplementedError

    async def _on_deliver_frame(self, frame: commands.Basic.Deliver) -> None:
        header = cast("ContentHeader", await self._get_frame())
        size = header.body_size or 0
        piece = cast("ContentBody", await self._get_frame()).value if size else b""
        if len(piece) == size:
            post = judged(piece)
        else:
            body, left = LongBody(), size - len(piece)
            body.add(piece)
            while left:
                piece = cast("ContentBody", await self._get_frame()).value
                body.add(piece)
                left -= len(piece)
            post = body.judged()
        headers = header.properties.headers
        if headers and _STREAM_HEADER in headers:
            self._refuse("the queue is a stream, and a stream has no acknowledgements: use a classic or quorum queue")
        elif frame.delivery_tag is not None:
            self._deliver(frame.delivery_tag, post)
