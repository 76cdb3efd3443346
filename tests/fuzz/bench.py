"""An edge, a client that behaves, and one connection after the other that does not."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame

from edge.access.sign_in import ANYBODY, Demands, SignIn
from tests.edge.kit.edge import Edge, posts
from tests.edge.kit.listening import listening
from tests.strict import Handshake

_PATIENCE_SECONDS = 60


class Errors(logging.Handler):
    """What is logged as an error: a traceback of ours, or a task that nobody has waited for."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Bench:
    """Sends bytes to an edge, and sees what comes back, who is left, and who got the next post."""

    def __init__(self, edge: Edge, watcher: ClientConnection, errors: Errors) -> None:
        self.edge = edge
        self._watcher = watcher
        self._errors = errors
        self._posts = 0

    async def feed(self, data: bytes, target: str = "/") -> list[Frame]:
        """Send bytes after a handshake; return what is answered, which is whole frames of a well-behaved server."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            handshake = Handshake(target)
            answer = await self._exchanged(handshake.request, data)
            head, end, rest = answer.partition(b"\r\n\r\n")
            reader = handshake.accept(head + end)
            frames = reader.feed(rest)
            reader.end()
            await self._nobody_else_noticed()
        return frames

    async def ask(self, request: bytes) -> bytes:
        """Send a request and nothing behind it; return the answer."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            answer = await self._exchanged(b"", request)
            await self._nobody_else_noticed()
        return answer

    async def _exchanged(self, request: bytes, data: bytes) -> bytes:
        """Send what is answered with a head before anything else may come, and then the rest; return all answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.edge.port)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n") if request else b""
            writer.write(data)
            writer.write_eof()
            return head + await reader.read()
        finally:
            writer.close()

    async def _nobody_else_noticed(self) -> None:
        self._posts += 1
        self.edge.feed.publish(self._posts)
        assert await posts(self._watcher, 1) == [self._posts]
        assert self._errors.lines == []


@contextmanager
def serving(runner: asyncio.Runner, sign_in: SignIn | None = None, demands: Demands = ANYBODY) -> Iterator[Bench]:
    """Serve in a runner's loop while it runs."""
    errors = Errors()
    logging.getLogger().addHandler(errors)
    stop = asyncio.Event()

    async def serve(ready: asyncio.Future[Bench]) -> None:
        edge = Edge(sign_in=sign_in, demands=demands)
        async with listening(edge.server.application(), edge.gate) as edge.port, edge.connect() as watcher:
            ready.set_result(Bench(edge, watcher, errors))
            await stop.wait()

    async def start() -> tuple[Bench, asyncio.Task[None]]:
        ready = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(serve(ready))
        return await ready, serving

    async def end(serving: asyncio.Task[None]) -> None:
        stop.set()
        await serving

    made, serving = runner.run(start())
    yield made
    runner.run(end(serving))
    logging.getLogger().removeHandler(errors)
