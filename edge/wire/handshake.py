"""Whether a request asks for a WebSocket, and whether it does so by the rules (RFC 6455 §4.2.1).

aiohttp checks a handshake too, after this. What it lets pass is refused here: any method and any version of HTTP,
the drafts 7 and 8, headers that may come once and come twice, a key with other characters in it. And to a client of
another version it does not say which one is spoken here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

VERSION: Final = "13"

_HTTP: Final = (1, 1)
"""The one version with an Upgrade: HTTP/1.0 must be answered as if there were none (RFC 9110 §7.8), HTTP/2 has none."""
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{22}==")
"""Sixteen bytes in base64."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A request that cannot be served: an HTTP status and one sentence."""

    status: int
    sentence: str


class Headers(Protocol):
    """A request's headers, by names in any case."""

    def getall(self, key: str, default: list[str], /) -> list[str]:
        """Return the values of all headers of a name."""
        ...


def is_asked_for(method: str, http_version: tuple[int, int], headers: Headers) -> bool:
    """Say whether it is a WebSocket that is wanted; whoever wants something else is to get what he would get anyway."""
    return method == "GET" and tuple(http_version) == _HTTP and "websocket" in _tokens(headers, "Upgrade")


def fault_in(headers: Headers) -> Rejected | None:
    """Say what is wrong with the headers of a request that asks for a WebSocket."""
    if "upgrade" not in _tokens(headers, "Connection"):
        return Rejected(400, "A WebSocket needs the header Connection: Upgrade.")
    if headers.getall("Sec-WebSocket-Version", []) != [VERSION]:
        return Rejected(426, f"The WebSocket's version is {VERSION} here, said once.")
    keys = headers.getall("Sec-WebSocket-Key", [])
    if len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        return Rejected(400, "The header Sec-WebSocket-Key is 16 bytes in base64, and there is one of it.")
    return None


def _tokens(headers: Headers, name: str) -> Iterator[str]:
    """Yield a list's elements, in lower case: a list may be spread over several headers (RFC 9110 §5.3)."""
    for value in headers.getall(name, []):
        yield from (token.strip().lower() for token in value.split(","))
