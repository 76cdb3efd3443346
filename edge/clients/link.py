"""What the connections that were taken over from aiohttp have in common, whatever is spoken on them: the hub's link.

What is sent are messages that were made once for everybody, and go to the transport or to the socket directly. With
write limits of zero the transport says exactly when it holds unsent bytes, and when it holds none again.

Laws: nothing is written behind what ends a session. How a session ended is decided once, by the first that ends it, and
counted when the connection is lost. No client has a task or a timer: the hub looks at it when it is due.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar, Final

import structlog

from edge.access.cycles import let_go
from edge.access.entrance import Gate
from edge.access.limits import Slot
from edge.access.returns import Returns
from edge.access.sign_in import ANYBODY, Demands, NobodySignsIn, Outcome, SignIn
from edge.clients.acknowledging import Positions
from edge.clients.codes import CLOSES, CUTS
from edge.clients.conversation import Tally
from edge.clients.key_waits import KeyWaits
from edge.clients.unacknowledged import Unacknowledged
from edge.fanout.ending import End
from edge.fanout.hub import Hub
from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.feed.position import place_of
from edge.feed.selection import MAX_AUTHORS_TOTAL, Selections
from edge.wire.closing import CUT, By, Disconnect
from edge.wire.handshake import Why

TRANSPORTS: Final = ("websocket", "events")
"""What clients connect by, as the metrics have it."""

_logger = structlog.get_logger("edge.server")

CLOSE_SECONDS: Final = 5.0
"""How long a client may take for its close, from when all that it was sent is with the kernel (law 12)."""
_GONE: Final = Disconnect(CUT, "the connection ended", "client")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all connections share: what serves them, and what is counted of them."""

    hub: Hub
    gate: Gate
    returns: Returns = field(default_factory=lambda: Returns(0))
    """When those are to come back that are refused or closed."""
    closes: Counter[tuple[By, str]] = field(default_factory=Counter)
    """Connections that ended, by whose doing it was and the label of the code."""
    open: Counter[str] = field(default_factory=Counter)
    """Open connections, by transport."""
    refusals: Counter[tuple[str, Why]] = field(default_factory=Counter)
    """Clients that were refused: by HTTP, or on a WebSocket by a close; and why."""
    resumes: Counter[str] = field(default_factory=Counter)
    """Clients that came with a cursor, by what became of it: ``recovered``, or the reason why not."""
    selections: Selections = field(default_factory=lambda: Selections(MAX_AUTHORS_TOTAL))
    """The filters of all clients."""
    tally: Tally = field(default_factory=Tally)
    """What clients have asked for."""
    unacknowledged: Unacknowledged = field(default_factory=Unacknowledged)
    """How far clients are that acknowledge."""
    positions: Positions | None = None
    """Where what devices acknowledge is stored, if it is."""
    sign_in: SignIn = field(default_factory=NobodySignsIn)
    """Whose a token is."""
    demands: Demands = ANYBODY
    """Whether clients have to bring one, and how they may."""
    sign_ins: Counter[Outcome] = field(default_factory=Counter)
    """Clients that have brought a token, or should have, by what became of it."""
    key_fetches: Counter[str] = field(default_factory=Counter)
    """How often an issuer was asked for its keys, by what became of it."""
    bearers: KeyWaits = field(init=False)
    """Says whose the tokens are that connected clients bring."""

    def __post_init__(self) -> None:
        """Have these tokens verified as all others are."""
        object.__setattr__(self, "bearers", KeyWaits(self.sign_in))


