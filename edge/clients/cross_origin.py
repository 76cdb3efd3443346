"""Applies to each request the rules that are the same for all transports, and tells browsers whose pages may read.

The page that asks has an origin that may read, and the URL is no longer than it may be. A preflight is answered.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from edge.access.origins import EVERYBODY, PREFLIGHT, Origins
from edge.clients.refusals import refusal
from edge.wire.handshake import Rejected, Why, is_asked_for

OPEN: Final = frozenset(("/client.js", "/client-tabs.js", "/client.d.ts"))
"""What the pages of all origins may load, whatever they may read: it is everybody's to have."""
_URL_BYTES: Final = 8190
"""How long a URL may be, without the origin: as much as other servers take in a request's first line."""
_TOO_LONG: Final = Rejected(414, f"The URL has more than {_URL_BYTES} bytes.")


def fault_in(origins: Origins, request: web.Request) -> Rejected | None:
    """Return how a request is refused, whatever it asks for; None when it is not."""
    foreign = _rule(origins, request).fault_in(request.headers)
    return foreign or (_TOO_LONG if len(request.raw_path) > _URL_BYTES else None)


def guard(origins: Origins, refusals: Counter[tuple[str, Why]]) -> Middleware:
    """Make the middleware that refuses what is not for a page's origin, or is too long, and counts it.

    A request for a WebSocket passes: how its refusal is told is up to the transport.
    """

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == "/" and is_asked_for(request.method, request.version, request.headers):
            return await handler(request)
        if (fault := fault_in(origins, request)) is not None:
            refusals["http", fault.why] += 1
            response = refusal(fault)
            # Without it caches may keep a 414 (RFC 9110 §15.5.15).
            response.headers[hdrs.CACHE_CONTROL] = "no-store"
            return response
        if request.method == hdrs.METH_OPTIONS:
            return web.Response(status=HTTPStatus.NO_CONTENT, headers=PREFLIGHT)
        return await handler(request)

    return answer


def telling(origins: Origins) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Make the signal, sent before an answer's head is written, that adds what the answer tells browsers."""

    async def tell(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in _rule(origins, request).headers(request.headers).items():
            if name == hdrs.VARY:
                # An answer may vary by more than the origin.
                response.headers.add(name, value)
            else:
                response.headers[name] = value

    return tell


def _rule(origins: Origins, request: web.Request) -> Origins:
    return EVERYBODY if request.path in OPEN else origins
