"""Finds what a request to ``/posts`` is answered: a page, the feed's end, or that a page cannot be given.

A request waits in three places only: for Kafka's word on where the feed ends, and the log's getting there, for
``join_seconds`` at most; for a page's being made; and, if it is a long poll, for a post.
"""

import asyncio
import math
import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from edge.clients.placement import FeedEnd
from edge.clients.post_answers import Answer, Moment, Page, end_answer, gone_answer, head_answer, page_answer
from edge.clients.post_old_pages import OldPages
from edge.clients.post_pages import Pages
from edge.clients.post_requests import PostsRequest, Sentinel
from edge.clients.post_waiters import AT_ONCE, Waiter, Waiters
from edge.fanout.alarm import Alarm
from edge.fanout.deadlines import Entry
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Reason, Resume, before
from edge.feed.reads import Reading
from edge.feed.recent import RecentEnd
from edge.wire.handshake import Rejected
from edge.wire.json_encoding import JSON
from streams.contract import Offset

_UNKNOWN: Final = Rejected(503, "The feed cannot be followed now. Try again.", 1.0, why="feed")
_EXPIRED: Final = Gap("expired")
_FIRST: Final = before(Offset(0))
# Long polls end at different times: their clients come back at once.
_SPREAD: Final = 0.1


class Poll:
    """A request of a client of this address; ``wake`` has it look whether it still has to wait."""

    def __init__(self, address: str = "") -> None:
        self.address = address
        self.ends_at = math.inf
        """When it waits no more in any case, by the loop's clock: its client's token has run out."""
        self.entry: Entry | None = None
        self._woken = asyncio.Event()
        self.is_over = False
        """Whether it waits no more: the client has left, or the edge ends."""

    def end(self) -> None:
        """Have it wait no more."""
        self.is_over = True
        self.wake()

    def wake(self) -> None:
        """Have it look."""
        self._woken.set()

    async def wait(self) -> None:
        """Return when it was woken."""
        await self._woken.wait()
        self._woken.clear()


