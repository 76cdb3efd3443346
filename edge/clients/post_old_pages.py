"""Makes pages of what the log has no more, which replays read from Kafka.

Laws: a page costs Kafka what repeats take to be known, and its own records, and little more. All requests together
begin one replay a second (:mod:`edge.clients.post_pace`): so clients that ask for pages at random places cost Kafka
that much a second, from however many addresses, and take turns by address. A request that finds no room, or is beyond
the bounds on replays, takes no turn. Requests for places that a replay has at hand begin none: a client that reads page
by page goes on in the one that it has begun.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

from edge.clients.placement import OldRecords, refused
from edge.clients.post_answers import Page
from edge.clients.post_pace import Pace
from edge.clients.post_pages import Pages
from edge.feed.paging import Extent
from edge.feed.position import Cursor, Gap, place_of
from edge.feed.reads import Reading
from edge.feed.replaying import Place
from edge.wire.handshake import Rejected
from streams.contract import Offset

_STEP_RECORDS: Final = 10
_MOST_BLOCKS: Final = 10
_SENTENCE: Final = "Old posts are read for others just now. Try again."


class OldPages:
    """Pages from replays; ``share`` returns a random number from 0 to 1."""

    def __init__(
        self, old: OldRecords, pages: Pages, extent: Extent, share: Callable[[], float] = random.random
    ) -> None:
        self._old = old
        self._pages = pages
        self._extent = extent
        self._share = share
        self._pace = Pace()

    async def get(
        self, cursor: Cursor, reading: Reading, address: str, *, or_earliest: bool = False
    ) -> Page | Gap | Rejected | None:
        """Return the page that begins at a cursor, for a client of this address.

        ``or_earliest``: or at the first record that may be offered. None when the feed was interrupted meanwhile.
        """
        if not self._old.is_at_hand(cursor, or_earliest=or_earliest):
            full = self._pages.refusal(cursor, reading)
            if full is not None:
                # Nothing is read from Kafka for a page that cannot be made.
                return full
            wait = None if self._old.bound(address) is not None else self._wait(address)
            if wait is not None:
                return Rejected(503, _SENTENCE, wait, why="replay")
        async with self._old.at(cursor, address, or_earliest=or_earliest) as place:
            match place:
                case Place():
                    return await self._page(place, reading)
                case str():
                    return refused(place, self._share())
                case found:
                    return found

    def _wait(self, address: str) -> float | None:
        return self._pace.wait(address, asyncio.get_running_loop().time(), self._share())

    async def _page(self, place: Place[Any], reading: Reading) -> Page | Gap | Rejected | None:
        """Make a page of what a replay has read; or return the gap that it has come upon before there was one."""
        start = place.log.cursor_at(place.position)
        offset, _ = place_of(place.position)
        for _ in range(_MOST_BLOCKS):
            until = self._extent.end_of_block(offset)
            gap = await self._read(place, offset, until)
            page = await self._pages.get(start, reading, place.log)
            if isinstance(page, Rejected) or page.end != start:
                return page
            if gap is not None:
                return gap
            # What was read is passed already, or is no record.
            offset = until
        return None

    async def _read(self, place: Place[Any], offset: Offset, until: Offset) -> Gap | None:
        """Have a replay read what a page may hold; return the gap that it has come upon, if there is one."""
        size, gap = place.log.kept.size, None
        while gap is None and offset < until and place.log.kept.size - size <= self._extent.bytes:
            offset = min(Offset(offset + _STEP_RECORDS), until)
            gap = await place.read_to(offset)
        return gap
