"""A client from its handshake to its end: in the hub while it lasts, and an event when it begins and when it ends."""

import asyncio

import structlog
from aiohttp import WSCloseCode

from edge.clients.connection import Connection, WebSocket
from edge.fanout.hub import Hub
from edge.fanout.session import Session
from edge.wire.closing import Disconnect

_logger = structlog.get_logger("edge.server")


class Visit:
    """What is kept of a client beside its session and its connection."""

    __slots__ = ("_client", "_connection", "_hub", "_member", "_started", "websocket")

    def __init__(self, hub: Hub, client: str, websocket: WebSocket, connection: Connection, session: Session) -> None:
        self._hub = hub
        self._client = client
        self._connection = connection
        self._started = connection.heard
        self.websocket = websocket
        _logger.info("session.opened", peer=client, form=session.form.name.lower(), position=session.position)
        self._member = hub.join(session, connection)

    @property
    def is_going_on(self) -> bool:
        """Whether nothing has ended it."""
        return self._member.session.disconnect is None

    def break_off(self, disconnect: Disconnect) -> None:
        """Send the close, and nothing more; somebody else cuts the connection."""
        self._hub.dismiss(self._member, disconnect)
        self._connection.part(disconnect)

    def end(self, broken: int | None) -> None:
        """Count it out, its connection having ended; ``broken`` is the code for what the client did wrong."""
        error = self.websocket.exception()
        if error is not None:
            # It leads to the frames that it was raised in, and they to it: a cycle with all that the client had.
            error.__traceback__ = error.__context__ = None
        code = int(broken or self.websocket.close_code or WSCloseCode.ABNORMAL_CLOSURE)
        disconnect = self._hub.leave(self._member, code)
        _logger.info(
            "session.closed",
            peer=self._client,
            code=disconnect.code,
            reason=disconnect.reason,
            posts=self._member.session.sent,
            seconds=round(asyncio.get_running_loop().time() - self._started, 3),
        )
