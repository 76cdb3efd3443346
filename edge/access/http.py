"""aiohttp's part of a connection: HTTP, until the connection is handed over to another protocol.

This is the one place that leans on how aiohttp works; decision 0017 says on what, and why. It leans on one private
name: ``_message_tail``, where aiohttp's protocol keeps what came behind a request that asks for an upgrade, not parsed.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web

from edge.access.answers import Answers
from edge.access.origins import UNREAD, Origins

_ANSWER: Final = (
    "HTTP/1.1 {0} {1}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: {2}\r\n{3}\r\n{1}.\n"
)


class _Nowhere(web.Response):
    async def prepare(self, _request: web.BaseRequest) -> None:
        raise ConnectionResetError


NOWHERE: Final = _Nowhere()
"""What a handler returns whose client is not aiohttp's any more, or has left: nobody gets it, so it is not prepared."""


class Http(web.RequestHandler):
    """aiohttp's protocol for one connection."""

    __slots__ = ("answers", "origins")

    answers: Answers
    """Counts the answers that no route prepares."""
    origins: Origins
    """What these answers tell browsers."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's, and for developers
    ) -> web.StreamResponse:
        """Answer what cannot be served, and close the connection.

        aiohttp logs a traceback for each request that it cannot read, and anybody may send those. Only what is our
        fault is logged here.
        """
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.logger.error("Error handling request", exc_info=exc)
        if self.transport is not None and not request.writer.output_size:
            self.answers.note(status)
            phrase = HTTPStatus(status).phrase
            # Of a request that it could not read, aiohttp gives no headers, as a plain dictionary.
            headers = request.headers if hasattr(request.headers, "getall") else UNREAD
            lines = self.origins.lines(headers)
            self.transport.write(_ANSWER.format(status, phrase, len(phrase) + 2, lines).encode())
        # What is returned goes nowhere: without a transport aiohttp takes it that the client has left.
        self.force_close()
        return web.Response(status=status)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; aiohttp's own to an ``Expect`` that it does not know would say what the client has sent."""
        if isinstance(resp, web.HTTPExpectationFailed):
            resp = web.Response(status=resp.status, text="Nothing is expected here but 100-continue.\n")
        return await super().finish_response(request, resp, start_time)

    def hand_over(self, protocol: asyncio.Protocol) -> bool:
        """Give the connection to another protocol, from within the handler of a request that asks for an upgrade.

        Return whether the client has sent anything behind that request. Nothing may be awaited between this and the
        handler's end, which then returns :data:`NOWHERE`.
        """
        transport = self.transport
        assert transport is not None  # noqa: S101 - the caller has looked; told to the type checker
        is_early = bool(self._message_tail)
        transport.set_protocol(protocol)
        self.let_go()
        return is_early

    def let_go(self) -> None:
        """Have aiohttp take it that the client has left: what is still to be answered goes nowhere."""
        # It closes no transport that it does not have.
        self.transport = None
        self.connection_lost(None)


def handlers(
    server: web.Server, answers: Answers, origins: Origins, *, keepalive_seconds: float, head_bytes: int
) -> Callable[[], Http]:
    """Return what makes the protocol for a new connection to ``server``.

    A head may have ``head_bytes``, all of them in one line: aiohttp answers a line that it finds too long with 400,
    whatever its headers say. A URL or a token that is too long is refused as such, behind it.
    """
    loop = asyncio.get_running_loop()

    def make() -> Http:
        # None, says aiohttp's own AppRunner, is no log.
        http = Http(
            server,
            loop=loop,
            keepalive_timeout=keepalive_seconds,
            access_log=None,  # type: ignore[arg-type]
            max_line_size=head_bytes,
            max_field_size=head_bytes,
        )
        http.answers = answers
        http.origins = origins
        return http

    return make


async def without_server_header(_request: web.Request, response: web.StreamResponse) -> None:
    """Tell nobody which versions of what run here; a signal of aiohttp's, sent before an answer's head is written."""
    response.headers.pop(hdrs.SERVER, None)
