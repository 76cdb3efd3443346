"""Enforces the limits on requests, between a connection and aiohttp's protocol, until the WebSocket is open.

aiohttp bounds the lines of a request's head, and closes a connection that has been without a whole request for its
keep-alive time (75 s). It bounds neither the size of a head nor the time for it, and waits for ever for a client that
takes nothing of an answer. So all bytes pass through here first, unchanged. Laws:

* At a breach the rest is not passed on: nothing beyond a limit is parsed, kept or answered.
* The answer to a breach is the last that is written on a connection: aiohttp has it no more. Where the parts of an
  answer are under way these are, and the breach is not answered.
* A connection whose transport holds unsent bytes of an answer for ``stalled_seconds`` is cut.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, cast

from aiohttp import web

from edge.access.addresses import Address, block_of, client_of, hops_of, is_trusted, parse_address
from edge.access.answers import Answers, refusal
from edge.access.cycles import let_go
from edge.access.inner import Inner
from edge.access.limits import Admission, Census, Slot
from edge.access.origins import EVERYBODY, UNREAD, Origins
from edge.access.rules import Rules
from edge.access.waits import Waits
from edge.histogram import Histogram
from edge.wire.request_heads import RequestHeadCounter

LINGER_SECONDS: Final = 1.0
"""How long a connection stays open after the answer to a breach; nothing is read from it meanwhile."""

_TOO_LARGE: Final = "The request's head is larger than it may be."
_LATE: Final = "The request was not finished in time."


class Gate:
    """Admits connections to a listener, and counts refused and ended ones."""

    def __init__(self, rules: Rules, census: Census, origins: Origins = EVERYBODY) -> None:
        self.rules = rules
        self.census = census
        self.origins = origins
        """Whose pages may read what is answered."""
        self.breaches: Counter[str] = Counter()
        """Connections that were ended by a limit, by its name."""
        self.answers = Answers()
        self.takeovers = 0
        """Connections that were taken over from aiohttp."""
        self.heads = Waits(rules.handshake_seconds)
        """Connections whose requests are not there yet."""
        self.lingering = Waits(LINGER_SECONDS)
        """Connections that were refused."""
        self.unsent = Waits(rules.stalled_seconds)
        """Connections whose answers were not taken yet."""
        self.join_seconds = Histogram()
        """Seconds from a client's request to the 101."""

    @property
    def limited(self) -> dict[str, int]:
        """Connections that were refused or ended, by the limit's name."""
        return {**self.breaches, **{admission.value: count for admission, count in self.census.turned_away.items()}}

    def admit(self, host: str, handler: Callable[[], Inner]) -> "Entrance | None":
        """Make the protocol for a connection from ``host``, around aiohttp's; return None when it is to be closed."""
        peer = parse_address(host)
        is_proxy = peer is None or is_trusted(peer, self.rules.trusted)
        slot = self.census.arrive(None if peer is None or is_proxy else block_of(peer))
        return None if slot is None else Entrance(self, peer, slot, handler())


