"""What the Python client uses of an aiohttp session, played by a test: sockets and answers, without a network."""

import asyncio
import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from aiohttp import ClientConnectionError, WSMessage, WSMsgType
from multidict import CIMultiDict

_LOST: Final = WSMessage(WSMsgType.CLOSED, None, None)


class Socket:
    """A WebSocket that the client has opened."""

    def __init__(self, url: str, asked: Mapping[str, Any]) -> None:
        self.url = url
        self.asked = asked
        self.sent: list[Any] = []
        self.is_open = True
        self._messages: asyncio.Queue[WSMessage] = asyncio.Queue()

    @property
    def query(self) -> dict[str, str]:
        """What its URL asks for."""
        return dict(parse_qsl(urlsplit(self.url).query))

    @property
    def token(self) -> str | None:
        """The token that it came with."""
        authorization: str | None = self.asked["headers"].get("Authorization")
        return authorization and authorization.removeprefix("Bearer ")

    def say(self, *messages: Any) -> None:
        """Send these; a string as it is."""
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            self._messages.put_nowait(WSMessage(WSMsgType.TEXT, text, None))

    def say_bytes(self, data: bytes) -> None:
        """Send a message that is no text."""
        self._messages.put_nowait(WSMessage(WSMsgType.BINARY, data, None))

    def end(self, code: int, reason: str = "") -> None:
        """Close."""
        self._messages.put_nowait(WSMessage(WSMsgType.CLOSE, code, reason))

    def cut(self) -> None:
        """Be lost."""
        self._messages.put_nowait(_LOST)

    async def receive(self) -> WSMessage:
        """Return what comes next."""
        return await self._messages.get()

    async def send_str(self, text: str) -> None:
        """Note what the client says."""
        if not self.is_open:
            raise ConnectionResetError
        self.sent.append(json.loads(text))

    async def close(self) -> None:
        """Be closed by the client."""
        self.is_open = False


class Request:
    """A GET that waits for its answer; a deaf one does not mind if it is cancelled."""

    def __init__(self, url: str, asked: Mapping[str, Any], *, is_deaf: bool = False) -> None:
        self.url = url
        self._is_deaf = is_deaf
        self.asked = asked
        self.is_open = True
        self.status = 0
        self.headers: CIMultiDict[str] = CIMultiDict()
        self._text = ""
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def query(self) -> dict[str, str]:
        """What it asks for."""
        return dict(parse_qsl(urlsplit(self.url).query))

    def answer(self, status: int, headers: Mapping[str, str], body: Any = "") -> None:
        """Answer it; a string as it is."""
        self.status, self.headers = status, CIMultiDict(headers)
        self._text = body if isinstance(body, str) else json.dumps(body)
        self._answered.set_result(None)

    def fail(self, failure: Exception | None = None) -> None:
        """Be lost, or fail in another way."""
        self._answered.set_exception(failure or ClientConnectionError("lost"))

    async def __aenter__(self) -> Self:
        try:
            await asyncio.shield(self._answered)
        except asyncio.CancelledError:
            if not self._is_deaf:
                self.is_open = False
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.is_open = False

    async def text(self, errors: str) -> str:
        """Return the body."""
        assert errors == "replace"
        return self._text


class Web:
    """The session. A failure in ``fails`` is how each WebSocket ends before it is one."""

    def __init__(self) -> None:
        self.sockets: list[Socket] = []
        self.requests: list[Request] = []
        self.fails: Exception | None = None
        self.hangs = False
        """Whether nobody answers."""
        self.is_deaf = False
        """Whether who connects now is connected when he is cancelled, as aiohappyeyeballs has it in a bad moment."""

    @property
    def socket(self) -> Socket:
        """The newest one."""
        return self.sockets[-1]

    @property
    def request(self) -> Request:
        """The newest one."""
        return self.requests[-1]

    async def ws_connect(self, url: str, **asked: Any) -> Socket:
        """Open a WebSocket."""
        self.sockets.append(Socket(url, SimpleNamespace(**asked).__dict__))
        if self.fails is not None:
            raise self.fails
        if self.hangs:
            is_deaf = self.is_deaf
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if not is_deaf:
                    raise
        return self.socket

    def get(self, url: str, **asked: Any) -> Request:
        """Ask for a page."""
        self.requests.append(Request(url, asked, is_deaf=self.is_deaf))
        return self.request
