"""A client's stream of Server-Sent Events from the answer's head on: the one protocol of its connection.

The client has said all that it has to say: silence means nothing, what it sends is dropped, and more than a little of
it ends the connection. The body has no length, and ends with the connection. So it consists of bytes that were made
once for everybody.

Law: an ``end`` is the last that is written; the end of the stream follows it, and the connection is closed when the
client has closed, too, so that nothing of what it was sent is lost.
"""

import math
from contextlib import suppress
from typing import ClassVar, Final

from edge.clients.link import CLOSE_SECONDS, TransportLink
from edge.fanout.session import Session
from edge.wire.closing import Disconnect
from edge.wire.event_encodings import EVENTS, retry
from edge.wire.messages import end

IGNORED_BYTES: Final = 16 * 1024
"""How much a client may send behind its request: as much as a request's head may have."""
LEAST_RETRY_SECONDS: Final = 1.0
"""How long a client waits at least before it comes back: it waits so long after each failed attempt, too."""

_TALKATIVE: Final = Disconnect(1008, "sent too much behind its request")


class EventStream(TransportLink):
    """One client's stream of events."""

    __slots__ = ("_ignored",)

    spoken: ClassVar = "events"
    returns_always: ClassVar = True

    def open(self, head: bytes, session: Session) -> None:
        """Write the answer's head and begin. Raises nothing: there is nobody left to answer."""
        self._ignored = 0
        # It is never asked for a sign of life: there is no way to give one.
        self.heard = math.inf
        self._begin(head, session)

    def ping(self) -> None:
        """Ask for nothing: the hub does not, of a client that is never silent."""

    def data_received(self, data: bytes) -> None:
        """Drop what the client says; cut the connection when that is too much."""
        self._ignored += len(data)
        if self._ignored > IGNORED_BYTES and not self._transport.is_closing():
            self._around.gate.breaches["bytes"] += 1
            if self._disconnect is None:
                self._disconnect = _TALKATIVE
            self._transport.abort()

    def _farewell(self, disconnect: Disconnect, turn: float | None = None) -> bytes:
        cursor = None if self._client is None else self._client.cursor()
        told = EVENTS.notice(end(disconnect.code, disconnect.reason, cursor or ""))
        return retry(LEAST_RETRY_SECONDS + (turn or 0.0)) + told

    def _close(self, disconnect: Disconnect, last: bytes) -> None:
        super()._close(disconnect, last)
        # Behind what the transport still holds.
        with suppress(OSError):
            self._transport.write_eof()

    @property
    def _close_seconds(self) -> float:
        return CLOSE_SECONDS
