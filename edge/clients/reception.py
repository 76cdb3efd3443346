"""Receives the clients of all transports: is there room, where in the log do they start, whose is the connection then.

The module of a transport answers its requests in these steps: :meth:`Reception.admit`, :meth:`Reception.session`, and
:meth:`Connection.take_over` where the connection does not stay aiohttp's. What is refused is a :class:`Rejected`; how a
client is told is up to its transport.

Law: no transport gets a session, or a selection, but for a client that was identified.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final, Protocol, TypeVar

from aiohttp import web

from edge.access.addresses import Address, block_of
from edge.access.entrance import Entrance
from edge.access.grant import Grant
from edge.access.http import Http
from edge.access.limits import Admission, Slot
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
STOPPED: Final = Rejected(503, STOPPING, _RETRY_SECONDS, is_closed=True, why="stopping")
"""For clients that come while the edge stops."""

P = TypeVar("P", bound=asyncio.Protocol)


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


class Connection:
    """The connection on which an admitted request came; it is aiohttp's until it is taken over."""

    def __init__(self, request: web.Request, entrance: Entrance, transport: asyncio.Transport) -> None:
        self._request = request
        self._entrance = entrance
        self.transport = transport
        self.client: Address | None = entrance.client(request)
        """The client's address; None when it is not known."""
        self.block = "" if self.client is None else block_of(self.client)
        """What limits count as one address; empty when it is not known."""
        self.asked_at = asyncio.get_running_loop().time()

    @property
    def is_lost(self) -> bool:
        """Whether nobody gets an answer: the client has left, or has broken a limit and been told so."""
        return self._request.transport is None or self.transport.is_closing()

    @property
    def answering(self) -> Callable[[Callable[[], None]], AbstractContextManager[None]]:
        """See :meth:`edge.access.entrance.Entrance.answering`."""
        return self._entrance.answering

    def take_over(self, make: Callable[[Slot], P]) -> tuple[P, bool] | None:
        """Give the connection to the protocol that ``make`` makes, which frees the slot when the connection is lost.

        Return the protocol, and whether the client has sent anything behind a request for an upgrade; None when there
        is nobody to serve. Nothing may be awaited between this and the handler's end, which then returns a response
        that goes nowhere.
        """
        if self.is_lost:
            return None
        http = self._request.protocol
        assert isinstance(http, Http)  # noqa: S101 - the listener makes no others
        protocol = make(self._entrance.hand_over())
        return protocol, http.hand_over(protocol)

    def admission(self) -> Admission:
        """Say whether the client is within the limits on connections."""
        return self._entrance.admission_of(self.client)

    def end(self, last: bytes) -> bool:
        """Write what is no answer of aiohttp's, and close; tell whether there is somebody to read it.

        It is for the handler's end, as :meth:`take_over` is.
        """
        if self.is_lost:
            return False
        http = self._request.protocol
        assert isinstance(http, Http)  # noqa: S101 - the listener makes no others
        # It frees the slot when the connection is lost.
        http.hand_over(self._entrance)
        self.transport.write(last)
        self.transport.close()
        return True


def connection_of(request: web.Request) -> Connection | None:
    """Return the connection on which a request came; None when the client has left already."""
    transport = request.transport
    if transport is None:
        return None
    entrance = transport.get_protocol()
    assert isinstance(entrance, Entrance)  # noqa: S101 - the listener makes no others
    return Connection(request, entrance, transport)


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
                return self._in_turn(_FULL)
            case Admission.CROWDED:
                return _CROWDED

    async def grant(self, request: web.Request) -> Grant | Rejected | None:
        """Say what a client's token allows; None for one that has none, and needs none."""
        grant = await self._identification.grant(request)
        return self._in_turn(grant) if isinstance(grant, Rejected) and grant.retry_after is not None else grant

    def view(self, grant: Grant | None, asked: Selection | None) -> View | Rejected:
        """Say what a client sees that asks for something and may see what its token allows, if there is room for it."""
        return view(self.selections, grant, asked) or _FILTERED

    async def session(self, asked: JoinRequest, request: web.Request, connection: Connection) -> Session | Rejected:
        """Find a client's place in the feed. Nothing is awaited between the look at what was read and the return."""
        wait = self._returns.wait(asyncio.get_running_loop().time())
        if wait is not None:
            return Rejected(503, "More clients come than are taken in at a time.", wait, is_closed=True, why="rate")
        known = await self._known(asked, request)
        if isinstance(known, Rejected):
            return known
        session = await self._placement.session(known, connection.block)
        if self.is_stopping:
            return self._in_turn(STOPPED)
        if session is None:
            sentence = f"The feed cannot be followed now. {self.feed.trouble or 'Try again.'}"
            return self._in_turn(Rejected(503, sentence, _RETRY_SECONDS, why="feed"))
        return self._in_turn(session) if isinstance(session, Rejected) else session

    async def _known(self, asked: JoinRequest, request: web.Request) -> JoinRequest | Rejected:
        """Say who the client is, what it sees, and where its device goes on."""
        grant = await self.grant(request)
        if isinstance(grant, Rejected):
            return grant
        seen = self.view(grant, asked.selection)
        if isinstance(seen, Rejected):
            return self._in_turn(seen)
        placed = await self._devices.placed(replace(asked, grant=grant, asked=seen.asked, selection=seen.selection))
        return placed if isinstance(placed, JoinRequest) or placed.retry_after is None else self._in_turn(placed)

    def _in_turn(self, rejected: Rejected) -> Rejected:
        """Have clients of which many are refused for one reason come back one after the other."""
        now = asyncio.get_running_loop().time()
        return replace(rejected, retry_after=self._returns.turn(now, least=rejected.retry_after or 0.0))

    def note_join(self, connection: Connection, status: int) -> None:
        """Count the answer to a client whose connection was taken over, and how long it has waited for it."""
        self.gate.answers.note(status)
        self.gate.join_seconds.note(asyncio.get_running_loop().time() - connection.asked_at)