class PostReading:
    """Reads the feed for requests; ``patience`` is how long a long poll waits, in seconds, give or take a tenth."""

    def __init__(
        self,
        log: Log,
        feed: FeedEnd,
        pages: Pages,
        old: OldPages,
        waiters: Waiters,
        *,
        join_seconds: float,
        patience: float,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._log = log
        self._feed = feed
        self._recent = RecentEnd(feed.end, join_seconds)
        self._pages = pages
        self._old = old
        self._waiters = waiters
        # Polls that end together, as those with tokens of one hour do, write their answers in the next turn.
        self._ends = Alarm(asyncio.get_running_loop(), AT_ONCE, Poll.wake)
        self._join_seconds = join_seconds
        self._patience = patience
        self._share = share

    async def head(self) -> Answer | Rejected:
        """Say where the feed ends."""
        end = await self._end()
        return _UNKNOWN if end is None else head_answer(end)

    async def answer(self, request: PostsRequest, poll: Poll) -> Answer | Rejected:
        """Read what a request asks for, once there is something if it waits."""
        match request.offset:
            case Sentinel.NOW:
                start = await self._end()
                if start is not None and not request.waits:
                    return end_answer(request, start, self._moment())
            case Sentinel.BEGINNING:
                if await self._end() is None:
                    return _UNKNOWN
                start = self._log.cursor_at(self._log.tail)
                if start != _FIRST:
                    return await self._read_old(request, _FIRST, poll)
            case cursor:
                return await self._go_on(request, cursor, poll)
        return _UNKNOWN if start is None else await self._read(request, start, poll)

    async def _go_on(self, request: PostsRequest, cursor: Cursor, poll: Poll) -> Answer | Rejected:
        """Read what follows a cursor, in the log or where that has it no more."""
        found = await self._find(cursor)
        if found == _EXPIRED:
            return await self._read_old(request, cursor, poll)
        if isinstance(found, Gap):
            return await self._gone(request, found.reason, cursor)
        return _UNKNOWN if found is None else await self._read(request, self._log.cursor_at(found.position), poll)

    async def _read_old(self, request: PostsRequest, cursor: Cursor, poll: Poll) -> Answer | Rejected:
        """Read what the log has no more, or the first that may be offered."""
        is_first = request.offset is Sentinel.BEGINNING
        found: Page | Gap | Rejected | None = None
        with suppress(TimeoutError):
            async with asyncio.timeout(self._join_seconds):
                found = await self._old.get(
                    cursor, Reading(JSON, request.selection), poll.address, or_earliest=is_first
                )
        match found:
            case Page():
                return page_answer(request, found, self._moment(), is_newest=await self._is_newest(found.end))
            case Gap("expired") if is_first:
                # The log has what there is.
                return await self._read(request, self._log.cursor_at(self._log.tail), poll)
            case Gap(reason):
                # Of a client that has seen nothing yet nobody knows how much it misses.
                return await self._gone(request, reason, None if is_first else cursor)
            case None:
                return _UNKNOWN
            case refused:
                return refused

    async def _read(self, request: PostsRequest, start: Cursor, poll: Poll) -> Answer | Rejected:
        loop, reading = asyncio.get_running_loop(), Reading(JSON, request.selection)
        until = min(poll.ends_at, loop.time() + self._patience * (1 - _SPREAD + 2 * _SPREAD * self._share()))
        while isinstance(found := self._log.resume(start), Resume):
            page = await self._pages.get(self._log.cursor_at(found.position), reading)
            if isinstance(page, Rejected):
                return page
            if page.posts or page.is_full:
                return page_answer(request, page, self._moment(), is_newest=await self._is_newest(page.end))
            if not request.waits:
                # A page of posts may follow until the log's getting there.
                end = await self._end()
                if end is None or end == page.end:
                    return _UNKNOWN if end is None else page_answer(request, page, self._moment(), is_newest=True)
            elif poll.is_over or loop.time() >= until:
                end = await self._end()
                if end is None or end == page.end:
                    return _UNKNOWN if end is None else end_answer(request, end, self._moment())
            elif page.end == self._log.cursor_at(self._log.head):
                # Nothing was awaited since this was seen, so that no record is missed.
                waiter = await self._wait(page.end, reading, poll, until)
                if waiter.gap is not None:
                    return await self._gone(request, waiter.gap, waiter.cursor)
                start = waiter.cursor
        # While the request waited for its page, or its turn, the log has moved past it or begun anew.
        return await self._go_on(request, start, poll)

    async def _wait(self, start: Cursor, reading: Reading, poll: Poll, until: float) -> Waiter:
        waiter = self._waiters.add(start, reading, poll.wake)
        try:
            self._ends.watch(poll, until)
            await poll.wait()
        finally:
            self._ends.forget(poll)
            self._waiters.remove(waiter)
        return waiter

    async def _find(self, cursor: Cursor) -> Resume | Gap | None:
        """Find a cursor in the log, once the log has read as far as the feed goes; None when it cannot be said."""
        found = self._log.resume(cursor)
        if found == _EXPIRED and not self._log.shows_what_comes:
            # Of a log that shows nothing yet all that was before has expired.
            if await self._end() is None:
                return None
            found = self._log.resume(cursor)
        if not isinstance(found, Ahead):
            return found
        with suppress(TimeoutError):
            async with asyncio.timeout(self._join_seconds):
                return await self._find_ahead(cursor, found.offset)
        return None

    async def _find_ahead(self, cursor: Cursor, offset: Offset) -> Resume | Gap | None:
        """Do so for a cursor of which the log knows nothing yet."""
        # Another edge was quicker, or there is no such record: what was asked before the request came is too old.
        end = await self._feed.end()
        if end is not None and offset > end:
            # A broker that was deposed, and does not know it, tells an end that lies behind.
            end = await self._feed.confirmed_end()
        if end is None:
            return None
        await self._reach(end)
        found = self._log.resume(cursor)
        return Gap("unknown") if isinstance(found, Ahead) else found

    async def _end(self) -> Cursor | None:
        """Return the cursor of the log's end once it is the feed's; None when that is not known, or not read, in time.

        Nothing is awaited between the look at the log and the return.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._join_seconds):
                offset = await self._recent.offset()
                if offset is not None:
                    await self._reach(offset)
                    return self._log.cursor_at(self._log.head)
        return None

    async def _is_newest(self, end: Cursor) -> bool:
        """Tell whether a page that ends there ends at the feed's end, as far as that is known."""
        if end != self._log.cursor_at(self._log.head):
            return False
        offset, read = await self._recent.offset(), self._log.next_offset
        is_read = offset is not None and read is not None and read >= offset
        return is_read and end == self._log.cursor_at(self._log.head)

    async def _reach(self, offset: Offset) -> None:
        """Wait until the log has read up to an offset, and shows what comes."""
        await self._feed.reached(offset)
        while not self._log.shows_what_comes:
            await self._feed.reached(self._log.offer_from)

    async def _gone(self, request: PostsRequest, reason: Reason, seen: Cursor | None) -> Answer | Rejected:
        end = await self._end()
        return _UNKNOWN if end is None else gone_answer(request, reason, end, seen)

    def _moment(self) -> Moment:
        return Moment(time.time(), self._share())
