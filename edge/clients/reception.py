"""Receives the clients of all transports: is there room, where in the log do they start, whose is the connection then.

The module of a transport answers its requests in these steps: :meth:`Reception.admit`, :meth:`Reception.session`, and
:meth:`Connection.take_over` where the connection does not stay aiohttp's. What is refused is a :class:`Rejected`; how a
client is told is up to its transport.

Law: no transport gets a session, or a selection, but for a client that was identified.
"""

import asyncio
from dataclasses import replace
from typing import Final, Protocol

from aiohttp import web

from edge.access.grant import Grant
from edge.access.limits import Admission
from edge.clients.connection import Connection, connection_of
from edge.clients.devices import Devices
from edge.clients.identification import Identification
from edge.clients.joining import JoinRequest
from edge.clients.link import Surroundings
from edge.clients.placement import FeedEnd, OldRecords, Placement
from edge.clients.view import View, view
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.selection import Selection
from edge.wire.handshake import Rejected

STOPPING: Final = "The server is shutting down."
SPREAD: Final = 0.8
"""In this part of a drain clients are told, one after the other; the last have the rest of it for their answer."""

# Another edge may have room at once; here there is some when somebody leaves.
_RETRY_SECONDS: Final = 1.0
_CROWDED_RETRY_SECONDS: Final = 10.0
# No connection is kept open of which there are too many.
_FULL: Final = Rejected(
    503, "The server has as many connections as it takes. Try again.", _RETRY_SECONDS, is_closed=True, why="full"
)
_FILTERED: Final = Rejected(
    503, "The server has as many authors in filters as it takes. Try again.", _RETRY_SECONDS, why="filters"
)
_CROWDED: Final = Rejected(
    429,
    "There are too many connections from your address. Close one first.",
    _CROWDED_RETRY_SECONDS,
    is_closed=True,
    why="address",
)
_BUSY: Final = replace(_CROWDED, sentence="There are too many connections of yours. Close one first.", why="subject")
STOPPED: Final = Rejected(503, STOPPING, _RETRY_SECONDS, is_closed=True, why="stopping")
"""For clients that come while the edge stops."""


class Feed(FeedEnd, Protocol):
    """What has to be known of the feed to take clients in."""

    @property
    def trouble(self) -> str | None:
        """Why the feed is not followed to its end; None when it is."""
        ...

    @property
    def unready(self) -> str | None:
        """Why new clients had better go elsewhere."""
        ...


class Reception:
    """Takes clients in until it :attr:`is_stopping`.

    ``join_seconds`` bounds how long a client waits for Kafka's answer;
    ``heartbeat`` is what clients are told about heartbeats, in seconds.
    """

    def __init__(
        self,
        *,
        log: Log,
        feed: Feed,
        old: OldRecords,
        join_seconds: float,
        heartbeat: float,
        around: Surroundings,
    ) -> None:
        self.feed = feed
        self.selections = around.selections
        self.gate = around.gate
        self._returns = around.returns
        self._identification = Identification(
            around.sign_in, around.demands, outcomes=around.sign_ins, selections=around.selections, full=_FILTERED
        )
        self._devices = Devices(around.positions, seconds=join_seconds)
        self._placement = Placement(log, feed, old, seconds=join_seconds, heartbeat=heartbeat, resumes=around.resumes)
        self.is_stopping = False
        """Whether the edge shuts down: another one takes who comes now."""

    def admit(self, request: web.Request) -> Connection | Rejected | None:
        """Say whether this client is within the limits on connections; None when it has left already."""
        connection = connection_of(request)
        if connection is None:
            return None
        match connection.admission():
            case Admission.ADMITTED:
                return connection
            case Admission.FULL:
                return self.in_turn(_FULL)
            case Admission.CROWDED:
                return _CROWDED

    async def grant(self, request: web.Request) -> Grant | Rejected | None:
        """Say what a client's token allows; None for one that has none, and needs none."""
        grant = await self._identification.grant(request)
        return self.in_turn(grant) if isinstance(grant, Rejected) and grant.retry_after is not None else grant

    async def signed_in(self, request: web.Request, connection: Connection) -> Grant | Rejected | None:
        """Do so, and count the connection as the subject's until it is lost or :meth:`Connection.sign_out`."""
        grant = await self.grant(request)
        if isinstance(grant, Grant) and not connection.sign_in(grant.subject):
            return _BUSY
        return grant

    def view(self, grant: Grant | None, asked: Selection | None) -> View | Rejected:
        """Say what a client sees that asks for something and may see what its token allows, if there is room for it."""
        return view(self.selections, grant, asked) or self.in_turn(_FILTERED)

    async def session(self, asked: JoinRequest, request: web.Request, connection: Connection) -> Session | Rejected:
        """Find a client's place in the feed. Nothing is awaited between the look at what was read and the return."""
        session: Session | Rejected | None = None
        try:
            session = await self._session(asked, request, connection)
            return session
        finally:
            if not isinstance(session, Session):
                connection.sign_out()

    async def _session(self, asked: JoinRequest, request: web.Request, connection: Connection) -> Session | Rejected:
        wait = self._returns.wait(asyncio.get_running_loop().time())
        if wait is not None:
            return Rejected(503, "More clients come than are taken in at a time.", wait, is_closed=True, why="rate")
        known = await self._known(asked, request, connection)
        if isinstance(known, Rejected):
            return known
        session = await self._placement.session(known, connection.block)
        if self.is_stopping:
            return self.in_turn(STOPPED)
        if session is None:
            sentence = f"The feed cannot be followed now. {self.feed.trouble or 'Try again.'}"
            return self.in_turn(Rejected(503, sentence, _RETRY_SECONDS, why="feed"))
        return self.in_turn(session) if isinstance(session, Rejected) else session

    async def _known(self, asked: JoinRequest, request: web.Request, connection: Connection) -> JoinRequest | Rejected:
        """Say who the client is, what it sees, and where its device goes on."""
        grant = await self.signed_in(request, connection)
        if isinstance(grant, Rejected):
            return grant
        seen = self.view(grant, asked.selection)
        if isinstance(seen, Rejected):
            return seen
        placed = await self._devices.placed(replace(asked, grant=grant, asked=seen.asked, selection=seen.selection))
        return placed if isinstance(placed, JoinRequest) or placed.retry_after is None else self.in_turn(placed)

    def in_turn(self, rejected: Rejected) -> Rejected:
        """Have clients of which many are refused for one reason come back one after the other."""
        now = asyncio.get_running_loop().time()
        return replace(rejected, retry_after=self._returns.turn(now, least=rejected.retry_after or 0.0))

    def note_join(self, connection: Connection, status: int) -> None:
        """Count the answer to a client whose connection was taken over, and how long it has waited for it."""
        self.gate.answers.note(status)
        self.gate.join_seconds.note(asyncio.get_running_loop().time() - connection.asked_at)
