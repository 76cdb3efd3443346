"""What a request to ``/posts`` asks for: the read half of Durable Streams, in JSON mode.

The protocol's sections are those of PROTOCOL.md at commit f380bca of github.com/durable-streams/durable-streams.
"""

from dataclasses import dataclass
from enum import Enum, unique
from typing import Final

from edge.clients.joining import BAD_AUTHORS, Query
from edge.feed.position import NO_STAMP, Cursor, Gap, parse
from edge.feed.selection import BadAuthors, Selection, parse_authors, selection_of
from edge.wire.handshake import TOKEN_PROTOCOL, Headers, Rejected, tokens

# Enough for intervals of 20 s until the end of all calendars.
_ECHO_DIGITS: Final = 15


@unique
class Sentinel(Enum):
    """An offset that names a place and no position (§8)."""

    BEGINNING = "-1"
    NOW = "now"


@dataclass(frozen=True, slots=True)
class PostsRequest:
    """From where on to read, and how."""

    offset: Cursor | Sentinel = Sentinel.BEGINNING
    waits: bool = False
    """Whether to wait for posts where none follow: ``live=long-poll``."""
    echo: int | None = None
    """The ``Stream-Cursor`` of an earlier answer."""
    known: frozenset[str] = frozenset()
    """The entity tags of pages that the client has."""
    selection: Selection | None = None
    """Whose posts it asks for; None for everybody's."""
    has_token: bool = False
    """Whether the client says who it is: what it gets is for nobody else."""

    @property
    def is_stamped(self) -> bool:
        """Whether the offset names the record behind which it stands, so that it cannot stand in another topic."""
        return isinstance(self.offset, Cursor) and self.offset.stamp != NO_STAMP


def posts_request(query: Query, headers: Headers) -> PostsRequest | Rejected:
    """Read the query and the headers of a request."""
    try:
        selection = selection_of(parse_authors(query.getall("author", ())))
    except BadAuthors:
        return Rejected(400, BAD_AUTHORS)
    live, offset, echo = query.get("live"), query.get("offset"), query.get("cursor")
    fault = _fault_in(query)
    if fault is not None:
        return Rejected(400, fault)
    place = _place(offset)
    if place is None:
        return Rejected(400, "The offset is a Stream-Next-Offset as it was given, or -1, or now.")
    if echo is not None and not (echo.isascii() and echo.isdigit() and len(echo) <= _ECHO_DIGITS):
        return Rejected(400, "The cursor is a Stream-Cursor as it was given; a place in the feed is an offset here.")
    return PostsRequest(
        place,
        waits=live is not None,
        echo=None if echo is None else int(echo),
        known=frozenset(tokens(headers, "If-None-Match")),
        selection=selection,
        has_token=_has_token(query, headers),
    )


def _fault_in(query: Query) -> str | None:
    """Return why a request cannot be served whatever its offset is."""
    live = query.get("live")
    if live not in (None, "long-poll"):
        return "Of the live modes there is long-poll."
    if query.get("offset") is None and live is not None:
        return "A long poll needs an offset: a Stream-Next-Offset, or now."
    if query.get("device") is not None:
        # Nothing is acknowledged here: that its position were known would be a promise that nobody keeps.
        return "A device has no place here: ask for an offset, and keep the newest."
    return None


def _place(offset: str | None) -> Cursor | Sentinel | None:
    """Return what an offset names; None when it is none."""
    if offset is None:
        # The same as -1 (§5.6).
        return Sentinel.BEGINNING
    if offset in (each.value for each in Sentinel):
        return Sentinel(offset)
    cursor = parse(offset)
    return None if isinstance(cursor, Gap) else cursor


def _has_token(query: Query, headers: Headers) -> bool:
    """Tell whether a request says who the client is in any of the ways in which it can, be it believed or not."""
    return (
        bool(headers.getall("Authorization", []))
        or query.get("token") is not None
        or any(each.startswith(TOKEN_PROTOCOL) for each in tokens(headers, "Sec-WebSocket-Protocol"))
    )
