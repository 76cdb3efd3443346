"""The servers that are compared: each sends the same posts to as many clients, fed from Kafka or told to.

From Kafka: the edge, ``send_str`` to each by aiohttp, ``websockets.broadcast``. Told to, so that what reading and
decoding would cost them is left out in their favour: gorilla's two ways in Go, the two servers of
:mod:`integration.bench.rivals`, and the bare writes that are the limit.
"""

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

import psutil

from integration import topics
from integration.bench import built, rivals
from integration.bench.companion import Companion, NoAnswer, companion, program
from integration.bench.crowd import Crowd, crowd
from integration.bench.feed import Feed
from integration.bench.posts import FIRST_ID, FRAME_BYTES, message_text
from integration.bench.rivals import CENTRIFUGO, UWEBSOCKETS, Rival
from integration.bench.stage import Stage
from integration.bench.usage import cpu_seconds, serving

EDGE: Final = "edge"
SEND_EACH: Final = "send_str to each"
BROADCAST: Final = "websockets.broadcast"
WRITE_JSON: Final = "gorilla WriteJSON to each"
PREPARED: Final = "gorilla PreparedMessage to each"
LIMIT_IN_C: Final = "bare write(2) in C"
LIMIT_IN_PYTHON: Final = "bare os.write"
RIVALS: Final = (SEND_EACH, BROADCAST, WRITE_JSON, PREPARED, CENTRIFUGO, UWEBSOCKETS)
"""Other ways to do what the edge does."""
ALL: Final = (EDGE, *RIVALS, LIMIT_IN_C, LIMIT_IN_PYTHON)

_PAUSE_SECONDS: Final = 0.02
"""Before each window, for everybody: windows are seconds apart, and what comes from Kafka is some milliseconds under
way. A loop that is told to go on at once finds all in the caches, and its writes cost a sixth less."""
_WRITE_JSON_FRAME_BYTES: Final = FRAME_BYTES + 1
"""Go's JSON encoder ends each message with a newline."""


class Contender(ABC):
    """A server with its clients connected."""

    def __init__(self, name: str, pid: int, clients: Crowd, *, frame_bytes: int = FRAME_BYTES) -> None:
        self.name = name
        self.clients = clients
        self._process = psutil.Process(pid)
        self._frame_bytes = frame_bytes
        self._posts = 0

    async def deliveries_per_cpu_second(self, posts: int, *, seconds: float) -> float:
        """Send windows of that many posts, one at a time, until that much CPU time is used; all of it counts."""
        # Not counted, but for the bytes: it may wait for a connection or fill a cache.
        await self._pass(1)
        begin = cpu_seconds(self._process)
        used, windows = 0.0, 0
        while used < seconds:
            await self._pass(posts)
            used, windows = cpu_seconds(self._process) - begin, windows + 1
        return self.clients.clients * posts * windows / used

    async def _pass(self, posts: int) -> None:
        """Send one window after a pause, and wait until every client has it."""
        await asyncio.sleep(_PAUSE_SECONDS)
        self._posts += posts
        self.clients.expect(self._posts * self._frame_bytes)
        try:
            await self.send(posts)
            await self.clients.satisfied()
        except NoAnswer as error:
            raise NoAnswer(f"{self.name}: {error}") from error

    @abstractmethod
    async def send(self, posts: int) -> None:
        """Have a window sent to all clients."""


class _FromKafka(Contender):
    def __init__(self, name: str, pid: int, clients: Crowd, feed: Feed) -> None:
        super().__init__(name, pid, clients)
        self._feed = feed

    async def send(self, posts: int) -> None:
        """Write a record."""
        await self._feed.window(posts)


class _Told(Contender):
    def __init__(self, name: str, server: Companion, clients: Crowd, *, frame_bytes: int = FRAME_BYTES) -> None:
        super().__init__(name, server.pid, clients, frame_bytes=frame_bytes)
        self._server = server

    async def send(self, posts: int) -> None:
        """Tell it."""
        await self._server.ask(write=posts)


