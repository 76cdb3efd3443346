"""Answers requests for a WebSocket: the 101, or why not.

A request is refused before the 101, with a status and a sentence; after it, a session ends with a close code. There is
no third way to fail.
"""

from collections import Counter
from functools import partial
from http import HTTPStatus

from aiohttp import web

from edge.access.http import NOWHERE
from edge.clients import cross_origin
from edge.clients.codes import REFUSALS
from edge.clients.connection import Connection, connection_of
from edge.clients.joining import join_request
from edge.clients.link import Surroundings
from edge.clients.reception import Reception
from edge.clients.refusals import refusal
from edge.clients.websocket import WebSocket
from edge.fanout.session import Session
from edge.wire.closing import with_return
from edge.wire.deflate import BadHeader, agreement
from edge.wire.frames import close_frame
from edge.wire.handshake import SUBPROTOCOL, Rejected, Why, answer, fault_in, tokens
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
        self._around = surroundings
        self._compression = compression
        self.websocket = websocket

    @property
    def refusals(self) -> Counter[tuple[str, Why]]:
        """Clients that were refused: by which means, and why."""
        return self._around.refusals

    async def answer(self, request: web.Request) -> web.Response:
        """Shake hands with a client that asks for a WebSocket, or answer why not."""
        fault = fault_in(request.headers)
        if fault is not None:
            # What cannot be understood cannot be answered with a 101.
            self._around.refusals["http", fault.why] += 1
            return refusal(fault)
        fault = cross_origin.fault_in(self._reception.gate.origins, request)
        if fault is not None:
            return self._refuse(request, fault)
        connection = self._reception.admit(request)
        if connection is None:
            return NOWHERE
        if isinstance(connection, Rejected):
            return self._refuse(request, connection)
        start = await self._start(request, connection)
        if isinstance(start, Rejected):
            return self._refuse(request, start)
        session, extension = start
        # Nothing is awaited from here on.
        reader = Reader(
            self._reception.gate.rules.traffic,
            is_deflated=extension is not None,
            # A plain client cannot be told.
            skips_large=session.encoding.has_cursor,
        )
        make = partial(self.websocket, self._around, connection.transport, reader, peer=str(connection.client))
        taken = connection.take_over(lambda slot: make(slot=slot))
        if taken is not None:
            websocket, is_early = taken
            offered = tokens(request.headers, "Sec-WebSocket-Protocol")
            protocol = SUBPROTOCOL if SUBPROTOCOL in offered else None
            head = answer(request.headers, protocol=protocol, extension=extension)
            websocket.open(head, session, is_early=is_early)
            self._reception.note_join(connection, HTTPStatus.SWITCHING_PROTOCOLS)
        return NOWHERE

    def _refuse(self, request: web.Request, rejected: Rejected) -> web.Response:
        """Refuse by HTTP, or, a client that knows how to read it, by the 101 and a close in one write.

        A browser shows the page that asked neither the status nor the sentence of a refused upgrade.
        """
        code = REFUSALS.get(rejected.status)
        if code is None or SUBPROTOCOL not in tokens(request.headers, "Sec-WebSocket-Protocol"):
            self._around.refusals["http", rejected.why] += 1
            return refusal(rejected)
        connection = connection_of(request)
        head = answer(request.headers, protocol=SUBPROTOCOL, extension=None)
        close = close_frame(code, with_return(rejected.sentence, rejected.retry_after))
        if connection is not None and connection.end(head + close):
            self._around.refusals["websocket", rejected.why] += 1
            self._reception.gate.answers.note(HTTPStatus.SWITCHING_PROTOCOLS)
        return NOWHERE

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
        session = await self._reception.session(asked, request, connection)
        return session if isinstance(session, Rejected) else (session, extension)

    def _agreement(self, request: web.Request) -> str | None:
        offers = request.headers.getall("Sec-WebSocket-Extensions", ())
        return agreement(",".join(offers)) if self._compression else None
