"""A client's WebSocket from the 101 on: the one protocol of its connection.

It reads what the client says (:mod:`edge.wire.websocket`), answers pings, and closes as RFC 6455 §7 says. What is sent
to the client are frames that were made once for everybody, and go to the transport or to the socket directly. With
write limits of zero the transport says exactly when it holds unsent bytes, and when it holds none again.

Laws: a close is the last frame that is written; after it bytes are read and dropped until the client has closed, too.
How a session ended is decided once, by the first that ends it, and counted when the connection is lost. No client has a
task or a timer: the hub looks at it when it is due.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from edge.access.entrance import Gate
from edge.access.limits import Slot
from edge.clients.codes import CLOSES, CUTS
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.feed.position import place_of
from edge.wire.allowance import EARLY, Violation
from edge.wire.closing import CUT, NO_CODE, By, Disconnect, answer_to
from edge.wire.events import Close, Message, Ping
from edge.wire.frames import PING, close_frame, pong_frame
from edge.wire.websocket import Reader

_logger = structlog.get_logger("edge.server")

CLOSE_SECONDS: Final = 5.0
"""How long a client may take for its close, from when all that it was sent is with the kernel (law 12)."""
LINGER_SECONDS: Final = 1.0
"""How long a client that broke a rule has to read why, from then on."""

_GONE: Final = Disconnect(CUT, "the connection ended", "client")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all connections share."""

    hub: Hub
    gate: Gate
    closes: Counter[tuple[By, str]]
    """Connections that ended, by whose doing it was and the label of the code."""


