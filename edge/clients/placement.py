"""Where in the log a client starts, and the wait until the log has read that far.

A client whose cursor the log knows starts at once. For any other Kafka is asked where the feed ends, since the log may
be behind it: such a client starts there, as soon as the log has read up to that end.
"""

import asyncio
import secrets
from collections import Counter
from contextlib import suppress
from typing import Final, Protocol

from edge.clients.joining import JoinRequest, Terms, at_end, resumed, resumption
from edge.fanout.session import Session
from edge.feed.log import Log
from edge.feed.position import Ahead, Gap, Resume
from streams.contract import Offset

_ID_BYTES: Final = 8
"""Of a session's id: no two sessions of a log that anybody searches have the same."""


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


class Placement:
    """Finds where clients start, in ``seconds`` at most; ``heartbeat`` is what they are told, in seconds."""

    def __init__(self, log: Log, feed: FeedEnd, seconds: float, heartbeat: float, resumes: Counter[str]) -> None:
        self._heartbeat = heartbeat
        self._log = log
        self._feed = feed
        self._seconds = seconds
        self._resumes = resumes

    async def session(self, request: JoinRequest) -> Session | None:
        """Return the session that was asked for; None when the feed's end is not known, or not read, in time.

        Nothing is awaited between the look into the log and the return.
        """
        found = resumption(request, self._log)
        if isinstance(found, Resume):
            # Nobody is asked, and no timer set for an answer.
            return self._resumed(request, found)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._seconds):
                return await self._behind_the_end(request, found)
        return None

    def _resumed(self, request: JoinRequest, found: Resume) -> Session:
        self._resumes["recovered"] += 1
        return resumed(request, self._log, found, self._terms())

    def _terms(self) -> Terms:
        return Terms(secrets.token_hex(_ID_BYTES), self._heartbeat)

    async def _behind_the_end(self, request: JoinRequest, cursor: Ahead | Gap | None) -> Session | None:
        found: Resume | Ahead | Gap | None = cursor
        end = await self._feed.end()
        if end is not None and isinstance(found, Ahead) and found.offset > end:
            # A broker that was deposed, and does not know it, tells an end that lies behind.
            end = await self._feed.confirmed_end()
        if end is None:
            return None
        await self._feed.reached(end)
        if isinstance(found, Ahead):
            # Another edge was quicker, or there is no such record.
            found = Gap("unknown") if found.offset > end else resumption(request, self._log)
        if isinstance(found, Resume):
            return self._resumed(request, found)
        if isinstance(found, Gap):
            self._resumes[found.reason] += 1
        return at_end(request, self._log, end, self._terms(), found if isinstance(found, Gap) else None)
