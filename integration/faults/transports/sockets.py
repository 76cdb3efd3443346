"""WebSockets, with cursors and without."""

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import count, cycle
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from integration.clients import SUBPROTOCOL
from integration.faults.bearers import Bearer
from integration.faults.sight import Breach, Filtered, Moved, Opened, Shown, Told, Welcomed
from integration.faults.transports import CONNECT_SECONDS, Later, Transport, author_query, refuse_final
from tests.strict import StrictConnection

_CLOSE_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 1.0
"""How long a client keeps to what it has asked for, at least."""
_RETRY_AFTER: Final = re.compile(r"\bretry_after=(\d+(?:\.\d+)?)")


class Asked(NamedTuple):
    """A request to see these authors' posts that is not answered yet."""

    id: int
    authors: frozenset[int]


def told_of(message: dict[str, Any], *, asks: bool, asked: Asked | None = None) -> Told | None:
    """Return what a message tells a client, which ``asks`` for cursors or not; raises :class:`Breach`.

    None stands for a request that was refused, as one that comes behind a gap may be.
    """
    action, payload = message["action"], message["payload"]
    if not asks:
        if action != "created" or "cursor" in message:
            raise Breach(f"a plain client was sent {action} with {sorted(message)}")
        return Shown(payload["id"])
    if action in {"filtered", "error"}:
        if asked is None or message["id"] != asked.id:
            raise Breach(f"nobody has asked for {message}")
        if action == "error" and payload["code"] == "busy":
            return None
        if action == "error" or payload["authors"] != len(asked.authors):
            raise Breach(f"{len(asked.authors)} authors were asked for, and answered was {message}")
        return Filtered(asked.authors, message["cursor"])
    if action == "welcome":
        return Welcomed(payload["cursor"], payload["recovered"])
    return Shown(payload["id"], message["cursor"]) if action == "created" else Moved(message["cursor"])


def retry_after(reason: str) -> float | None:
    """Return for how many seconds a close's reason says to stay away."""
    found = _RETRY_AFTER.search(reason)
    return None if found is None else float(found[1])


class SocketConnection:
    """One connection. ``choose`` returns which authors to ask for next; None for no others."""

    def __init__(
        self,
        socket: ClientConnection,
        *,
        asks: bool,
        choose: Callable[[], frozenset[int] | None],
        bearer: Bearer | None = None,
    ) -> None:
        self._socket = socket
        self._bearer = bearer
        self._asks = asks
        self._choose = choose
        self._asked: Asked | None = None
        self._asked_at = 0.0
        self._ids = count(1)

    async def told(self) -> AsyncIterator[Told]:
        """Yield what it is told until it is closed; ask for other authors after a post, now and then."""
        if not self._asks:
            yield Opened()
        try:
            while True:
                message = json.loads(await self._socket.recv())
                told = told_of(message, asks=self._asks, asked=self._asked)
                if told is None or isinstance(told, Filtered):
                    self._asked = None
                if told is not None:
                    yield told
                if isinstance(told, Shown):
                    await self._ask()
        except websockets.ConnectionClosed as closed:
            if closed.rcvd is not None:
                refuse_final(closed.rcvd.code, closed.rcvd.reason, self._bearer)
                if (seconds := retry_after(closed.rcvd.reason)) is not None:
                    raise Later(seconds) from closed
            raise

    def abort(self) -> None:
        """Be gone without a word."""
        self._socket.transport.abort()

    async def _ask(self) -> None:
        now = time.monotonic()
        if self._asked is None and now > self._asked_at + _ASK_SECONDS and (authors := self._choose()) is not None:
            self._asked, self._asked_at = Asked(next(self._ids), authors), now
            payload = {"authors": sorted(authors)}
            await self._socket.send(json.dumps({"action": "filter", "id": self._asked.id, "payload": payload}))


class Sockets(Transport):
    """WebSockets of one client: ``asks`` for cursors or is a plain one; asks for these ``choices`` in turn."""

    def __init__(
        self, *, asks: bool = True, choices: Sequence[frozenset[int]] = (), bearer: Bearer | None = None
    ) -> None:
        self.name = "WebSocket" if asks else "plain WebSocket"
        self.bearer = bearer
        self.changes = bool(choices)
        self._asks = asks
        self._choices: Iterator[frozenset[int]] = cycle(choices)

    def settle(self) -> None:
        """Ask for other authors no more."""
        self._choices = iter(())

    @asynccontextmanager
    async def connect(
        self, edge: str, cursor: str | None, authors: frozenset[int] | None
    ) -> AsyncIterator[SocketConnection]:
        """Connect to an edge."""
        query = urlencode({**author_query(authors), **({} if cursor is None else {"cursor": cursor})})
        async with websockets.connect(
            f"ws://{edge}/{query and f'?{query}'}",
            subprotocols=[Subprotocol(SUBPROTOCOL)] if self._asks else None,
            open_timeout=CONNECT_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            max_size=None,
            additional_headers=self.authorization,
            create_connection=StrictConnection,
        ) as socket:
            choose = lambda: next(self._choices, None)  # noqa: E731 - it is asked when there is something to choose
            yield SocketConnection(socket, asks=self._asks, choose=choose, bearer=self.bearer)