class WebSocket(asyncio.Protocol):
    """One client's connection; the hub's :class:`edge.fanout.link.Link`. A client that ends its stream is gone."""

    __slots__ = (
        "_around", "_client", "_disconnect", "_has_closed", "_has_failed", "_loop", "_peer", "_pong", "_reader",
        "_session", "_slot", "_started", "_transport", "close_by", "heard", "key", "unsent_since",
    )  # fmt: skip

    def __init__(
        self, around: Surroundings, transport: asyncio.Transport, reader: Reader, *, peer: str, slot: Slot
    ) -> None:
        self._around = around
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._reader = reader
        self._peer = peer
        self._slot = slot
        self._has_closed = False
        """Whether a close was written, or the connection is lost: nothing more is written."""
        self._has_failed = False
        """Whether what comes is not even read any more."""
        self._client: Client | None = None
        self._session: Session | None = None
        self._disconnect: Disconnect | None = None
        # The payload of the newest ping that came while unsent bytes were held: one answer is enough (§5.5.3).
        self._pong: bytes | None = None
        self.key: int = transport.get_extra_info("socket").fileno()
        """Identifies this link among the open ones: the socket's file descriptor."""
        self._started = self.heard = self._loop.time()
        """When the client was last heard, by the loop's clock."""
        self.unsent_since: float | None = None
        """Since when the transport has held unsent bytes; None when it holds none."""
        self.close_by: float | None = None
        """When the hub cuts the connection although the client has not closed; see :meth:`_await_close`."""

    def open(self, answer: bytes, session: Session, *, is_early: bool) -> None:
        """Write the 101 and begin; end at once if ``is_early``. Raises nothing: there is nobody left to answer."""
        transport = self._transport
        transport.set_write_buffer_limits(high=0)
        if transport.get_write_buffer_size():
            # An answer to an earlier request. The transport says only once that it holds bytes.
            self.unsent_since = self.heard
        if not transport.is_reading():
            transport.resume_reading()
        transport.write(answer)
        self._session = session
        name, (offset, _) = session.encoding.name, place_of(session.position)
        _logger.info("session.opened", session=session.id, peer=self._peer, encoding=name, offset=offset)
        try:
            self._around.hub.join(session, self)
        except Exception:
            _logger.exception("session.failed", session=session.id, peer=self._peer)
            self._transport.abort()
            return
        if is_early:
            self._fail(EARLY)

    def attach(self, client: Client) -> None:
        """Tell this client what becomes of the connection from now on."""
        self._client = client

    def write(self, data: bytes) -> bool:
        """Send whole frames, or what :func:`edge.clients.writing.write_each` left; the transport keeps the rest.

        Return False when nothing more is sent, since the connection is lost or closing.
        """
        if self._has_closed:
            return False
        self._transport.write(data)
        return not self._transport.is_closing()

    def ping(self) -> None:
        """Ask the client for a sign of life."""
        if not self._has_closed:
            self._transport.write(PING)

    def close(self, end: End) -> None:
        """Send a close after what was begun, and wait for the client's; once is enough."""
        if not self._has_closed:
            self._close(CLOSES[end])

    def abort(self, end: End) -> None:
        """Cut the connection; the client sees 1006, unless it was sent a close before."""
        if self._disconnect is None:
            self._disconnect = CUTS[end]
        self._transport.abort()

    def message(self, message: Message) -> None:
        """Ignore what the client says."""

    def data_received(self, data: bytes) -> None:
        """Read what the client says."""
        now = self.heard = self._loop.time()
        if self._has_failed:
            if not self._reader.drop(len(data), now):
                # The kernel keeps the rest from coming.
                self._transport.pause_reading()
            return
        for event in self._reader.feed(data, now):
            match event:
                case Ping(payload):
                    self._answer(payload)
                case Message():
                    if not self._has_closed:
                        self.message(event)
                case Close():
                    self._end(event)
                case Violation():
                    self._fail(event)

    def pause_writing(self) -> None:
        """Note that the transport holds unsent bytes."""
        self.unsent_since = self._loop.time()
        if self._client is not None and not self._has_closed:
            self._client.pause_writing()

    def resume_writing(self) -> None:
        """Note that it holds none any more, and go on."""
        self.unsent_since = None
        if self._has_closed:
            self._await_close()
            return
        if self._pong is not None:
            payload, self._pong = self._pong, None
            self._answer(payload)
        # The pong may be held, too.
        if self._client is not None and not self._transport.get_write_buffer_size():
            self._client.resume_writing()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the client; write no more, since the socket's number is somebody else's soon."""
        self._has_closed = self._has_failed = True
        self._around.gate.census.leave(self._slot)
        client, self._client = self._client, None
        if client is not None:
            client.leave()
            self._note(self._disconnect or _GONE)
        # Its own method, which it keeps until Python 3.12 lets go of it in close().
        self._transport._read_ready_cb = None  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way

    def _answer(self, payload: bytes) -> None:
        # A transport that has failed logs what is written to it.
        if self._has_closed or self._transport.is_closing():
            return
        if self.unsent_since is None:
            self._transport.write(pong_frame(payload))
        else:
            self._pong = payload

    def _note(self, disconnect: Disconnect) -> None:
        """Count and log how the session ended."""
        self._around.closes[disconnect.by, disconnect.label] += 1
        _logger.info(
            "session.closed",
            session=None if self._session is None else self._session.id,
            peer=self._peer,
            code=disconnect.code,
            by=disconnect.by,
            reason=disconnect.reason,
            posts=0 if self._session is None else self._session.sent,
            seconds=round(self._loop.time() - self._started, 3),
        )

    def _end(self, close: Close) -> None:
        """Answer the client's close, if it is not the answer to ours, and close the connection (§7.1.1)."""
        if not self._has_closed:
            code = NO_CODE if close.code is None else close.code
            self._close(Disconnect(code, "the client closed", "client"), close_frame(answer_to(close.code)))
        # What was written goes out first, for as long as that takes; see _await_close.
        self._transport.close()

    def _fail(self, violation: Violation) -> None:
        """Close over what the client did; what it sends from now on is not read, not even its close (§7.1.7)."""
        self._has_failed = True
        if violation.limit is not None:
            self._around.gate.breaches[violation.limit] += 1
        if not self._has_closed:
            self._close(violation.disconnect)
        # Were the socket closed with bytes unread, the kernel would reset it, and the reason might be lost.
        with suppress(OSError):
            self._transport.write_eof()

    def _close(self, disconnect: Disconnect, frame: bytes | None = None) -> None:
        """Write the last frame, and have nothing written after it."""
        self._has_closed, self._pong = True, None
        self._disconnect = disconnect
        if self._client is not None:
            self._client.stop()
        self._transport.write(frame or close_frame(disconnect.code, disconnect.reason))
        self._await_close()

    def _await_close(self) -> None:
        """Give the client its time for a close once the transport holds nothing; until then it may have stalled."""
        if self.unsent_since is None and self.close_by is None:
            self.close_by = self._loop.time() + (LINGER_SECONDS if self._has_failed else CLOSE_SECONDS)
            if self._client is not None:
                self._client.expect_close()
