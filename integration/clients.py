"""WebSocket clients, made with two libraries: each keeps all that it was sent, in order."""

import asyncio
import contextlib
import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Self

import aiohttp
import websockets
from websockets.asyncio.client import ClientConnection

from tests.strict import StrictConnection

PATIENCE_SECONDS: Final = 60.0
"""How long a client waits for what it expects: six windows of 5 s, and a takeover after a killed worker thrice."""
SUBPROTOCOL: Final = "postcast.v1"


class Client(ABC):
    """What both kinds have in common. Made by :func:`connect`."""

    def __init__(self) -> None:
        self.raw: list[str] = []
        """Every text message, welcomes and the like included."""
        self.code: int | None = None
        """The close code once the connection has ended."""
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> None:
        async for text in self._texts():
            self.raw.append(text)
            self._changed.set()
        self.code = self._close_code()
        self._changed.set()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages that are posts, decoded."""
        decoded = [json.loads(text) for text in self.raw]
        return [message for message in decoded if message["action"] == "created"]

    @property
    def posts(self) -> list[dict[str, Any]]:
        """The payloads of the posts."""
        return [message["payload"] for message in self.messages]

    @property
    def ids(self) -> list[int]:
        """The posts' ids."""
        return [post["id"] for post in self.posts]

    @property
    def welcome(self) -> dict[str, Any]:
        """What it was told first, when it asked for more than posts."""
        first: dict[str, Any] = json.loads(self.raw[0])
        assert first["action"] == "welcome", first
        payload: dict[str, Any] = first["payload"]
        return payload

    @property
    def cursor(self) -> str:
        """Where it stands."""
        last = json.loads(self.raw[-1])
        cursor: str = last["payload"]["cursor"] if last["action"] == "welcome" else last["cursor"]
        return cursor

    async def until(self, condition: Callable[[], bool], what: str, patience: float = PATIENCE_SECONDS) -> None:
        """Return when the condition, which is about what it got, holds; fail when that takes too long."""
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            got = f"{len(self.raw)} messages, close code {self.code}"
            raise AssertionError(f"not within {patience:.0f} s: {what}; the client has got {got}") from None

    async def until_shown(self, count: int, patience: float = PATIENCE_SECONDS) -> None:
        """Wait until so many posts have come."""
        seen = shown = 0

        def enough() -> bool:
            nonlocal seen, shown
            shown += sum(text.startswith('{"action":"created"') for text in self.raw[seen:])
            seen = len(self.raw)
            return shown >= count

        await self.until(enough, f"{count} posts", patience)

    async def until_last(self, id_: int) -> None:
        """Wait until the newest post is this one."""
        await self.until(lambda: self.ids[-1:] == [id_], f"post {id_} as the last")

    async def until_welcome(self) -> None:
        """Wait for the first message."""
        await self.until(lambda: bool(self.raw), "a welcome")

    async def until_closed(self, patience: float = PATIENCE_SECONDS) -> int:
        """Wait until the connection has ended; return the close code."""
        await self.until(lambda: self.code is not None, "the connection's end", patience)
        assert self.code is not None
        return self.code

    async def close(self) -> None:
        """Disconnect."""
        await self._disconnect()
        await self._reading

    @abstractmethod
    def _texts(self) -> AsyncIterator[str]: ...

    @abstractmethod
    def _close_code(self) -> int: ...

    @abstractmethod
    async def _disconnect(self) -> None: ...

    @abstractmethod
    async def send(self, message: str | bytes) -> None:
        """Send a message."""

    @abstractmethod
    async def ping(self) -> None:
        """Send a ping, and return when it was answered where the library can tell."""


class WebsocketsClient(Client):
    """A client of the ``websockets`` library; closing it fails when the server has broken a rule."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        super().__init__()

    async def _texts(self) -> AsyncIterator[str]:
        # Any end is an end: what counts is the code.
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self._socket:
                assert isinstance(message, str)
                yield message

    def _close_code(self) -> int:
        return self._socket.close_code or 1006

    async def _disconnect(self) -> None:
        await self._socket.close()

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        await self._socket.send(message)

    async def ping(self) -> None:
        """Send a ping and wait for its pong."""
        await (await self._socket.ping())


class AiohttpClient(Client):
    """A client of ``aiohttp``."""

    def __init__(self, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._socket = socket
        super().__init__()

    async def _texts(self) -> AsyncIterator[str]:
        async for message in self._socket:
            assert message.type is aiohttp.WSMsgType.TEXT, message
            yield message.data

    def _close_code(self) -> int:
        return self._socket.close_code or 1006

    async def _disconnect(self) -> None:
        await self._socket.close()
        await self._session.close()

    async def send(self, message: str | bytes) -> None:
        """Send a message."""
        await (self._socket.send_str(message) if isinstance(message, str) else self._socket.send_bytes(message))

    async def ping(self) -> None:
        """Send a ping; aiohttp reads the pong without a word."""
        await self._socket.ping()


async def connect(
    url: str, *, query: str = "", asks: bool = False, library: str = "websockets", compressed: bool | None = None
) -> Client:
    """Connect and begin to read.

    ``asks``: offer the subprotocol, and so get a welcome and cursors. ``compressed``: offer compression or not;
    unless it is said, as the library does by itself (``websockets`` does, ``aiohttp`` does not).
    """
    protocols = [SUBPROTOCOL] if asks else []
    if library == "websockets":
        return WebsocketsClient(
            await websockets.connect(
                url + query,
                subprotocols=[websockets.Subprotocol(name) for name in protocols] or None,
                max_size=None,
                compression=None if compressed is False else "deflate",
                create_connection=StrictConnection,
                open_timeout=60,
            )
        )
    session = aiohttp.ClientSession()
    try:
        bits = zlib.MAX_WBITS if compressed else 0
        return AiohttpClient(
            session, await session.ws_connect(url + query, protocols=protocols, max_msg_size=0, compress=bits)
        )
    except BaseException:
        await session.close()
        raise
