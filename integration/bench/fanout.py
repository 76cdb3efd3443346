"""The fan-out: deliveries for each second of CPU time, and how near that is to what one process can do at all.

A delivery is one post to one client. Three servers get the same windows, one at a time, each window when every client
has the one before: the edge and a plain aiohttp server with ``send_str`` to each from Kafka, and the limit, a loop of
``os.write`` with one write a window and client, without Kafka. All of a server's CPU time counts, its consumer's too.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import psutil
from aiokafka import AIOKafkaProducer

from integration import topics
from integration.bench.companion import Companion, companion
from integration.bench.crowd import Crowd, crowd
from integration.bench.figures import Figure, Goal, ratio
from integration.bench.posts import FIRST_ID, FRAME_BYTES, feed_record
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving

PART: Final = "fanout"
EDGE: Final = "edge"
SEND_EACH: Final = "send_str to each"
LIMIT: Final = "bare os.write, the limit"


@dataclass(frozen=True)
class Size:
    """How much is measured; ``windows`` are those of one repetition, by the posts in each and by the server."""

    clients: int = 2_000
    repetitions: int = 5
    windows: Mapping[int, Mapping[str, int]] = field(
        # A second or two of CPU time each, since that is counted in steps of 10 ms.
        default_factory=lambda: {
            1: {EDGE: 100, SEND_EACH: 60, LIMIT: 100},
            50: {EDGE: 50, SEND_EACH: 2, LIMIT: 50},
        }
    )


class _Contender(ABC):
    """A server with its clients connected."""

    def __init__(self, name: str, process: psutil.Process, clients: Crowd) -> None:
        self.name = name
        self.clients = clients
        self._process = process
        self._posts = 0

    async def deliveries_per_cpu_second(self, posts: int, windows: int) -> float:
        """Send windows of that many posts, one at a time."""
        prepared = self.prepare(posts, windows + 1)
        # The first one is not counted: it may wait for a connection or fill a cache.
        await self._pass(next(prepared), posts)
        before = cpu_seconds(self._process)
        for window in prepared:
            await self._pass(window, posts)
        return self.clients.clients * posts * windows / (cpu_seconds(self._process) - before)

    async def _pass(self, window: bytes, posts: int) -> None:
        self._posts += posts
        self.clients.expect(self._posts * FRAME_BYTES)
        await self.send(window, posts)
        await self.clients.satisfied()

    @abstractmethod
    def prepare(self, posts: int, windows: int) -> Iterator[bytes]:
        """Make what is sent, ahead of what is measured."""

    @abstractmethod
    async def send(self, window: bytes, posts: int) -> None:
        """Have a window sent to all clients."""


class _FromKafka(_Contender):
    def __init__(
        self, name: str, process: psutil.Process, clients: Crowd, producer: AIOKafkaProducer, topic: str
    ) -> None:
        super().__init__(name, process, clients)
        self._producer = producer
        self._topic = topic
        self._ids = count(FIRST_ID)

    def prepare(self, posts: int, windows: int) -> Iterator[bytes]:
        """Encode records of the feed."""
        return iter([feed_record([next(self._ids) for _ in range(posts)]) for _ in range(windows)])

    async def send(self, window: bytes, posts: int) -> None:  # noqa: ARG002 - a record says how many it holds
        """Write a record."""
        await self._producer.send_and_wait(self._topic, window, partition=0)


class _Limit(_Contender):
    def __init__(self, server: Companion, clients: Crowd) -> None:
        super().__init__(LIMIT, psutil.Process(server.pid), clients)
        self._server = server

    def prepare(self, posts: int, windows: int) -> Iterator[bytes]:  # noqa: ARG002 - see below
        """Nothing: the loop has its bytes itself."""
        return iter([b""] * windows)

    async def send(self, window: bytes, posts: int) -> None:  # noqa: ARG002 - see above
        """Tell the loop."""
        await self._server.ask(write=posts)


async def measure(stage: Stage, size: Size) -> list[Figure]:
    """Let the three take turns, with windows of each size."""
    figures: list[Figure] = []
    async with _contenders(stage, size.clients) as contenders:
        for posts, windows in size.windows.items():
            results: dict[str, list[float]] = {contender.name: [] for contender in contenders}
            for number in range(1, size.repetitions + 1):
                stage.say(f"{PART}: windows of {posts}, {size.clients:,} clients, {number} of {size.repetitions}")
                for contender in contenders:
                    results[contender.name].append(
                        await contender.deliveries_per_cpu_second(posts, windows[contender.name])
                    )
            figures += _figures(posts, results, contenders)
    return figures


def _figures(posts: int, results: Mapping[str, Sequence[float]], contenders: Sequence[_Contender]) -> list[Figure]:
    size = f"{posts} post{'s' if posts > 1 else ''} a window"
    return [
        *(
            Figure(PART, f"{size}: {each.name}", "deliveries/CPU-s", results[each.name],
                   note=f"clients {each.clients.saturation:.0%} busy")
            for each in contenders
        ),
        Figure(PART, f"{size}: edge over limit", "ratio", ratio(results[EDGE], results[LIMIT]), Goal("at least", 0.6)),
        Figure(PART, f"{size}: edge over send_str", "ratio", ratio(results[EDGE], results[SEND_EACH])),
    ]  # fmt: skip


@asynccontextmanager
async def _contenders(stage: Stage, clients: int) -> AsyncIterator[list[_Contender]]:
    async with AsyncExitStack() as running:
        enter = running.enter_async_context
        producer = await enter(stage.producer())
        system, edge = await enter(stage.installation())
        contenders: list[_Contender] = [
            _FromKafka(EDGE, serving(edge.port), await enter(crowd(edge.port, clients)), producer, system.feed)
        ]
        # A topic of its own: each server is fed in its own turn only.
        topic = f"{system.name}.send-each"
        await topics.create(stage.kafka_url, {topic: 1})
        plain = await enter(companion("integration.bench.send_each", topic, environment={"KAFKA_URL": stage.kafka_url}))
        port = (await plain.answer())["port"]
        contenders.append(
            _FromKafka(SEND_EACH, psutil.Process(plain.pid), await enter(crowd(port, clients)), producer, topic)
        )
        limit = await enter(companion("integration.bench.bare_writes"))
        port = (await limit.answer())["port"]
        limit.tell(accept=clients)
        contenders.append(_Limit(limit, await enter(crowd(port, clients))))
        await limit.answer()
        yield contenders
