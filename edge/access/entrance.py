"""What stands between a client and aiohttp until the WebSocket is open: the limits on requests.

aiohttp bounds the lines of a request's head, and closes a connection that has been without a whole
request for the time that it keeps idle ones alive (75 s). It bounds neither the head nor the time
for it. So all bytes pass through here first. They are passed on unchanged; at a breach the rest is
not passed on at all, so that nothing is parsed, kept or answered that is beyond a limit.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from edge.access.addresses import Address, Header, Network, block_of, client_of, hops_of, is_trusted, parse_address
from edge.access.answers import Answers
from edge.access.limits import Census, Place, Standing
from edge.histogram import Histogram
from edge.wire.allowance import Traffic
from edge.wire.inbound import Heads

LINGER_SECONDS: Final = 1.0
"""How long a client that broke a limit has to read why; meanwhile nothing is read from it."""

_ANSWER: Final = "HTTP/1.1 {0} {0.phrase}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for each connection."""

    handshake_seconds: float
    """How long a request's head may take; a connection above a limit is gone after this in any case."""
    head_bytes: int
    traffic: Traffic
    trusted: Sequence[Network] = ()
    header: Header = "x-forwarded-for"


class Gate:
    """Lets connections in, and counts those that it does not or that it ends."""

    def __init__(self, rules: Rules, census: Census) -> None:
        self.rules = rules
        self.census = census
        self.breaches: Counter[str] = Counter()
        """Connections that were ended by a limit, by its name."""
        self.answers = Answers()
        self.takeovers = 0
        """Connections that were taken over from aiohttp."""
        self.join_seconds = Histogram()
        """How long clients waited from their request to the 101."""

    @property
    def limited(self) -> dict[str, int]:
        """Connections that were refused or ended, by the limit's name."""
        return {**self.breaches, **{standing.value: count for standing, count in self.census.turned_away.items()}}

    def admit(self, host: str, handler: Callable[[], asyncio.Protocol]) -> "Entrance | None":
        """Make the protocol for a connection from ``host``, around aiohttp's; None when it is to be cut."""
        peer = parse_address(host)
        is_proxy = peer is None or is_trusted(peer, self.rules.trusted)
        place = self.census.arrive(None if peer is None or is_proxy else block_of(peer))
        return None if place is None else Entrance(self, peer, place, handler())


class Entrance(asyncio.Protocol):
    """One connection's protocol, around aiohttp's."""

    __slots__ = (
        "_deadline",
        "_gate",
        "_heads",
        "_inner",
        "_loop",
        "_peer",
        "_place",
        "_transport",
        "has_refused",
    )

    def __init__(self, gate: Gate, peer: Address | None, place: Place, inner: asyncio.Protocol) -> None:
        self._gate = gate
        self._peer = peer
        self._place: Place | None = place
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._heads = Heads(gate.rules.head_bytes)
        self.has_refused = False
        """Whether a limit was broken: nothing more is read."""
        self._deadline: asyncio.TimerHandle | None = None

    def client(self, request: web.BaseRequest) -> Address | None:
        """Return whose request it is; None when the connection has no address."""
        if self._peer is None:
            return None
        rules = self._gate.rules
        hops = hops_of(rules.header, request.headers.getall(rules.header, ()))
        return client_of(self._peer, hops, rules.trusted)

    def standing(self, client: Address | None) -> Standing:
        """Say whether its client may have a WebSocket."""
        assert self._place is not None  # noqa: S101 - it is there until the connection is lost
        if client is None or is_trusted(client, self._gate.rules.trusted):
            # A proxy that does not say who is behind it has no limit of its own.
            return self._place.standing
        return self._gate.census.name(self._place, block_of(client))

    def let_go(self) -> Place:
        """Leave the connection, which is a WebSocket from now on, to somebody else, with its place in the census."""
        assert self._place is not None  # noqa: S101 - it is there until the connection is lost
        self._disarm()
        self._gate.takeovers += 1
        place, self._place = self._place, None
        return place

    def dismiss(self) -> None:
        """Count the connection no more; once is enough."""
        if self._place is not None:
            self._gate.census.leave(self._place)
            self._place = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast("asyncio.Transport", transport)
        self._arm()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what is within the limits."""
        if self.has_refused:
            # aiohttp has read what it had before, and so wants more.
            self._transport.pause_reading()
        else:
            self._receive_request(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._disarm()
        self.dismiss()
        self._inner.connection_lost(exc)

    def _receive_request(self, data: bytes) -> None:
        earlier = self._heads.ended
        if not self._heads.feed(data):
            self._refuse("head", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        if self._heads.size:
            self._arm()
        elif self._heads.ended == earlier:
            # An empty line is no request.
            pass
        elif self._place is not None and self._place.standing is Standing.ADMITTED:
            # What is left is up to us: who asks for a WebSocket waits JOIN_SECONDS at most.
            self._disarm()
        self._inner.data_received(data)

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self._loop.call_later(self._gate.rules.handshake_seconds, self._be_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _be_late(self) -> None:
        self._deadline = None
        if self._heads.size:
            self._refuse("handshake", HTTPStatus.REQUEST_TIMEOUT)
        else:
            # A browser connects before it knows what to ask for: no answer to what was not asked.
            self._gate.breaches["handshake"] += 1
            self._transport.abort()

    def _refuse(self, limit: str, status: HTTPStatus) -> None:
        self._stop_reading(limit)
        self._gate.answers.note(status)
        self._transport.write(_ANSWER.format(status).encode())

    def _stop_reading(self, limit: str) -> None:
        """Read nothing more, and cut the connection when the client has had time to see why.

        Closed at once with bytes unread, the kernel would reset it, and the client might never see the reason.
        """
        # Of a request that was refused none is late.
        self._disarm()
        self._gate.breaches[limit] += 1
        self.has_refused = True
        self._transport.pause_reading()
        self._loop.call_later(LINGER_SECONDS, self._transport.abort)
