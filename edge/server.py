"""The edge's HTTP: the upgrade, the page, health and metrics.

A request is refused before the 101, with a status and a sentence; after it, a session ends with a
close code. Between them there is no third way to fail.
"""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

import structlog
from aiohttp import WebSocketError, WSCloseCode, WSMsgType, web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from edge.connection import CLOSE_SECONDS, Connection
from edge.cursors import Ahead, Gap, Resume
from edge.entrance import Entrance
from edge.hub import Hub
from edge.joining import SUBPROTOCOL, Rejected, Wish, at_end, resumed, resumption, wish_of
from edge.limits import Standing
from edge.log import Log
from edge.page import Page
from edge.session import SHUTDOWN, Disconnect, Session
from streams.contract import Offset

_logger = structlog.get_logger("edge.server")

_RETRY_SECONDS: Final = {web.HTTPServiceUnavailable.status_code: "1", web.HTTPTooManyRequests.status_code: "10"}
# Another edge may have room; this one has it when somebody leaves.
_FULL: Final = Rejected(503, "The server has as many connections as it takes. Try again.")
_CROWDED: Final = Rejected(429, "There are too many connections from your address. Close one first.")


class Feed(Protocol):
    """What the server asks about the feed."""

    trouble: str | None

    async def end(self) -> Offset | None:
        """Say where the feed ends now; None when nobody can say."""
        ...

    async def reached(self, offset: Offset) -> None:
        """Wait until the log has read up to ``offset``."""
        ...


class Server:
    """Takes clients in.

    ``join_seconds`` bounds how long one waits for Kafka's answer, ``max_message_bytes`` what it may send at a time.
    """

    def __init__(
        self,
        *,
        log: Log,
        hub: Hub,
        feed: Feed,
        page: Page,
        registry: CollectorRegistry,
        join_seconds: float,
        max_message_bytes: int,
    ) -> None:
        self._log = log
        self._hub = hub
        self._feed = feed
        self._page = page
        self._registry = registry
        self._join_seconds = join_seconds
        self._max_message_bytes = max_message_bytes
        self._stopping = False

    def application(self) -> web.Application:
        """Make the routes."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._root),
                web.get("/livez", self._livez),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
            ]
        )
        return application

    def stop(self) -> None:
        """Be ready for nobody any more, and tell everybody who is there."""
        self._stopping = True
        self._hub.end(SHUTDOWN)

    async def _root(self, request: web.Request) -> web.StreamResponse:
        if "websocket" in request.headers.get("Upgrade", "").lower():
            return await self._serve(request)
        return web.Response(body=self._page.body, content_type="text/html", charset="utf-8", headers=self._page.headers)

    async def _livez(self, _request: web.Request) -> web.Response:
        return web.Response(text="The event loop answers.\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        trouble = "The server is shutting down." if self._stopping else self._feed.trouble
        if trouble is not None:
            return web.Response(status=503, text=f"{trouble}\n")
        return web.Response(text="The feed is followed to its end.\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.transport is None:
            return web.Response()  # It left at once: nobody gets this.
        entrance = request.transport.get_protocol()
        assert isinstance(entrance, Entrance)  # noqa: S101 - the listener makes no others
        client = entrance.client(request)
        standing = entrance.standing(client)
        if standing is not Standing.ADMITTED:
            return _turn_away(_FULL if standing is Standing.FULL else _CROWDED)
        offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        wish = wish_of(request.query, offered)
        session = wish if isinstance(wish, Rejected) else await self._start(wish)
        if isinstance(session, Rejected):
            return _refuse(session)
        websocket = web.WebSocketResponse(
            timeout=CLOSE_SECONDS,
            compress=False,
            max_msg_size=self._max_message_bytes + 1,  # aiohttp refuses a message of just this size
            protocols=(SUBPROTOCOL,),
            # Answered below: aiohttp would go on answering after a close.
            autoping=False,
        )
        # Posts may arrive meanwhile: they follow the session's position, so none is missed and none doubled.
        try:
            await websocket.prepare(request)
        except ConnectionResetError:
            # It left before it was let in.
            return websocket
        await self._attend(request, websocket, session, entrance, str(client))
        return websocket

    async def _start(self, wish: Wish) -> Session | Rejected:
        """Find a client's place in the log, as soon as the log has read that far."""
        session = None
        with suppress(TimeoutError):
            async with asyncio.timeout(self._join_seconds):
                session = await self._place(wish)
        return session or Rejected(503, f"The feed cannot be followed now. {self._feed.trouble or 'Try again.'}")

    async def _place(self, wish: Wish) -> Session | None:
        found = resumption(wish, self._log)
        if isinstance(found, Resume):
            return resumed(wish, self._log, found)
        end = await self._feed.end()
        if end is None:
            return None
        await self._feed.reached(end)
        if isinstance(found, Ahead):
            # Another edge was quicker, or there is no such record.
            found = Gap("unknown") if found.offset > end else resumption(wish, self._log)
        if isinstance(found, Resume):
            return resumed(wish, self._log, found)
        return at_end(wish, self._log, end, found if isinstance(found, Gap) else None)

    async def _attend(
        self,
        request: web.Request,
        websocket: web.WebSocketResponse,
        session: Session,
        entrance: Entrance,
        client: str,
    ) -> None:
        """Stay with a client until its connection ends; what it sends is read and ignored."""
        transport = request.transport
        if transport is None:
            return
        started = asyncio.get_running_loop().time()
        _logger.info("session.opened", peer=client, form=session.form.name.lower(), position=session.position)
        connection = Connection(websocket, transport)
        member = self._hub.join(session, connection)
        connection.drained = partial(self._hub.drained, member)
        entrance.upgrade(partial(self._break_off, session, connection))
        if self._stopping:
            self._hub.end(SHUTDOWN)
        broken: int | None = None
        try:
            async for message in websocket:
                if message.type is WSMsgType.PING and session.disconnect is None:
                    await websocket.pong(message.data)
                if isinstance(message.data, WebSocketError):
                    # It was closed with this code; aiohttp keeps 1006, since no answer came.
                    broken = message.data.code
        finally:
            disconnect = self._hub.leave(member, int(broken or websocket.close_code or WSCloseCode.ABNORMAL_CLOSURE))
            _logger.info(
                "session.closed",
                peer=client,
                code=disconnect.code,
                reason=disconnect.reason,
                posts=session.sent,
                seconds=round(asyncio.get_running_loop().time() - started, 3),
            )

    @staticmethod
    def _break_off(session: Session, connection: Connection, disconnect: Disconnect) -> None:
        session.end(disconnect)
        connection.part(disconnect)


def _refuse(rejected: Rejected) -> web.Response:
    retry = _RETRY_SECONDS.get(rejected.status)
    headers = None if retry is None else {"Retry-After": retry}
    return web.Response(status=rejected.status, text=f"{rejected.sentence}\n", headers=headers)


def _turn_away(rejected: Rejected) -> web.Response:
    """Refuse, and keep no connection open of which there are too many."""
    response = _refuse(rejected)
    response.force_close()
    return response
