"""Answers clients: the upgrade to a WebSocket, and the live page.

A request is refused before the 101, with a status and a sentence; after it, a session ends with a close code. There is
no third way to fail.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Final, Protocol

from aiohttp import web

from edge.access.entrance import Entrance, Gate
from edge.access.http import Http, without_server_header
from edge.access.limits import Admission
from edge.admin import Readiness
from edge.clients.joining import SUBPROTOCOL, join_request
from edge.clients.placement import FeedEnd, Placement
from edge.clients.websocket import Surroundings, WebSocket
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.page import File, Page
from edge.status import SHOWN_SECONDS, Status
from edge.wire.closing import By
from edge.wire.deflate import BadHeader, agreement
from edge.wire.handshake import VERSION, Rejected, answer, fault_in, is_asked_for, tokens
from edge.wire.websocket import Reader
from streams.contract import Millis

_REFUSAL_HEADERS: Final = {
    # RFC 9110 §15.5.22 and RFC 6455 §4.4: what to upgrade to, and to which version of it.
    web.HTTPUpgradeRequired.status_code: {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": VERSION,
    },
    # Another edge may have room at once; here there is some when somebody leaves.
    web.HTTPServiceUnavailable.status_code: {"Retry-After": "1"},
    web.HTTPTooManyRequests.status_code: {"Retry-After": "10"},
}
_FULL: Final = Rejected(503, "The server has as many connections as it takes. Try again.")
_CROWDED: Final = Rejected(429, "There are too many connections from your address. Close one first.")
# The last to be told have the rest of the time for their answer.
_SPREAD: Final = 0.8
_STOPPING: Final = "The server is shutting down."


class Feed(FeedEnd, Protocol):
    """What the server asks about the feed."""

    @property
    def trouble(self) -> str | None:
        """Why the feed is not followed to its end; None when it is."""
        ...

    @property
    def unready(self) -> str | None:
        """Why new clients had better go elsewhere."""
        ...


class Server:
    """Takes clients in.

    ``join_seconds`` bounds how long one waits for Kafka's answer; ``compression``: agree to permessage-deflate with who
    offers it.
    """

    websocket = WebSocket
    """What is made for each client."""

    def __init__(
        self,
        *,
        log: Log,
        hub: Hub,
        feed: Feed,
        page: Page,
        status: Status,
        join_seconds: float,
        compression: bool,
        gate: Gate,
        closes: Counter[tuple[By, str]],
    ) -> None:
        self._log = log
        self._hub = hub
        self._feed = feed
        self._page = page
        self._status = status
        self._placement = Placement(log, feed, join_seconds, hub.heartbeat)
        self._compression = compression
        self._surroundings = Surroundings(hub, gate, closes)
        self._stopping = False

    def application(self, others: Iterable[web.RouteDef] = ()) -> web.Application:
        """Make the application of the clients' port, with ``others`` of its routes if operators ask there, too."""
        application = web.Application()
        application.on_response_prepare.extend((without_server_header, self._note))
        application.add_routes(
            [
                web.get("/", self._root),
                web.get("/status.json", self._tell),
                *(web.get(path, partial(_send, file)) for path, file in self._page.items() if path != "/"),
                *others,
            ]
        )
        return application

    def readiness(self) -> Readiness:
        """Say whether new clients should come here, and why."""
        lacking = _STOPPING if self._stopping else self._feed.unready
        return Readiness(lacking is None, lacking or self._feed.trouble or "The feed is followed to its end.")

    async def drain(self, seconds: float) -> None:
        """Be ready for nobody any more, tell everybody, and return when all are gone, in that time at most.

        One after the other: they come back, elsewhere, and would all come at once.
        """
        self._stopping = True
        self._hub.end_all(End.SHUTDOWN, _SPREAD * seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hub.deserted.wait()

    async def _root(self, request: web.Request) -> web.StreamResponse:
        """Give a browser the page, and a client its WebSocket."""
        if not is_asked_for(request.method, request.version, request.headers):
            return await _send(self._page["/"], request)
        fault = fault_in(request.headers)
        return await self._let_in(request) if fault is None else _refuse(fault)

    async def _note(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count an answer, unless nobody gets it."""
        if request.transport is not None and not request.transport.is_closing():
            self._surroundings.gate.answers.note(response.status)

    async def _tell(self, _request: web.Request) -> web.Response:
        now = Millis(time.time_ns() // 1_000_000)
        body = self._status.body(self._log.shown(), viewers=len(self._hub), now=now)
        headers = {"Cache-Control": f"max-age={SHOWN_SECONDS}", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _let_in(self, request: web.Request) -> web.Response:
        """Shake hands with a client that asks for a WebSocket, or answer why not."""
        clock = asyncio.get_running_loop().time
        asked_at, gate, transport = clock(), self._surroundings.gate, request.transport
        if transport is None:
            return web.Response()  # It left at once: nobody gets this.
        entrance = transport.get_protocol()
        assert isinstance(entrance, Entrance)  # noqa: S101 - the listener makes no others
        client = entrance.client(request)
        admission = entrance.admission_of(client)
        if admission is not Admission.ADMITTED:
            return _turn_away(_FULL if admission is Admission.FULL else _CROWDED)
        start = await self._start(request)
        if isinstance(start, Rejected):
            return _refuse(start)
        session, extension = start
        http = request.protocol
        assert isinstance(http, Http)  # noqa: S101 - the listener makes no others
        if request.transport is None or transport.is_closing():
            return web.Response()  # It left while it waited.
        # Nothing is awaited from here on.
        if entrance.has_refused:
            # It sent more than a head may be; that was answered.
            http.hand_over(entrance)
            return web.Response()
        offered = tokens(request.headers, "Sec-WebSocket-Protocol")
        protocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
        reader = Reader(gate.rules.traffic, is_deflated=extension is not None)
        websocket = self.websocket(self._surroundings, transport, reader, peer=str(client), slot=entrance.hand_over())
        is_early = http.hand_over(websocket)
        head = answer(request.headers, protocol=protocol, extension=extension)
        websocket.open(head, session, is_early=is_early)
        gate.answers.note(HTTPStatus.SWITCHING_PROTOCOLS)
        gate.join_seconds.note(clock() - asked_at)
        return web.Response()  # Nobody gets this: the connection is no longer aiohttp's.

    async def _start(self, request: web.Request) -> tuple[Session, str | None] | Rejected:
        """Find a client's place in the log, and what is agreed about compression."""
        offered = list(tokens(request.headers, "Sec-WebSocket-Protocol"))
        try:
            extension = self._agreement(request)
        except BadHeader:
            return Rejected(400, "The header Sec-WebSocket-Extensions cannot be read.")
        asked = join_request(request.query, offered, deflated=extension is not None)
        if isinstance(asked, Rejected):
            return asked
        session = await self._placement.session(asked)
        if self._stopping:
            return Rejected(503, _STOPPING)
        trouble = self._feed.trouble or "Try again."
        return (session, extension) if session else Rejected(503, f"The feed cannot be followed now. {trouble}")

    def _agreement(self, request: web.Request) -> str | None:
        offers = request.headers.getall("Sec-WebSocket-Extensions", ())
        return agreement(",".join(offers)) if self._compression else None


async def _send(file: File, request: web.Request) -> web.Response:
    """Send a file of the page, or say that the browser has it."""
    known = {each.value for each in request.if_none_match or ()}
    headers = {**file.headers, "ETag": f'"{file.etag}"'}
    if not known.isdisjoint(("*", file.etag)):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=file.body, content_type=file.media_type, charset="utf-8", headers=headers)


def _refuse(rejected: Rejected) -> web.Response:
    headers = _REFUSAL_HEADERS.get(rejected.status)
    return web.Response(status=rejected.status, text=f"{rejected.sentence}\n", headers=headers)


def _turn_away(rejected: Rejected) -> web.Response:
    """Refuse, and keep no connection open of which there are too many."""
    response = _refuse(rejected)
    response.force_close()
    return response