class Entrance(asyncio.Protocol):
    """One connection's protocol, around aiohttp's."""

    __slots__ = (
        "_gate",
        "_heads",
        "_inner",
        "_loop",
        "_lost",
        "_peer",
        "_slot",
        "_transport",
        "has_refused",
    )

    def __init__(self, gate: Gate, peer: Address | None, slot: Slot, inner: Inner) -> None:
        self._gate = gate
        self._peer = peer
        self._slot: Slot | None = slot
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._heads = RequestHeadCounter(gate.rules.head_bytes)
        self.has_refused = False
        """Whether a limit was broken: nothing more is read."""
        self._lost: Callable[[], None] | None = None

    @contextmanager
    def answering(self, lost: Callable[[], None]) -> Iterator[None]:
        """Write nothing between the parts of an answer meanwhile; call ``lost`` when the client leaves.

        Who answers so sees to it that the client takes what it is sent.
        """
        self._lost = lost
        try:
            yield
        finally:
            self._lost = None

    def client(self, request: web.BaseRequest) -> Address | None:
        """Return the address of a request's client; None when the connection has no address."""
        if self._peer is None:
            return None
        rules = self._gate.rules
        hops = hops_of(rules.header, request.headers.getall(rules.header, ()))
        return client_of(self._peer, hops, rules.trusted)

    def admission_of(self, client: Address | None) -> Admission:
        """Say whether this client is within the limits on WebSockets."""
        assert self._slot is not None  # noqa: S101 - it is there until the connection is lost
        if client is None or is_trusted(client, self._gate.rules.trusted):
            # A proxy that does not say who is behind it has no limit of its own.
            return self._slot.admission
        return self._gate.census.identify(self._slot, block_of(client))

    def sign_in(self, subject: str) -> bool:
        """Count the connection as its subject's; tell whether there is room. Of one that is lost nothing is counted."""
        return self._slot is None or self._gate.census.sign_in(self._slot, subject)

    def sign_out(self) -> None:
        """Count the connection, which stays aiohttp's, as nobody's."""
        if self._slot is not None:
            self._gate.census.sign_out(self._slot)

    def hand_over(self) -> Slot:
        """Stop enforcing limits: the connection becomes a WebSocket; return its slot, which its new owner frees."""
        assert self._slot is not None  # noqa: S101 - it is there until the connection is lost
        self._disarm()
        self._gate.unsent.end(self._be_stalled)
        self._gate.takeovers += 1
        slot, self._slot = self._slot, None
        return slot

    def free_slot(self) -> None:
        """Stop counting the connection, if it is still counted here."""
        if self._slot is not None:
            self._gate.census.leave(self._slot)
            self._slot = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the time for a request."""
        self._transport = cast("asyncio.Transport", transport)
        # So that it says when it holds anything, and when it holds nothing any more.
        self._transport.set_write_buffer_limits(high=0)
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
        """Begin the time that a client has to take what it is sent, and pass it on."""
        if self._lost is None:
            self._gate.unsent.begin(self._be_stalled, self._loop)
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """End it, and pass it on."""
        self._gate.unsent.end(self._be_stalled)
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the slot, and pass it on."""
        self._disarm()
        self._gate.unsent.end(self._be_stalled)
        self._gate.lingering.end(self._transport.abort)
        self.free_slot()
        if self._lost is not None:
            self._lost()
        self._inner.connection_lost(exc)
        let_go(self._transport)

    def _receive_request(self, data: bytes) -> None:
        earlier = self._heads.ended
        if not self._heads.feed(data):
            self._refuse("head", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _TOO_LARGE)
            return
        if self._heads.size:
            self._arm()
        elif self._heads.ended == earlier:
            # An empty line is no request.
            pass
        elif self._slot is not None and self._slot.admission is Admission.ADMITTED:
            # What is left is up to us: who asks for a WebSocket waits JOIN_SECONDS at most.
            self._disarm()
        self._inner.data_received(data)

    def _arm(self) -> None:
        self._gate.heads.begin(self._be_late, self._loop)

    def _disarm(self) -> None:
        self._gate.heads.end(self._be_late)

    def _be_late(self) -> None:
        if self._heads.size:
            self._refuse("handshake", HTTPStatus.REQUEST_TIMEOUT, _LATE)
        else:
            # A browser connects before it knows what to ask for: no answer to what was not asked.
            self._gate.breaches["handshake"] += 1
            self._transport.abort()

    def _be_stalled(self) -> None:
        self._gate.breaches["stalled"] += 1
        self._transport.abort()

    def _refuse(self, limit: str, status: HTTPStatus, sentence: str) -> None:
        self._stop_reading(limit)
        if self._lost is not None:
            # What is written now would be taken for a part of the answer that is under way.
            return
        self._gate.answers.note(status)
        self._transport.write(refusal(status, sentence, self._gate.origins.lines(UNREAD)))
        # A request that is still to be answered, before the one that broke the limit, is answered so, too.
        self._inner.let_go()

    def _stop_reading(self, limit: str) -> None:
        """Read nothing more, and cut the connection when the client has had time to see why.

        Closed at once with bytes unread, the kernel would reset it, and the client might never see the reason.
        """
        # Of a request that was refused none is late.
        self._disarm()
        self._gate.breaches[limit] += 1
        self.has_refused = True
        self._transport.pause_reading()
        self._gate.lingering.begin(self._transport.abort, self._loop)
