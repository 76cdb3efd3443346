"""The Python client of the product, which comes back by itself, to any edge."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from socket import AF_INET
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from edge import client
from edge.client import Feed, Gap, Post, Refused
from integration.faults.bearers import Bearer
from integration.faults.sight import Acknowledged, Breach, Lost, Moved, Reborn, Shown, Told, Welcomed
from integration.faults.transports import Transport

_LOOK_SECONDS: Final = 0.05
_HURRY_SECONDS: Final = 2.0
"""Where it begins, and in the end, it is made to connect so often: after many failures it may wait for a minute."""


class Addresses(AbstractResolver):
    """One name for several edges, as a name service has it: each time another one comes first."""

    def __init__(self, edges: Sequence[str], first: str) -> None:
        self._edges = deque(edges)
        self._edges.rotate(-self._edges.index(first))

    async def resolve(self, host: str, port: int = 0, family: int = AF_INET) -> list[ResolveResult]:  # noqa: ARG002
        """Return where to find them."""
        found = [edge.rpartition(":") for edge in self._edges]
        self._edges.rotate(-1)
        return [
            ResolveResult(hostname=host, host=address, port=int(number), family=AF_INET, proto=0, flags=0)
            for address, _, number in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


class FeedConnection:
    """What one client hands out, over as many connections as it makes."""

    def __init__(self, feed: Feed, connector: aiohttp.TCPConnector, transport: "Feeds") -> None:
        self._feed = feed
        self._connector = connector
        self._transport = transport
        self._hurried_at = 0.0
        self._has_been_there = False
        self._closing: asyncio.Future[None] | None = None

    async def told(self) -> AsyncIterator[Told]:
        """Yield what it hands out, and whether it is connected, until it ends."""
        is_there, cursor, kept = False, "", None
        if self._transport.device is not None:
            yield Reborn()
        while True:
            item = await self._next()
            if item is None and self._feed.state == "live" and not is_there:
                # It may have become so just when that look ended: then what it was welcomed with waits.
                item = await self._next()
            if isinstance(item, Gap):
                is_there, cursor = True, item.cursor
                yield Welcomed(cursor, is_recovered=False)
                continue
            if (item is not None or self._feed.state == "live") and not is_there:
                is_there, cursor = True, self._feed.cursor or cursor
                self._has_been_there = True
                yield Welcomed(cursor, is_recovered=True)
            if item is not None:
                cursor = item.cursor
                yield Shown(item.id, cursor)
            elif self._feed.state != "live" and is_there:
                is_there = False
                yield Lost()
            elif is_there and self._feed.cursor not in {None, cursor}:
                cursor = self._feed.cursor or cursor
                yield Moved(cursor)
            if self._feed.acknowledged not in {None, kept}:
                kept = self._feed.acknowledged or ""
                yield Acknowledged(kept)
            self._hurry()

    async def _next(self) -> Post | Gap | None:
        """Return the next item; None when there was none for a moment."""
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                return await anext(self._feed)
        except TimeoutError:
            return None
        except StopAsyncIteration:
            raise EOFError from None
        except Refused as refused:
            raise Breach(f"it was told not to come back: {refused}") from refused

    def _hurry(self) -> None:
        now = time.monotonic()
        is_hurried = self._transport.is_settled or not self._has_been_there
        if is_hurried and self._feed.state == "waiting" and now > self._hurried_at + _HURRY_SECONDS:
            self._hurried_at = now
            self._feed.reconnect()

    def abort(self) -> None:
        """Be gone without a word."""
        self._closing = asyncio.ensure_future(self._connector.close())


class Feeds(Transport):
    """Feeds of one client, which reads all ``edges`` by one of the Python client's transports.

    One that ``polls`` does so, as clients do by default, where no WebSocket can be opened.
    """

    def __init__(
        self,
        edges: Sequence[str],
        *,
        by: client.Transport = "websocket",
        polls: bool = False,
        bearer: Bearer | None = None,
        device: str | None = None,
    ) -> None:
        self.name = f"the Python client ({by if device is None else 'a device'})"
        self.bearer = bearer
        self.device = device
        self.is_settled = False
        self._edges = edges
        self._transports: list[client.Transport] = [by, "long-polling"] if polls else [by]

    def settle(self) -> None:
        """Wait no more than it must."""
        self.is_settled = True

    @asynccontextmanager
    async def connect(
        self, edge: str, cursor: str | None, authors: frozenset[int] | None
    ) -> AsyncIterator[FeedConnection]:
        """Follow the feed, at this edge first."""
        connector = aiohttp.TCPConnector(resolver=Addresses(self._edges, edge), use_dns_cache=False)

        def token() -> str | None:
            # When it is live it was asked for another one.
            is_wanted = self.bearer is not None and (self.bearer.renews or feed.state != "live")
            return self.bearer.token() if self.bearer is not None and is_wanted else None

        async with (
            aiohttp.ClientSession(connector=connector) as session,
            client.connect(
                "http://edges.example/",
                cursor=cursor,
                author=None if authors is None else sorted(authors),
                transports=self._transports,
                token=token,
                device=self.device,
                session=session,
            ) as feed,
        ):
            yield FeedConnection(feed, connector, self)
