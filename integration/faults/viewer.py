"""Clients that write down all that they are sent, come back when they are cut off, and leave now and then."""

import asyncio
import itertools
import json
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from integration.clients import SUBPROTOCOL
from integration.faults.observations import Arrival, Begins, Span, Stretch, View
from tests.strict import StrictConnection

_CONNECT_SECONDS: Final = 3.0
"""A frozen edge takes a connection (its kernel does) and says nothing: go elsewhere after this long."""
_CLOSE_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.2
_STAY_SECONDS: Final = (1.5, 4.0)
_FAILURES: Final = (OSError, TimeoutError, websockets.WebSocketException, EOFError)


class Viewer:
    """One client. ``edges`` are the URLs in its order of preference; ``asks`` for cursors or is a plain one.

    A client with cursors comes back to the next edge, a plain one to its own. ``away`` are the shortest and the
    longest time in seconds that it stays away when it leaves by itself, which it does every few seconds if it is given.
    """

    def __init__(
        self,
        name: str,
        edges: Sequence[str],
        *,
        asks: bool,
        dice: random.Random,
        away: tuple[float, float] | None = None,
    ) -> None:
        self.view = View(name, leaves=away is not None)
        self.joined = asyncio.Event()
        """Set while it is connected and has been told where it stands."""
        self._edges = itertools.cycle(edges) if asks else itertools.repeat(edges[0])
        self._asks = asks
        self._dice = dice
        self._away = away
        self._cursor: str | None = None
        self._stays = asyncio.Event()
        self.seen: set[int] = set()

    @property
    def promises_all(self) -> bool:
        """Whether it is to see everything in the end: it can come back to where it was, and was told of no gap."""
        return self._asks and not self.view.gaps

    def stay(self) -> None:
        """Come back at once, and leave no more."""
        self._stays.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        left = time.monotonic()
        while True:
            try:
                async with self._connect(next(self._edges)) as socket:
                    left = await self._watch(socket, left)
            except _FAILURES:
                pass
            if self.joined.is_set():
                self.joined.clear()
                left = time.monotonic()
            await asyncio.sleep(_RETRY_SECONDS)

    def _connect(self, edge: str) -> websockets.connect:
        return websockets.connect(
            edge if self._cursor is None else f"{edge}?cursor={self._cursor}",
            subprotocols=[Subprotocol(SUBPROTOCOL)] if self._asks else None,
            open_timeout=_CONNECT_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            max_size=None,
            create_connection=StrictConnection,
        )

    async def _watch(self, socket: ClientConnection, left: float) -> float:
        if not self._asks:
            self._begin("anew" if self.view.stretches else "first", left)
        stay = None if self._away is None or self._stays.is_set() else self._dice.uniform(*_STAY_SECONDS)
        try:
            async with asyncio.timeout(stay):
                async for text in socket:
                    self._take(json.loads(text), left)
        except TimeoutError:
            return await self._leave(socket)
        return left

    def _take(self, message: dict[str, object], left: float) -> None:
        payload = message["payload"]
        assert isinstance(payload, dict)
        if message["action"] == "welcome":
            self._begin(self._welcomed(is_recovered=payload["recovered"]), left)
            self._cursor = payload["cursor"]
            return
        if message["action"] == "created":
            self.view.stretches[-1].arrivals.append(Arrival(payload["id"], time.monotonic()))
            self.seen.add(payload["id"])
        if self._asks:
            cursor = message["cursor"]
            assert isinstance(cursor, str)
            self._cursor = cursor

    def _welcomed(self, *, is_recovered: bool) -> Begins:
        if not is_recovered:
            return "gap"
        return "resumed" if self.view.stretches else "first"

    def _begin(self, begins: Begins, left: float) -> None:
        if not self.joined.is_set() and self.view.stretches:
            self.view.absences.append(Span(left, time.monotonic()))
        self.view.stretches.append(Stretch(begins))
        self.joined.set()

    async def _leave(self, socket: ClientConnection) -> float:
        """Leave, in good order or without a word, and stay away for a while."""
        assert self._away is not None
        self.joined.clear()
        left = time.monotonic()
        if self._dice.random() < 0.5:
            socket.transport.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._dice.uniform(*self._away)):
                await self._stays.wait()
        return left
