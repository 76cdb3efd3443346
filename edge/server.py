"""Routes the requests of the clients' port: to its transports, the live page and the page's figures."""

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from http import HTTPStatus

from aiohttp import web

from edge.access.http import without_server_header
from edge.admin import Readiness
from edge.clients.cross_origin import guard, telling
from edge.clients.posts import Posts
from edge.clients.reception import SPREAD, STOPPING, Reception
from edge.clients.websocket_requests import WebSocketRequests
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.feed.log import Log
from edge.page import File, Page
from edge.status import SHOWN_SECONDS, Status
from edge.wire.handshake import is_asked_for
from streams.contract import Millis


def wall_clock() -> Millis:
    """Return the time in milliseconds since 1970: the clock that a worker's windows follow."""
    return Millis(time.time_ns() // 1_000_000)


class Server:
    """Routes requests; ``transports`` are the routes of clients beside the WebSocket's.

    ``unready`` says why new clients had better go elsewhere though the feed is followed, if there is a reason.
    ``clock`` is that of the feed's windows, in milliseconds since 1970: the page takes its time from it.
    """

    def __init__(
        self,
        reception: Reception,
        websockets: WebSocketRequests,
        *,
        log: Log,
        hub: Hub,
        page: Page,
        status: Status,
        posts: Posts,
        unready: Callable[[], str | None],
        transports: Iterable[web.RouteDef] = (),
        clock: Callable[[], Millis] = wall_clock,
    ) -> None:
        self._reception = reception
        self._websockets = websockets
        self._log = log
        self._hub = hub
        self._page = page
        self._status = status
        self._posts = posts
        self._unready = unready
        self._transports = tuple(transports)
        self._clock = clock

    def application(self, others: Iterable[web.RouteDef] = ()) -> web.Application:
        """Make the application of the clients' port, with ``others`` of its routes if operators ask there, too."""
        origins = self._reception.gate.origins
        application = web.Application(middlewares=(guard(origins, self._websockets.refusals),))
        application.on_response_prepare.extend((without_server_header, telling(origins), self._note))
        application.add_routes(
            [
                web.get("/", self._root),
                web.get("/status.json", self._tell),
                *self._posts.routes(),
                *self._transports,
                *(web.get(path, partial(_send, file)) for path, file in self._page.items() if path != "/"),
                *others,
            ]
        )
        return application

    def readiness(self) -> Readiness:
        """Say whether new clients should come here, and why."""
        feed = self._reception.feed
        lacking = STOPPING if self._reception.is_stopping else feed.unready or self._unready()
        return Readiness(lacking is None, lacking or feed.trouble or "The feed is followed to its end.")

    async def drain(self, seconds: float) -> None:
        """Be ready for nobody any more, tell everybody, and return when all are gone, in that time at most.

        One after the other: they come back, elsewhere, and would all come at once.
        """
        self._reception.is_stopping = True
        self._hub.end_all(End.SHUTDOWN, SPREAD * seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(self._hub.deserted.wait(), self._posts.drain(seconds))

    async def _root(self, request: web.Request) -> web.StreamResponse:
        """Give a browser the page, and a client its WebSocket."""
        if not is_asked_for(request.method, request.version, request.headers):
            return await _send(self._page["/"], request)
        return await self._websockets.answer(request)

    async def _note(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count an answer, unless nobody gets it."""
        if request.transport is not None and not request.transport.is_closing():
            self._reception.gate.answers.note(response.status)

    async def _tell(self, _request: web.Request) -> web.Response:
        body = self._status.body(self._log.shown(), viewers=len(self._hub), now=self._clock())
        headers = {"Cache-Control": f"max-age={SHOWN_SECONDS}", "X-Content-Type-Options": "nosniff"}
        return web.Response(body=body, content_type="application/json", headers=headers)


async def _send(file: File, request: web.Request) -> web.Response:
    """Send a file of the page, or say that the browser has it."""
    known = {each.value for each in request.if_none_match or ()}
    headers = {**file.headers, "ETag": f'"{file.etag}"'}
    if not known.isdisjoint(("*", file.etag)):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return web.Response(body=file.body, content_type=file.media_type, charset="utf-8", headers=headers)
