"""What a client sends after its handshake: the edge closes, or goes on, and nobody else notices."""

import asyncio
import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.asyncio.client import ClientConnection

from tests.edge.kit.edge import Edge, posts
from tests.edge.kit.listening import listening
from tests.fuzz.corpus import inputs, mutated
from tests.strict import Handshake


class Errors(logging.Handler):
    """What is logged as an error: a traceback of ours, or a task that nobody has waited for."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


class Bench:
    """An edge, a client that behaves, and one connection after the other that does not."""

    def __init__(self, edge: Edge, watcher: ClientConnection, errors: Errors) -> None:
        self._edge = edge
        self._watcher = watcher
        self._errors = errors
        self._posts = 0

    async def feed(self, data: bytes) -> None:
        """Send bytes after a handshake, and see what comes back, who is left, and who got the next post."""
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", self._edge.port)
            try:
                handshake = Handshake()
                writer.write(handshake.request)
                answer = handshake.accept(await reader.readuntil(b"\r\n\r\n"))
                writer.write(data)
                writer.write_eof()
                # Whatever is answered is whole frames of a well-behaved server.
                answer.feed(await reader.read())
                answer.end()
            finally:
                writer.close()
            self._posts += 1
            self._edge.feed.publish(self._posts)
            assert await posts(self._watcher, 1) == [self._posts]
        assert self._errors.lines == []


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def bench(runner: asyncio.Runner) -> Iterator[Bench]:
    errors = Errors()
    logging.getLogger().addHandler(errors)
    stop = asyncio.Event()

    async def serve(ready: asyncio.Future[Bench]) -> None:
        edge = Edge()
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


def test_a_client_may_send_any_input_that_was_ever_worth_keeping(runner: asyncio.Runner, bench: Bench) -> None:
    for data in inputs("client_frame"):
        runner.run(bench.feed(data))


@given(data=mutated("client_frame"), more=st.binary(max_size=20))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_client_may_send_whatever_it_likes(runner: asyncio.Runner, bench: Bench, data: bytes, more: bytes) -> None:
    runner.run(bench.feed(data + more))
