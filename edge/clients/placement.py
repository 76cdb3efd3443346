"""Finds a client's place: where in the feed it starts, and the wait until that was read.

A client whose cursor the log knows starts at once. One whose cursor is before the log starts in a replay. For any other
Kafka is asked where the feed ends, since the log may be behind it: such a client starts there, as soon as the log has
read up to that end.
"""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, Protocol

from edge.clients.joining import JoinRequest, Terms, at_end, resumed, resumption
from edge.fanout.delivery import READ_SECONDS
from edge.fanout.loop import lateness
from edge.fanout.session import Session
from edge.feed.joins import Back
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume
from edge.feed.replaying import Bound, Place
from edge.feed.selection import Selection
from edge.wire.handshake import Rejected
from streams.contract import Offset

_ID_BYTES: Final = 8
"""Of a session's id: no two sessions of a log that anybody searches have the same."""
# A replay of an hour takes some seconds: a client that there is no replay for comes back within so long.
_REFUSED_SECONDS: Final = (2.0, 10.0)
_REFUSALS: Final[dict[Bound, str]] = {
    "replays": "As many clients as the server can take read old posts just now. Try again.",
    "bytes": "Old posts take as much memory as the server has for them. Try again.",
    "address": "Too many clients of your address read old posts. Try again.",
}
_EXPIRED: Final = Gap("expired")


def refused(bound: Bound, share: float) -> Rejected:
    """Say why there is no replay for a client now, and when to come back: sooner or later, by ``share`` from 0 to 1."""
    shortest, longest = _REFUSED_SECONDS
    return Rejected(503, _REFUSALS[bound], shortest + (longest - shortest) * share, why="replay")


class FeedEnd(Protocol):
    """What has to be known of the feed's end."""

    async def end(self) -> Offset | None:
        """Say where the feed ends now; None when nobody can say."""
        ...

    async def confirmed_end(self) -> Offset | None:
        """Say the same, by the word of more than one broker; None when they do not agree."""
        ...

    async def reached(self, offset: Offset) -> None:
        """Wait until the log has read up to ``offset``."""
        ...


class OldRecords(Protocol):
    """Replays of what the log has no more; see :class:`edge.feed.replaying.Replays`."""

    def is_at_hand(self, cursor: Cursor, *, or_earliest: bool = False) -> bool:
        """Tell whether a replay runs that has, or soon will have, what follows a cursor."""
        ...

    def bound(self, address: str) -> Bound | None:
        """Return the bound by which no replay may begin now for a client of an address."""
        ...

    def at(
        self, cursor: Cursor, address: str, *, or_earliest: bool = False
    ) -> AbstractAsyncContextManager[Place[Any] | Gap | Bound | None]:
        """Find what follows a cursor for a client of this address, and keep the place meanwhile."""
        ...


class Placement:
    """Finds where clients start, in ``seconds`` at most; ``heartbeat`` is what they are told, in seconds.

    ``resumes`` counts what has become of cursors; ``share`` returns a random number from 0 to 1.
    """

    def __init__(
        self,
        log: Log,
        feed: FeedEnd,
        old: OldRecords,
        *,
        seconds: float,
        heartbeat: float,
        resumes: Counter[str],
        share: Callable[[], float] = random.random,
    ) -> None:
        self._heartbeat = heartbeat
        self._log = log
        self._feed = feed
        self._old = old
        self._seconds = seconds
        self._resumes = resumes
        self._share = share
        self._turn = asyncio.Lock()

    async def session(self, request: JoinRequest, address: str) -> Session | Rejected | None:
        """Return the session that a client of this address has asked for, or why it has to come again.

        None when the feed's end is not known, or what is needed is not read, in time. Nothing is awaited between the
        look at what was read and the return.
        """
        found = resumption(request, self._log)
        if isinstance(found, Resume):
            # Nobody is asked, and no timer set for an answer.
            return self._resumed(request, found)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                return await self._elsewhere(request, found, address)
        return None

    def _resumed(self, request: JoinRequest, found: Resume) -> Session:
        self._resumes["recovered"] += 1
        return resumed(request, self._log, found, self._terms())

    def _terms(self) -> Terms:
        return Terms(secrets.token_hex(_ID_BYTES), self._heartbeat)

    async def _elsewhere(
        self, request: JoinRequest, found: Ahead | Gap | None, address: str
    ) -> Session | Rejected | None:
        """Start a client in a replay, or at the feed's end."""
        if not (found == _EXPIRED and self._log.shows_what_comes):
            end = await self._end(found)
            if end is None:
                return None
            # Another edge was quicker, or this one has just begun.
            again = resumption(request, self._log)
            if isinstance(again, Resume):
                return self._resumed(request, again)
            if isinstance(again, Ahead):
                # The log has read as far as the feed goes, or has begun anew meanwhile, and shorter.
                again = Gap("unknown")
            if again != _EXPIRED:
                return await self._at_end(request, end, again)
        assert isinstance(request.cursor, Cursor)  # noqa: S101 - nothing else expires; told to the type checker
        async with self._old.at(request.cursor, address) as place:
            if not isinstance(place, Gap):
                return self._in_replay(request, place)
        # What is gone is gone, wherever the feed ends now.
        end = await self._end(None)
        return None if end is None else await self._at_end(request, end, place)

    async def _end(self, cursor: Ahead | Gap | None) -> Offset | None:
        """Ask where the feed ends, and wait until the log has read that far; None when nobody can say."""
        end = await self._feed.end()
        if end is not None and isinstance(cursor, Ahead) and cursor.offset > end:
            # A broker that was deposed, and does not know it, tells an end that lies behind.
            end = await self._feed.confirmed_end()
        if end is not None:
            await self._feed.reached(end)
        return end

    def _in_replay(self, request: JoinRequest, place: Place[Any] | Bound | None) -> Session | Rejected | None:
        if place is None:
            # The feed was interrupted meanwhile.
            return None
        if isinstance(place, str):
            self._resumes["refused"] += 1
            return refused(place, self._share())
        self._resumes["replayed"] += 1
        session = resumed(request, self._log, Resume(place.position), self._terms(), place.log)
        session.progress.replay = place.replay
        return session

    async def _at_end(self, request: JoinRequest, end: Offset, gap: Gap | None) -> Session:
        begin = None if request.selection is None else await self._begin(request, request.selection, end)
        if gap is not None:
            self._resumes[gap.reason] += 1
        return at_end(request, self._log, end, self._terms(), gap, begin=begin)

    async def _begin(self, request: JoinRequest, selection: Selection, end: Offset) -> Position:
        """Look for the last posts of a history that the client would have seen."""
        clock = asyncio.get_running_loop().time
        place = Back(self._log.position_at(end), request.history)
        while place.missing:
            async with self._turn:
                # One piece in a turn of the loop, of whichever client: hundreds may have waited for the same answer.
                await asyncio.sleep(0)
                place = self._log.look_back(place, selection, lateness(clock, READ_SECONDS))
        return place.position
