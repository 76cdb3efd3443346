"""From deliveries to confirmed records: posts and dead letters go to Kafka side by side, then are acknowledged.

While Kafka confirms a group, the next gathers: the busier the queue, the larger the groups. Posts do not
wait for dead letters, nor letters for posts: while ``posts.dead`` cannot be written, posts go on until the open
letters use up the prefetch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from streams.contract import DeadLetter, PostId
from streams.deliveries import Acknowledgement, Deliveries

GATHER_SECONDS: Final = 0.02
"""How long a group of posts gathers. A window lasts seconds, and a write costs as much for one post as for many."""


class Consumer:
    """Takes deliveries, and acknowledges them when they are confirmed.

    ``announce`` and ``dead_letter`` return when all that they were given is confirmed; ``acknowledge`` when RabbitMQ
    has been told. An error of any of them ends :meth:`run` with it, and nothing of that group is acknowledged.
    A group of posts gathers for ``gather`` seconds, or until there are ``enough``.
    """

    def __init__(
        self,
        *,
        announce: Callable[[Sequence[PostId]], Awaitable[None]],
        dead_letter: Callable[[Sequence[DeadLetter]], Awaitable[None]],
        acknowledge: Callable[[Acknowledgement], Awaitable[None]],
        enough: int = 1,
        gather: float = GATHER_SECONDS,
    ) -> None:
        self.heard = 0
        """How many deliveries there were. Grows for ever."""
        self._announce = announce
        self._dead_letter = dead_letter
        self._acknowledge = acknowledge
        self._enough = enough
        self._gather = gather
        self._deliveries = Deliveries()
        self._post_came, self._enough_came, self._letter_came = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._nothing_open = asyncio.Event()
        self._nothing_open.set()
        # Acknowledgements hold in the order in which they were decided: decided and sent under the lock.
        self._acknowledging = asyncio.Lock()

    @property
    def open(self) -> int:
        """How many deliveries are not acknowledged."""
        return self._deliveries.open

    def deliver(self, tag: int, judged: PostId | DeadLetter) -> None:
        """Take a delivery."""
        self.heard += 1
        self._deliveries.add(tag, judged)
        self._nothing_open.clear()
        if isinstance(judged, DeadLetter):
            self._letter_came.set()
        else:
            self._post_came.set()
            if self._deliveries.posts >= self._enough:
                self._enough_came.set()

    async def run(self) -> None:
        """Forward what is delivered, until cancelled; raises what a port raised."""
        try:
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._forward_posts())
                lanes.create_task(self._forward_letters())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def drained(self) -> None:
        """Return when everything that was delivered before is acknowledged."""
        self._enough_came.set()
        await self._nothing_open.wait()

    async def _forward_posts(self) -> None:
        while True:
            await self._post_came.wait()
            await self._gathered()
            tags, ids = self._deliveries.take_posts()
            self._post_came.clear()
            self._enough_came.clear()
            await self._announce(ids)
            async with self._acknowledging:
                await self._send(self._deliveries.confirm_posts(tags))

    async def _gathered(self) -> None:
        if self._gather and not self._enough_came.is_set():
            timer = asyncio.get_running_loop().call_later(self._gather, self._enough_came.set)
            await self._enough_came.wait()
            timer.cancel()

    async def _forward_letters(self) -> None:
        while True:
            await self._letter_came.wait()
            tags, letters = self._deliveries.take_letters()
            if not tags:
                self._letter_came.clear()
                continue
            await self._dead_letter(letters)
            async with self._acknowledging:
                await self._send(self._deliveries.confirm_letters(tags))

    async def _send(self, acknowledgements: Sequence[Acknowledgement]) -> None:
        for acknowledgement in acknowledgements:
            await self._acknowledge(acknowledgement)
        if not self._deliveries.open:
            self._nothing_open.set()
