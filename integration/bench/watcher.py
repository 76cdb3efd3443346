"""A client that is told of each post that it sees, for however long a part takes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import websockets

from integration.system import Process


class _Payload(msgspec.Struct):
    id: int


class _Message(msgspec.Struct):
    payload: _Payload


@asynccontextmanager
async def watching(edge: Process, note: Callable[[int], object]) -> AsyncIterator[None]:
    """Have a plain client that calls ``note`` with each post's id; its end is the end of what is watched."""

    async def watch(socket: websockets.ClientConnection) -> None:
        async for text in socket:
            note(msgspec.json.decode(text, type=_Message).payload.id)
        raise ConnectionError(f"{edge.name} closed the client: {socket.close_code} {socket.close_reason}")

    async with websockets.connect(edge.websocket, compression=None) as socket, asyncio.TaskGroup() as tasks:
        watcher = tasks.create_task(watch(socket))
        yield
        watcher.cancel()
