"""How a request to ``/posts`` is answered: status, headers and body.

Laws (:doc:`docs/protocol.md` and Durable Streams §5.6, §5.7, §8 and §10):

* Only a page that is the same for everybody and for ever may be kept by caches: it begins at a stamped offset, ended
  because it was full, is not the newest, and was not asked for with a token.
* ``Stream-Up-To-Date`` is said where the page ends at the feed's end, and only there.
* An entity tag names all that the bytes of a page follow from.
* ``Stream-Next-Offset`` of what can be read is not before the offset that was asked for.
* A ``Stream-Cursor`` is greater than the one that it answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec import UNSET

from edge.clients.post_requests import PostsRequest, Sentinel
from edge.fanout.greetings import lost_between
from edge.feed.position import Cursor, Reason
from edge.wire.forms import Gone, Lost

_INTERVAL_SECONDS: Final = 20
_EPOCH: Final = 1_728_432_000
"""2024-10-09T00:00:00Z, from which the intervals of a ``Stream-Cursor`` count (§10.1)."""
_JITTER_SECONDS: Final = 3600
NO_STORE: Final = "no-store"
_PRIVATE: Final = "private, no-store"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
# A cache hands what it has to whoever asks for that URL in the same way: with a token it may be something else.
_VARY: Final = "Authorization, Sec-WebSocket-Protocol"
_EMPTY: Final = b"[]"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Page:
    """Posts between two cursors, as a JSON array."""

    start: Cursor
    end: Cursor
    body: bytes
    posts: int
    is_full: bool
    """Whether it ends because it is full."""
    selection: str = ""
    """Whose posts they are; empty for everybody's."""

    @property
    def tag(self) -> str:
        """The entity tag, in quotation marks."""
        return f'"{self.start}-{self.end}{self.selection and f"-{self.selection}"}"'


@dataclass(frozen=True, slots=True)
class Moment:
    """When an answer is given: the seconds since 1970, and a random number from 0 to 1."""

    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; ``headers`` without those that follow from the body."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    page: Page | None = None
    """The page that the body is of: it counts for as long as it is sent."""


def page_answer(request: PostsRequest, page: Page, moment: Moment, *, is_newest: bool) -> Answer:
    """Answer with a page, or with 304 to a client that has it. The newest ends at the feed's end."""
    headers = {
        "Cache-Control": _cache_control(request, page, is_newest=is_newest),
        "Stream-Next-Offset": _next_offset(request, page.end),
    }
    if is_newest:
        headers["Stream-Up-To-Date"] = "true"
    elif headers["Cache-Control"] == _FOR_EVER:
        headers["Vary"] = _VARY
    if request.waits:
        headers["Stream-Cursor"] = str(stream_cursor(request.echo, moment))
    if request.offset is not Sentinel.NOW:
        headers["ETag"] = page.tag
        # Weak comparison (RFC 9110 §13.1.2): proxies that compress make tags weak.
        if not request.known.isdisjoint(("*", page.tag, f"W/{page.tag}")):
            return Answer(HTTPStatus.NOT_MODIFIED, headers)
    return Answer(HTTPStatus.OK, headers, page.body, page)


def end_answer(request: PostsRequest, end: Cursor, moment: Moment) -> Answer:
    """Answer that nothing follows ``end``, which is the feed's: to ``now``, or at the end of a long poll."""
    headers = {
        "Cache-Control": _unshared(request),
        "Stream-Next-Offset": _next_offset(request, end),
        "Stream-Up-To-Date": "true",
    }
    if not request.waits:
        return Answer(HTTPStatus.OK, headers, _EMPTY)
    headers["Stream-Cursor"] = str(stream_cursor(request.echo, moment))
    return Answer(HTTPStatus.NO_CONTENT, headers)


def head_answer(end: Cursor) -> Answer:
    """Answer where the feed ends (§5.5)."""
    return Answer(HTTPStatus.OK, {"Cache-Control": NO_STORE, "Stream-Next-Offset": str(end)})


def gone_answer(request: PostsRequest, reason: Reason, end: Cursor, seen: Cursor | None = None) -> Answer:
    """Answer that what follows ``seen`` cannot be read whole, why, and where to go on: at the feed's end."""
    lost = lost_between(None if seen is None else seen.position, end.position, reason)
    gone = Gone(recovered=False, cursor=str(end), reason=reason, lost=UNSET if lost is None else Lost(lost))
    headers = {"Cache-Control": _unshared(request), "Stream-Next-Offset": str(end)}
    return Answer(HTTPStatus.GONE, headers, msgspec.json.encode(gone))


def stream_cursor(echo: int | None, moment: Moment) -> int:
    """Return the number of the interval of time; beyond what the client echoes, if it has seen that already."""
    interval = int(moment.seconds - _EPOCH) // _INTERVAL_SECONDS
    if echo is None or echo < interval:
        return interval
    return echo + 1 + int(moment.share * (_JITTER_SECONDS - 1)) // _INTERVAL_SECONDS


def _next_offset(request: PostsRequest, end: Cursor) -> str:
    """Return where to go on; never an offset before the one that was asked for.

    An edge that knows no record before a place spells it otherwise than one that knows the record there (law of
    :mod:`edge.feed.position`): where nothing follows, the client keeps the spelling that it has.
    """
    asked = request.offset
    return str(asked if isinstance(asked, Cursor) and asked.position > end.position else end)


def _cache_control(request: PostsRequest, page: Page, *, is_newest: bool) -> str:
    is_for_all = request.is_stamped and page.is_full and not is_newest and not request.has_token
    return _FOR_EVER if is_for_all else _unshared(request)


def _unshared(request: PostsRequest) -> str:
    return _PRIVATE if request.has_token else NO_STORE
