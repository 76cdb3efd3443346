"""Whether a request asks for a WebSocket, and whether it does so by the rules (RFC 6455 §4.2.1).

aiohttp has parsed the request. Of WebSockets it knows only that no request follows one that asks for a WebSocket.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

VERSION: Final = "13"
SUBPROTOCOL: Final = "postcast.v1"
TOKEN_PROTOCOL: Final = "postcast.token."  # noqa: S105 - it stands before a token
"""What stands before a token among the offered subprotocols: a browser can send no other header with a WebSocket."""

_HTTP: Final = (1, 1)
"""The only version with Upgrade: in HTTP/1.0 the header is ignored (RFC 9110 §7.8), HTTP/2 has no such header."""
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
"""Sixteen bytes in base64."""
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 §1.3."""


Why = Literal[
    "request", "full", "address", "stopping", "feed", "filters", "rate", "replay", "pages", "origin",
    "token", "anonymous", "keys", "subject", "positions",
]  # fmt: skip
"""Why a request is refused, as the metrics have it: what it says, or what there is too much of, or too little."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request that cannot be served: an HTTP status and one sentence."""

    status: int
    sentence: str
    retry_after: float | None = None
    """In how many seconds to try again; None when it would fail again."""
    is_closed: bool = False
    """Whether the connection ends with the answer."""
    why: Why = "request"


class Headers(Protocol):
    """A request's headers, by names in any case."""

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return the values of all headers of a name."""
        ...


def is_asked_for(method: str, http_version: tuple[int, int], headers: Headers) -> bool:
    """Say whether a request asks for a WebSocket. One that does not is answered as if it had no ``Upgrade``."""
    return method == "GET" and tuple(http_version) == _HTTP and "websocket" in _tokens(headers, "Upgrade")


def fault_in(headers: Headers) -> Rejected | None:
    """Return how a request that asks for a WebSocket is refused; None when its headers are by the rules."""
    if "upgrade" not in _tokens(headers, "Connection"):
        return Rejected(400, "A WebSocket needs the header Connection: Upgrade.")
    if headers.getall("Upgrade", [""])[0].strip().lower() != "websocket":
        return Rejected(400, "Ask for the WebSocket alone, or first: what else is asked for is not spoken here.")
    if any(value != "0" for value in headers.getall("Content-Length", [])) or headers.getall("Transfer-Encoding", []):
        return Rejected(400, "A request for a WebSocket has no body.")
    if headers.getall("Sec-WebSocket-Version", []) != [VERSION]:
        return Rejected(426, f"The WebSocket's version is {VERSION} here, said once.")
    keys = headers.getall("Sec-WebSocket-Key", [])
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        return Rejected(400, "The header Sec-WebSocket-Key is 16 bytes in base64, and there is one of it.")
    return None


def answer(headers: Headers, *, protocol: str | None, extension: str | None) -> bytes:
    """Return the 101 for a request without a fault, with the agreed subprotocol and extension, if any (§4.2.2)."""
    [key] = headers.getall("Sec-WebSocket-Key", [])
    accept = b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if protocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {protocol}")
    if extension is not None:
        lines.append(f"Sec-WebSocket-Extensions: {extension}")
    return "\r\n".join([*lines, "", ""]).encode()


def tokens(headers: Headers, name: str) -> Iterator[str]:
    """Yield the elements of a list header, which may be spread over several headers (RFC 9110 §5.3)."""
    for value in headers.getall(name, []):
        yield from (token.strip() for token in value.split(","))


def _tokens(headers: Headers, name: str) -> Iterator[str]:
    """Yield the elements of a list header in lower case."""
    yield from (token.lower() for token in tokens(headers, name))
