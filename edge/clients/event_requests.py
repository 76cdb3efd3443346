"""Answers ``GET /events``: a stream of Server-Sent Events, or why not.

An ``EventSource`` comes back by itself when its stream ends, and never after another status than 200. So a client that
is refused for now gets a stream that says when to come back, and ends; one that is refused for good gets a status. That
stream's event has an ``id``, as every event: the position that the client has said itself, which it keeps so.
"""

import random
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from edge.access.http import NOWHERE
from edge.clients.codes import REFUSALS
from edge.clients.event_stream import LEAST_RETRY_SECONDS, EventStream
from edge.clients.joining import place_in, request_for
from edge.clients.link import Surroundings
from edge.clients.reception import Reception
from edge.clients.refusals import refusal
from edge.feed.position import Gap
from edge.wire.event_encodings import EVENTS, MEDIA_TYPE, retry
from edge.wire.handshake import Rejected
from edge.wire.messages import end

# The body is for one client, and none of its bytes may be changed or kept back on the way (nginx: X-Accel-Buffering).
_HEADERS: Final = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}
_RETRY_SPREAD_SECONDS: Final = 2.0
"""Within which time clients come back, unless they are told better: those of an edge that is killed come together."""


class EventRequests:
    """Opens streams of events; ``stream`` is what is made for each client, ``share`` a random number from 0 to 1."""

    def __init__(
        self,
        reception: Reception,
        around: Surroundings,
        *,
        stream: type[EventStream] = EventStream,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._reception = reception
        self._around = around
        self._share = share
        self.stream = stream

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of this transport."""
        return [web.get("/events", self.answer)]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Begin a client's stream, or answer why not."""
        if request.method == hdrs.METH_HEAD:
            grant = await self._reception.grant(request)
            return self._refuse(grant, request) if isinstance(grant, Rejected) else _head()
        connection = self._reception.admit(request)
        if connection is None:
            return NOWHERE
        if isinstance(connection, Rejected):
            return self._refuse(connection, request)
        asked = request_for(EVENTS, request.query, request.headers.get("Last-Event-ID"))
        if isinstance(asked, Rejected):
            return self._refuse(asked, request)
        session = await self._reception.session(asked, request, connection)
        if isinstance(session, Rejected):
            return self._refuse(session, request)
        # Nothing is awaited from here on.
        taken = connection.take_over(
            lambda slot: self.stream(self._around, connection.transport, peer=str(connection.client), slot=slot)
        )
        if taken is not None:
            head = _lines({**_HEADERS, **self._reception.gate.origins.headers(request.headers)})
            taken[0].open(head + retry(self._wait()), session)
            self._reception.note_join(connection, HTTPStatus.OK)
        return NOWHERE

    def _refuse(self, rejected: Rejected, request: web.Request) -> web.Response:
        self._around.refusals["http" if rejected.retry_after is None else "events", rejected.why] += 1
        if rejected.retry_after is None:
            return refusal(rejected)
        told = end(REFUSALS[rejected.status], rejected.sentence, "")
        response = web.Response(body=retry(rejected.retry_after) + _at(request) + EVENTS.notice(told), headers=_HEADERS)
        response.force_close()
        return response

    def _wait(self) -> float:
        """Return after how long a client comes back whose stream ends without a word, in seconds."""
        return LEAST_RETRY_SECONDS + _RETRY_SPREAD_SECONDS * self._share()


def _at(request: web.Request) -> bytes:
    """Return the field that repeats the position which a client has said, or that it has none.

    What is no cursor is not repeated: the client keeps it without a word.
    """
    place = place_in(request.query, request.headers.get("Last-Event-ID"))
    if isinstance(place, Rejected) or isinstance(place[1], Gap):
        return b""
    return f"id: {place[1] or ''}\n".encode()


def _head() -> web.StreamResponse:
    """Make the answer to HEAD: the same head, and no length, since there is none."""
    response = web.StreamResponse(headers=_HEADERS)
    response.force_close()
    return response


def _lines(headers: dict[str, str]) -> bytes:
    fields = {"Date": formatdate(usegmt=True), "Connection": "close", **headers}
    lines = (f"{name}: {value}\r\n" for name, value in fields.items())
    return f"HTTP/1.1 200 OK\r\n{''.join(lines)}\r\n".encode()
