"""Answers requests for a WebSocket: the 101, or why not.

A request is refused before the 101, with a status and a sentence; after it, a session ends with a close code. There is
no third way to fail.
"""

from functools import partial
from http import HTTPStatus

from aiohttp import web

from edge.clients import cross_origin
from edge.clients.joining import SUBPROTOCOL, join_request
from edge.clients.link import Surroundings
from edge.clients.reception import Connection, Reception
from edge.clients.refusals import refusal
from edge.clients.websocket import WebSocket
from edge.fanout.session import Session
from edge.wire.deflate import BadHeader, agreement
from edge.wire.handshake import Rejected, answer, fault_in, tokens
from edge.wire.websocket import Reader


class WebSocketRequests:
    """Opens WebSockets; ``compression``: agree to permessage-deflate with clients that offer it.

    ``websocket`` is what is made for each client.
    """

    def __init__(
        self,
        reception: Reception,
        surroundings: Surroundings,
        *,
        compression: bool,
        websocket: type[WebSocket] = WebSocket,
    ) -> None:
        self._reception = reception
        self._surroundings = surroundings
        self._compression = compression
        self.websocket = websocket

    async def answer(self, request: web.Request) -> web.Response:
        """Shake hands with a client that asks for a WebSocket, or answer why not."""
        fault = fault_in(request.headers)
        if fault is not None:
            return refusal(fault)
        fault = cross_origin.fault_in(self._reception.gate.origins, request)
        if fault is not None:
            return refusal(fault)
        connection = self._reception.admit(request)
        if connection is None:
            return web.Response()  # It left at once: nobody gets this.
        if isinstance(connection, Rejected):
            return refusal(connection)
        start = await self._start(request, connection)
        if isinstance(start, Rejected):
            return refusal(start)
        session, extension = start
        # Nothing is awaited from here on.
        reader = Reader(self._reception.gate.rules.traffic, is_deflated=extension is not None)
        make = partial(self.websocket, self._surroundings, connection.transport, reader, peer=str(connection.client))
        taken = connection.take_over(lambda slot: make(slot=slot))
        if taken is not None:
            websocket, is_early = taken
            offered = tokens(request.headers, "Sec-WebSocket-Protocol")
            protocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
            head = answer(request.headers, protocol=protocol, extension=extension)
            websocket.open(head, session, is_early=is_early)
            self._reception.note_join(connection, HTTPStatus.SWITCHING_PROTOCOLS)
        return web.Response()  # Nobody gets this: the connection is no longer aiohttp's.

    async def _start(self, request: web.Request, connection: Connection) -> tuple[Session, str | None] | Rejected:
        """Find a client's place in the log, and what is agreed about compression."""
        offered = list(tokens(request.headers, "Sec-WebSocket-Protocol"))
        try:
            extension = self._agreement(request)
        except BadHeader:
            return Rejected(400, "The header Sec-WebSocket-Extensions cannot be read.")
        last = request.headers.get("Last-Event-ID")
        asked = join_request(request.query, offered, deflated=extension is not None, last_event_id=last)
        if isinstance(asked, Rejected):
            return asked
        session = await self._reception.session(asked, connection)
        return session if isinstance(session, Rejected) else (session, extension)

    def _agreement(self, request: web.Request) -> str | None:
        offers = request.headers.getall("Sec-WebSocket-Extensions", ())
        return agreement(",".join(offers)) if self._compression else None
