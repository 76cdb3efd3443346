"""Refuses a request by HTTP: a status, a sentence, and when to try again where that makes sense."""

import math
from http import HTTPStatus
from typing import Final

from aiohttp import web

from edge.wire.handshake import VERSION, Rejected

_UPGRADE: Final = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": VERSION}
"""What to upgrade to, and to which version of it (RFC 9110 §15.5.22, RFC 6455 §4.4)."""


def refusal(rejected: Rejected) -> web.Response:
    """Make the answer to a request that is refused."""
    headers = dict(_UPGRADE) if rejected.status == HTTPStatus.UPGRADE_REQUIRED else {}
    if rejected.status == HTTPStatus.UNAUTHORIZED:
        # RFC 6750 §3: to who comes without a token no error is told.
        headers["WWW-Authenticate"] = "Bearer" if rejected.why == "anonymous" else 'Bearer error="invalid_token"'
    if rejected.retry_after is not None:
        # In whole seconds (RFC 9110 §10.2.3).
        headers["Retry-After"] = str(math.ceil(rejected.retry_after))
    response = web.Response(status=rejected.status, text=f"{rejected.sentence}\n", headers=headers)
    if rejected.is_closed:
        response.force_close()
    return response