class TransportLink(asyncio.Protocol, ABC):
    """One client's connection; the hub's :class:`edge.fanout.link.Link`. A client that ends its stream is gone."""

    __slots__ = (
        "_around", "_client", "_disconnect", "_has_closed", "_loop", "_peer", "_session", "_slot", "_started",
        "_transport", "close_by", "heard", "key", "unsent_since",
    )  # fmt: skip

    spoken: ClassVar[str]
    """The transport's name, one of :data:`TRANSPORTS`."""
    returns_always: ClassVar = False
    """Whether clients connect again by themselves whatever they are told: then they are told when."""

    def __init__(self, around: Surroundings, transport: asyncio.Transport, *, peer: str, slot: Slot) -> None:
        self._around = around
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._peer = peer
        self._slot = slot
        self._has_closed = False
        """Whether what ends the session was written, or the connection is lost: nothing more is written."""
        self._client: Client | None = None
        self._session: Session | None = None
        self._disconnect: Disconnect | None = None
        self.key: int = transport.get_extra_info("socket").fileno()
        """Identifies this link among the open ones: the socket's file descriptor."""
        self._started = self.heard = self._loop.time()
        """When the client was last heard, by the loop's clock."""
        self.unsent_since: float | None = None
        """Since when the transport has held unsent bytes; None when it holds none."""
        self.close_by: float | None = None
        """When the hub cuts the connection although the client has not closed; see :meth:`_await_close`."""
        around.open[self.spoken] += 1

    @abstractmethod
    def ping(self) -> None:
        """Ask the client for a sign of life."""

    @abstractmethod
    def _farewell(self, disconnect: Disconnect, turn: float | None = None) -> bytes:
        """Return what tells the client that its session ends: the last that it is sent.

        ``turn`` says in how many seconds it is to come back, if that is told.
        """

    @property
    @abstractmethod
    def _close_seconds(self) -> float:
        """How long the client may take for its close, from when all that it was sent is with the kernel (law 12)."""

    def _begin(self, head: bytes, session: Session) -> bool:
        """Write the answer's head and begin; tell whether that went well. Raises nothing: nobody is left to answer."""
        transport = self._transport
        transport.set_write_buffer_limits(high=0)
        if transport.get_write_buffer_size():
            # An answer to an earlier request. The transport says only once that it holds bytes.
            self.unsent_since = self._started
        if not transport.is_reading():
            transport.resume_reading()
        transport.write(head)
        self._session = session
        name, (offset, _) = session.encoding.name, place_of(session.position)
        _logger.info("session.opened", session=session.id, peer=self._peer, encoding=name, offset=offset)
        try:
            self._around.hub.join(session, self)
        except Exception:
            _logger.exception("session.failed", session=session.id, peer=self._peer)
            self._transport.abort()
            return False
        return True

    def attach(self, client: Client) -> None:
        """Tell this client what becomes of the connection from now on."""
        self._client = client

    def write(self, data: bytes) -> bool:
        """Send whole messages, or what :func:`edge.clients.writing.write_each` left; the transport keeps the rest.

        Return False when nothing more is sent, since the connection is lost or closing.
        """
        if self._has_closed:
            return False
        self._transport.write(data)
        return not self._transport.is_closing()

    def close(self, end: End) -> None:
        """Say why after what was begun, and wait for the client's close; once is enough."""
        if not self._has_closed:
            # Many are told the same at once. One whose token has run out is not to come back with it.
            comes_back = end is not End.EXPIRED or self.returns_always
            turn = self._around.returns.turn(self._loop.time()) if comes_back else None
            self._close(CLOSES[end], self._farewell(CLOSES[end], turn))

    def abort(self, end: End) -> None:
        """Cut the connection; the client is told nothing, unless it was before."""
        if self._disconnect is None:
            self._disconnect = CUTS[end]
        self._transport.abort()

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
        self._write_held()
        # What was held may be held again.
        if self._client is not None and not self._transport.get_write_buffer_size():
            self._client.resume_writing()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the client; write no more, since the socket's number is somebody else's soon."""
        self._has_closed = True
        self._around.gate.census.leave(self._slot)
        self._around.open[self.spoken] -= 1
        client, self._client = self._client, None
        if client is not None:
            client.leave()
            self._note(self._disconnect or _GONE)
        let_go(self._transport)

    def _write_held(self) -> None:
        """Write what was held back while the transport held bytes."""

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

    def _close(self, disconnect: Disconnect, last: bytes) -> None:
        """Write what ends the session, and have nothing written after it."""
        self._has_closed = True
        self._disconnect = disconnect
        if self._client is not None:
            self._client.stop()
        self._transport.write(last)
        self._await_close()

    def _await_close(self) -> None:
        """Give the client its time for a close once the transport holds nothing; until then it may have stalled."""
        if self.unsent_since is None and self.close_by is None:
            self.close_by = self._loop.time() + self._close_seconds
            if self._client is not None:
                self._client.expect_close()
