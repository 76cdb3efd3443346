"""A client's connection while it is aiohttp's: whose it is, what it is asked for, and how it is taken over."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from aiohttp import web

from edge.access.addresses import Address, block_of
from edge.access.entrance import Entrance
from edge.access.http import Http
from edge.access.limits import Admission, Slot

P = TypeVar("P", bound=asyncio.Protocol)


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
        is nobody to serve. Nothing may be awaited between this and the handler's end, which then returns
        :data:`edge.access.http.NOWHERE`.
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

    def sign_in(self, subject: str) -> bool:
        """Count the connection as its subject's, until it is lost or :meth:`sign_out`; tell whether there is room."""
        return self._entrance.sign_in(subject)

    def sign_out(self) -> None:
        """Count the connection as nobody's, unless it was taken over: it may have another's request next."""
        self._entrance.sign_out()

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
