"""Compression: how many bytes a window takes, and what the edge's work for it is beside that for plain clients.

Two edges with as many clients take turns, one with clients that agreed to compression. A window is compressed once,
so what that costs is less for each client the more of them there are; and fewer bytes are written to each. The posts
have texts as people write them: what compresses best of all is a text of one letter.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

import psutil
from aiokafka import AIOKafkaProducer
from msgspec.structs import replace

from edge.feed.log import Log
from edge.feed.reads import Reading
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import PLAIN, PLAIN_DEFLATED
from integration.bench.crowd import Crowd, crowd
from integration.bench.figures import Figure, Goal, ratio
from integration.bench.posts import FIRST_ID, IMAGE_BASE_URL, post
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving
from streams.contract import (
    FeedRecord,
    Millis,
    Offset,
    Post,
    PostId,
    Publication,
    encode_feed,
    encode_post,
    publication,
)

PART: Final = "compression"
_OF_PLAIN: Final = Goal("at most", 0.52)
_WORDS: Final = 2_000
"""How many words there are to choose from: an English novel has some five times as many."""


@dataclass(frozen=True)
class Size:
    """How much is measured: with each number of clients, windows of so many posts, in turns of so much CPU time."""

    clients: Sequence[int] = (500, 5_000)
    posts: Sequence[int] = (5, 50)
    repetitions: int = 3
    seconds: float = 0.4


class _Feed:
    """A topic that only we write to, and a log of our own, which says how many bytes each client is to get."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, clients: Crowd, encoding: Encoding) -> None:
        self.clients = clients
        self._producer = producer
        self._topic = topic
        self._encoding = encoding
        self._dice = Random(topic)  # noqa: S311 - any words will do
        self._words = ["".join(self._dice.choices("etaoinshrdlu", k=self._dice.randint(2, 9))) for _ in range(_WORDS)]
        self._ids = count(FIRST_ID)
        self._log = Log(limit=1 << 24, reach=0)
        self._log.begin(Offset(0), Offset(0))
        self.bytes = 0

    async def window(self, posts: int) -> None:
        """Write a record, and wait until every client has it."""
        record = encode_feed(FeedRecord(Millis(0), [self._publication(next(self._ids)) for _ in range(posts)]))
        assert self._log.next_offset is not None
        position = self._log.head
        self._log.append(self._log.next_offset, record)
        while position < self._log.head:
            chunk = self._log.read(position, Reading(self._encoding), 1 << 16)
            position = chunk.position
            self.bytes += len(chunk.data)
        self.clients.expect(self.bytes)
        await self._producer.send_and_wait(self._topic, record, partition=0)
        await self.clients.satisfied()

    def _publication(self, id_: int) -> Publication:
        return publication(PostId(id_), encode_post(self._post(id_)), 1)

    def _post(self, id_: int) -> Post:
        like = post(id_)
        length, text = len(like.description), " ".join(self._dice.choices(self._words, k=len(like.description)))
        url = f"{IMAGE_BASE_URL}posts/{self._dice.randbytes(16).hex()}.jpg"
        return replace(like, description=text[: length - len(url) + len(like.image_urls[0])], image_urls=[url])


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let the two take turns, with windows of each size."""
    figures: list[Figure] = []
    for clients in size.clients:
        async with _edge(stage, clients, PLAIN) as plain, _edge(stage, clients, PLAIN_DEFLATED) as deflated:
            for posts in size.posts:
                figures += await _compare(stage, clients, posts, size, (plain, deflated))
    return figures


class _Edge:
    """An edge with its clients. Made by :func:`_edge`."""

    def __init__(self, pid: int, clients: int, feed: _Feed) -> None:
        self.feed = feed
        self._process = psutil.Process(pid)
        self._clients = clients

    async def turn(self, posts: int, seconds: float) -> tuple[float, float]:
        """Send windows until that much CPU time is used; return the deliveries a CPU-second, and a post's bytes."""
        # Not counted: it may fill a cache.
        await self.feed.window(posts)
        begin, before = cpu_seconds(self._process), self.feed.bytes
        used, windows = 0.0, 0
        while used < seconds:
            await self.feed.window(posts)
            used, windows = cpu_seconds(self._process) - begin, windows + 1
        return self._clients * posts * windows / used, (self.feed.bytes - before) / (posts * windows)


@asynccontextmanager
async def _edge(stage: Stage, clients: int, encoding: Encoding) -> AsyncIterator[_Edge]:
    async with (
        stage.producer() as producer,
        stage.installation() as (system, edge),
        crowd(edge.port, clients, deflated=encoding.stream_bytes > 0) as connected,
    ):
        yield _Edge(serving(edge.port).pid, clients, _Feed(producer, system.feed, connected, encoding))


async def _compare(stage: Stage, clients: int, posts: int, size: Size, edges: tuple[_Edge, _Edge]) -> list[Figure]:
    turns: tuple[list[tuple[float, float]], ...] = ([], [])
    for number in range(1, size.repetitions + 1):
        stage.say(f"{PART}: {clients:,} clients, windows of {posts}, {number} of {size.repetitions}")
        for edge, its in zip(edges, turns, strict=True):
            its.append(await edge.turn(posts, size.seconds))
    (plain, plain_bytes), (deflated, deflated_bytes) = (zip(*its, strict=True) for its in turns)
    what = f"{clients:,} clients, {posts} posts a window: compressed over plain"
    busy = max(edge.feed.clients.take_saturation() for edge in edges)
    return [
        Figure(PART, f"{what}, bytes", "ratio", ratio(deflated_bytes, plain_bytes), _OF_PLAIN),
        Figure(PART, f"{what}, deliveries/CPU-s", "ratio", ratio(deflated, plain), note=f"clients {busy:.0%} busy"),
    ]
