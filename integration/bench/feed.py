"""Windows of posts, written to the feed as the worker writes them."""

from collections.abc import Sequence
from itertools import count
from random import Random
from time import time
from typing import Final

from aiokafka import AIOKafkaProducer

from integration.bench.crowd import Crowd
from integration.bench.posts import FIRST_ID, FRAME_BYTES, feed_record

LARGEST_WINDOW: Final = 50


class Feed:
    """A topic that only we write to; ``posts`` is how many it holds."""

    def __init__(self, producer: AIOKafkaProducer, topic: str) -> None:
        self.posts = 0
        self._producer = producer
        self._topic = topic
        self._ids = count(FIRST_ID)

    async def window(self, posts: int) -> float:
        """Write a record with that many posts; return the wall clock from just before it was sent."""
        record = feed_record([next(self._ids) for _ in range(posts)])
        self.posts += posts
        begin = time()
        await self._producer.send_and_wait(self._topic, record, partition=0)
        return begin


class Show:
    """A feed and plain clients that watch it from now on."""

    def __init__(self, feed: Feed, clients: Crowd) -> None:
        self._feed = feed
        self._clients = clients
        self._posts = 0

    async def window(self, posts: int) -> float:
        """Send a window; return the seconds from before it was sent until the last client had its last byte.

        Kafka's part is in it, so an edge is no slower than this.
        """
        self._posts += posts
        self._clients.expect(self._posts * FRAME_BYTES)
        begin = await self._feed.window(posts)
        return await self._clients.satisfied() - begin

    async def all(self) -> None:
        """Have those clients read, too, that do not otherwise."""
        await self._clients.all(self._posts * FRAME_BYTES)


def sizes_of(windows: int) -> Sequence[int]:
    """Return sizes for that many windows, from one post to fifty and the same in each run."""
    dice = Random(windows)  # noqa: S311 - sizes are no secret
    return [dice.randint(1, LARGEST_WINDOW) for _ in range(windows)]
