"""Decides which web pages may read the edge, by the origin that a browser names, and tells browsers so.

A browser sends ``Origin`` with each request of a page's script to another origin, and with every WebSocket; the script
cannot change it. It sends none with other GETs, and says in ``Sec-Fetch-Site`` where they come from (not every browser
does, and none over plain HTTP). Clients that are no browsers send what they like: an origin protects the people in
front of browsers, and does not tell who is asking.

Laws: an origin is compared whole, never by a part of it. The request's ``Host`` decides nothing: with a DNS name of his
own, anybody can make it equal to his page's origin. Credentials are never allowed.

References: RFC 6454 (origins), the Fetch standard (CORS), the W3C's Fetch Metadata.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from edge.wire.handshake import Headers, Rejected

_ALL: Final = {"Access-Control-Allow-Origin": "*"}
_VARIES: Final = {"Vary": "Origin"}
_EXPOSED: Final = {
    "Access-Control-Expose-Headers": "Stream-Next-Offset, Stream-Up-To-Date, Stream-Cursor, ETag, Retry-After"
}
PREFLIGHT: Final = {
    "Access-Control-Allow-Methods": "GET, HEAD, OPTIONS",
    # The asterisk stands for all names but this one (Fetch standard, CORS-preflight fetch).
    "Access-Control-Allow-Headers": "Authorization, *",
    # A day; browsers cap it at less.
    "Access-Control-Max-Age": "86400",
}
"""What the answer to ``OPTIONS`` adds to :meth:`Origins.headers`."""
_REFUSED: Final = Rejected(403, "Pages of your origin may not read this server.", why="origin")
_FOREIGN: Final = frozenset(("cross-site", "same-site"))

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)")
_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_MAX_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Origins:
    """The origins whose pages may read the edge; None for all of them."""

    allowed: frozenset[str] | None = None

    def fault_in(self, headers: Headers) -> Rejected | None:
        """Return how a request is refused because of the page that it comes from; None when it may be answered.

        A request without an origin is refused when the browser says that it is another site's or another host's,
        unless a person goes there with it: what a link leads to is shown to the person and to no script.
        """
        if self.allowed is None or self._allows(headers.getall("Origin", [])):
            return None
        if headers.getall("Origin", []) or (_is_foreign(headers) and not _is_navigation(headers)):
            return _REFUSED
        return None

    def headers(self, headers: Headers) -> Mapping[str, str]:
        """Return what the answer to a request tells browsers, refusals included."""
        if self.allowed is None:
            return _ALL | _EXPOSED
        origins = headers.getall("Origin", [])
        return {**_VARIES, **({"Access-Control-Allow-Origin": origins[0], **_EXPOSED} if self._allows(origins) else {})}

    def lines(self, headers: Headers) -> str:
        """Return :meth:`headers` as lines of an answer's head."""
        return "".join(f"{name}: {value}\r\n" for name, value in self.headers(headers).items())

    def _allows(self, origins: list[str]) -> bool:
        return self.allowed is not None and len(origins) == 1 and origins[0] in self.allowed


class _NoHeaders:
    def getall(self, _key: str, default: list[str], /) -> list[str]:
        return default


UNREAD: Final = _NoHeaders()
"""The headers of a request that was not read."""
EVERYBODY: Final = Origins()
NOBODY: Final = Origins(frozenset())
"""For the operators' port: they ask with no browser's script."""


def _is_foreign(headers: Headers) -> bool:
    return not _FOREIGN.isdisjoint(headers.getall("Sec-Fetch-Site", []))


def _is_navigation(headers: Headers) -> bool:
    return headers.getall("Sec-Fetch-Mode", []) == ["navigate"] and headers.getall("Sec-Fetch-Dest", []) == ["document"]


def parse_origins(text: str) -> frozenset[str] | None:
    """Read origins separated by commas; ``*`` alone is all of them, and is returned as None.

    They are written as browsers write them: in lower case, without the scheme's own port. Raises :class:`ValueError`
    with a sentence about the first one that is wrong.
    """
    parts = [part.strip() for part in text.split(",")]
    if parts == ["*"]:
        return None
    return frozenset(map(_parse, parts))


def _parse(text: str) -> str:
    if not text:
        raise ValueError("there is nothing between two of its commas, or at an end")
    if text == "*":
        raise ValueError("* is all origins, and stands alone")
    found = _ORIGIN.fullmatch(text.lower())
    if found is None:
        raise ValueError(f"must be * or origins such as https://www.example.org with commas between them, not {text}")
    scheme, authority, rest = found.groups()
    if "@" in authority:
        raise ValueError("an origin has no user")
    if rest:
        raise ValueError(f"an origin ends behind its host and port, without a slash, unlike {text}")
    if "*" in authority:
        raise ValueError(f"each host is named whole, unlike {text}")
    parts = _HOST.fullmatch(authority)
    if parts is None or not _is_host(parts[1]):
        raise ValueError(f"the host of {text} cannot be read (letters that ASCII does not have are written xn--…)")
    host, port = parts[1], int(parts[2] or 0)
    if parts[2] and not 1 <= port <= _MAX_PORT:
        raise ValueError(f"the port of {text} is not one of 1 to {_MAX_PORT}")
    return f"{scheme}://{host}" if port in {0, _DEFAULT_PORTS.get(scheme)} else f"{scheme}://{host}:{port}"


def _is_host(host: str) -> bool:
    if not host.startswith("["):
        return True
    try:
        # A browser writes the shortest form, and so it must be written here.
        return IPv6Address(host[1:-1]).compressed == host[1:-1]
    except ValueError:
        return False