class _Asked(Contender):
    def __init__(self, name: str, server: Rival, clients: Crowd) -> None:
        super().__init__(name, server.process.pid, clients, frame_bytes=server.frame_bytes)
        self._server = server

    async def send(self, posts: int) -> None:
        """Ask it over HTTP."""
        await self._server.publish(posts)


@dataclass(frozen=True)
class Field:
    """All that could be had, each with as many clients; ``missing`` says of the others why they could not."""

    contenders: list[Contender]
    missing: dict[str, str]


@asynccontextmanager
async def field_of(stage: Stage, clients: int, without: Collection[str] = ()) -> AsyncIterator[Field]:
    """Start every contender that can be had here, and connect that many clients to each.

    Those of ``without`` are left out, and said to be.
    """
    async with AsyncExitStack() as running:
        starting = _Starting(stage, clients, running)
        contenders = await starting.from_kafka()
        missing: dict[str, str] = {}
        for names, start in (
            ((WRITE_JSON, PREPARED), starting.gorilla),
            ((CENTRIFUGO,), partial(starting.rival, CENTRIFUGO, rivals.centrifugo)),
            ((UWEBSOCKETS,), partial(starting.rival, UWEBSOCKETS, rivals.uwebsockets)),
            ((LIMIT_IN_C,), starting.limit_in_c),
            ((LIMIT_IN_PYTHON,), starting.limit_in_python),
        ):
            try:
                if set(names) & set(without):
                    raise built.Missing("it was left out")  # noqa: TRY301 - as if it could not be had
                contenders += await start()
            except built.Missing as error:
                missing |= dict.fromkeys(names, str(error))
        yield Field(contenders, missing)


class _Starting:
    def __init__(self, stage: Stage, clients: int, running: AsyncExitStack) -> None:
        self._stage = stage
        self._clients = clients
        self._running = running

    async def from_kafka(self) -> list[Contender]:
        enter = self._running.enter_async_context
        producer = await enter(self._stage.producer())
        system, edge = await enter(self._stage.installation())
        connected = await self._connect(edge.port)
        contenders: list[Contender] = [
            _FromKafka(EDGE, serving(edge.port).pid, connected, Feed(producer, system.feed)),
        ]
        for name, module in ((SEND_EACH, "send_each"), (BROADCAST, "broadcast")):
            # A topic of its own: each server is fed in its own turn only.
            topic = f"{system.name}.{module}"
            await topics.create(self._stage.kafka_url, {topic: 1})
            environment = {"KAFKA_URL": self._stage.kafka_url}
            server = await enter(companion(f"integration.bench.{module}", topic, environment=environment))
            connected = await self._connect((await server.answer())["port"])
            contenders.append(_FromKafka(name, server.pid, connected, Feed(producer, topic)))
        return contenders

    async def gorilla(self) -> list[Contender]:
        server = await built.gorilla(self._stage.scratch)
        text = message_text(FIRST_ID)
        return [
            await self._told(WRITE_JSON, server, "json", text, frame_bytes=_WRITE_JSON_FRAME_BYTES),
            await self._told(PREPARED, server, "prepared", text),
        ]

    async def rival(self, name: str, start: Callable[[Stage], AbstractAsyncContextManager[Rival]]) -> list[Contender]:
        server = await self._running.enter_async_context(start(self._stage))
        clients = crowd(server.port, self._clients, path=server.path, greeted=server.is_greeting)
        return [_Asked(name, server, await self._running.enter_async_context(clients))]

    async def limit_in_c(self) -> list[Contender]:
        return [await self._told(LIMIT_IN_C, await built.bare_writes(self._stage.scratch), FRAME_BYTES)]

    async def limit_in_python(self) -> list[Contender]:
        return [await self._told(LIMIT_IN_PYTHON, sys.executable, "-m", "integration.bench.bare_writes")]

    async def _told(self, name: str, *command: object, frame_bytes: int = FRAME_BYTES) -> Contender:
        server = await self._running.enter_async_context(program(name, *command))
        port = (await server.answer())["port"]
        server.tell(accept=self._clients)
        connected = await self._connect(port)
        await server.answer()
        return _Told(name, server, connected, frame_bytes=frame_bytes)

    async def _connect(self, port: int) -> Crowd:
        return await self._running.enter_async_context(crowd(port, self._clients))
