"""Pages, made once for all who ask for the same one at the same time, within a bound.

Law: the bytes of all pages that somebody is being sent, or that are being made, are at most ``room``, but for a post
that is longer than a page by itself. Whoever finds no room presses those who are sent pages to make some, whatever the
page is made of. A page is kept for as long as somebody is sent it, and no longer: what it was made of the log keeps.
"""

import asyncio
from collections.abc import Callable
from hashlib import blake2b
from typing import Final
from weakref import WeakValueDictionary, finalize

from edge.clients.post_answers import Page
from edge.feed.log import Log
from edge.feed.paging import Extent, page
from edge.feed.position import NO_STAMP, Cursor
from edge.feed.reads import Reading
from edge.feed.selection import Selection
from edge.wire.handshake import Rejected
from edge.wire.json_encoding import array

# No turn is taken for it: room comes as soon as somebody has taken a page, which takes moments, and clients that come
# back together share pages.
_BUSY: Final = Rejected(503, "The server sends as many pages as it can. Try again.", 1.0, why="pages")
_SLICE_SECONDS: Final = 0.001
_DIGEST_BYTES: Final = 12

_Key = tuple[Cursor, Reading]


class Pages:
    """Pages of the log; ``room`` is in bytes.

    ``press`` is called when there is no room for a page, to make some for those that come later.
    """

    def __init__(self, log: Log, extent: Extent, room: int, press: Callable[[], None]) -> None:
        self._log = log
        self._extent = extent
        self._room = room
        self._press = press
        self._known: WeakValueDictionary[_Key, Page] = WeakValueDictionary()
        self._making: dict[_Key, asyncio.Task[Page]] = {}
        self._turn = asyncio.Lock()
        self._size = 0
        self.made = 0
        """How many pages were made."""

    @property
    def size(self) -> int:
        """What the pages cost in memory, in bytes, those included that are being made."""
        return self._size + len(self._making) * self._extent.bytes

    def refusal(self, start: Cursor, reading: Reading) -> Rejected | None:
        """Refuse the page that begins at ``start`` when it would have to be made and there is no room, and press."""
        key = start, reading
        if self._shared(key) or key in self._making or self.size + self._extent.bytes <= self._room:
            return None
        self._press()
        return _BUSY

    async def get(self, start: Cursor, reading: Reading, log: Log | None = None) -> Page | Rejected:
        """Return the page that begins at ``start``, from where the log can be read, or the :meth:`refusal`.

        What it holds is read from ``log``, if that is given, which has as much of the page as can be had.
        """
        key = start, reading
        known = self._shared(key)
        if known is not None:
            return known
        task = self._making.get(key)
        if task is None:
            refused = self.refusal(start, reading)
            if refused is not None:
                return refused
            task = self._making[key] = asyncio.create_task(self._make(key, log or self._log))
        # Somebody else may wait for it, too.
        return await asyncio.shield(task)

    async def _make(self, key: _Key, log: Log) -> Page:
        start, reading = key
        slices = page(log, start, reading, self._extent, _slice)
        try:
            while True:
                async with self._turn:
                    # One slice in a turn of the loop, of whichever page: many may be made at the same time.
                    await asyncio.sleep(0)
                    try:
                        next(slices)
                    except StopIteration as made:
                        leaf = made.value
                        break
        finally:
            del self._making[key]
        body = array(leaf.pieces)
        made_page = Page(leaf.start, leaf.end, body, leaf.posts, leaf.is_full, _name(reading.selection))
        self.made += 1
        self._size += len(body)
        finalize(made_page, self._forget, len(body))
        self._known[key] = made_page
        return made_page

    def _shared(self, key: _Key) -> Page | None:
        """Return the page that somebody is being sent, if it would be made the same now."""
        known = self._known.get(key)
        return known if known is not None and self._is_current(known) else None

    def _is_current(self, known: Page) -> bool:
        """Tell whether a page would be made the same now."""
        if known.is_full:
            # Without a stamp its beginning may be that of another page, in a topic that was made anew.
            return known.start.stamp != NO_STAMP
        return known.end == self._log.cursor_at(self._log.head)

    def _forget(self, size: int) -> None:
        self._size -= size


def _slice() -> Callable[[], bool]:
    """Begin a slice; return what tells whether it has lasted long enough."""
    clock = asyncio.get_running_loop().time
    end = clock() + _SLICE_SECONDS
    return lambda: clock() >= end


def _name(selection: Selection | None) -> str:
    """Name a selection in an entity tag, so that equal ones have equal names and others have others."""
    return "" if selection is None else f"a{blake2b(selection.authors, digest_size=_DIGEST_BYTES).hexdigest()}"
