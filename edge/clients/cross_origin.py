"""Applies the rule on origins to requests: refuses those of other pages, answers preflights, and tells browsers."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from edge.access.origins import EVERYBODY, PREFLIGHT, Origins
from edge.clients.refusals import refusal
from edge.wire.handshake import is_asked_for

OPEN: Final = frozenset(("/client.js", "/client-tabs.js", "/client.d.ts"))
"""What the pages of all origins may load, whatever they may read: it is everybody's to have."""


def guard(origins: Origins) -> Middleware:
    """Make the middleware that lets no page read what is not for its origin.

    A request for a WebSocket passes: how its refusal is told is up to the transport.
    """

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        rule = _rule(origins, request)
        if request.path == "/" and is_asked_for(request.method, request.version, request.headers):
            return await handler(request)
        if (fault := rule.fault_in(request.headers)) is not None:
            return refusal(fault)
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
