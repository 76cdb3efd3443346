"""WebSockets, with cursors and without."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from integration.clients import SUBPROTOCOL
from integration.faults.sight import Breach, Moved, Opened, Shown, Told, Welcomed
from integration.faults.transports import CONNECT_SECONDS, Later, author_query, refuse_final
from tests.strict import StrictConnection

_CLOSE_SECONDS: Final = 1.0
_RETRY_AFTER: Final = re.compile(r"\bretry_after=(\d+(?:\.\d+)?)")


def told_of(message: dict[str, Any], *, asks: bool) -> Told:
    """Return what a message tells a client, which ``asks`` for cursors or not; raises :class:`Breach`."""
    action, payload = message["action"], message["payload"]
    if not asks:
        if action != "created" or "cursor" in message:
            raise Breach(f"a plain client was sent {action} with {sorted(message)}")
        return Shown(payload["id"])
    if action == "welcome":
        return Welcomed(payload["cursor"], payload["recovered"])
    return Shown(payload["id"], message["cursor"]) if action == "created" else Moved(message["cursor"])


def retry_after(reason: str) -> float | None:
    """Return for how many seconds a close's reason says to stay away."""
    found = _RETRY_AFTER.search(reason)
    return None if found is None else float(found[1])


class SocketConnection:
    """One connection."""

    def __init__(self, socket: ClientConnection, *, asks: bool) -> None:
        self._socket = socket
        self._asks = asks

    async def told(self) -> AsyncIterator[Told]:
        """Yield what it is told until it is closed."""
        if not self._asks:
            yield Opened()
        try:
            while True:
                yield told_of(json.loads(await self._socket.recv()), asks=self._asks)
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None:
                refuse_final(closed.rcvd.code, closed.rcvd.reason)
                if (seconds := retry_after(closed.rcvd.reason)) is not None:
                    raise Later(seconds) from closed
            raise

    def abort(self) -> None:
        """Be gone without a word."""
        self._socket.transport.abort()


class Sockets:
    """WebSockets of one client: ``asks`` for cursors or is a plain one, and sees these ``authors``, or everybody."""

    def __init__(self, *, asks: bool = True, authors: frozenset[int] | None = None) -> None:
        self.name = "WebSocket" if asks else "plain WebSocket"
        self._asks = asks
        self.authors = authors

    @asynccontextmanager
    async def connect(self, edge: str, cursor: str | None) -> AsyncIterator[SocketConnection]:
        """Connect to an edge."""
        query = urlencode({**author_query(self.authors), **({} if cursor is None else {"cursor": cursor})})
        async with websockets.connect(
            f"ws://{edge}/{query and f'?{query}'}",
            subprotocols=[Subprotocol(SUBPROTOCOL)] if self._asks else None,
            open_timeout=CONNECT_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            max_size=None,
            create_connection=StrictConnection,
        ) as socket:
            yield SocketConnection(socket, asks=self._asks)
