"""Carries out the steps of a scenario: writes records by the clock, and does what happens to the feed and the links."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from edge.feed.topic import Feed
from edge.mock.issuer import Issuer
from edge.mock.link import Link
from edge.mock.posts import millis, post_of
from edge.mock.scenarios import LAST_TOKEN_WINDOWS, Act, Step, Write
from edge.mock.topic import MemoryReader, MemoryTopic
from streams.contract import Millis, encode_feed, feed_records

# How many records stay: enough for any cursor of a while ago, and some 20 MB.
_KEEP_RECORDS: Final = 10_000
_LOOK_SECONDS: Final = 0.01
_TO_LINKS: Final[dict[Act, Callable[[Link], None]]] = {
    Act.CUT: lambda link: link.cut(),
    Act.HALVE: lambda link: link.halve(),
    Act.FREEZE: lambda link: link.freeze(),
}
AFTER_READING: Final = frozenset({Act.CUT, Act.HALVE, Act.FREEZE, Act.STALL, Act.RESTART})
"""What waits until the edge has read all that was written: so that it is on its way to clients, or is not missed."""


class Player:
    """The feed of a mock: ``seed`` makes its posts, ``window`` is how long each is gathered, in seconds.

    The clock ``waits`` for the first client, or begins at once. Tokens come from ``issuer``.
    """

    def __init__(self, *, seed: int, window: float, waits: bool, issuer: Issuer) -> None:
        self._issuer = issuer
        self._waits = waits
        self._seed = seed
        self._window = window
        self._topic = MemoryTopic(keep=_KEEP_RECORDS)
        self._reader: MemoryReader | None = None
        self._begun: float | None = None
        self.feed = Feed(topic=self._follow, replay=self._topic.connect)
        """Where the edge reads it."""
        self.restart = asyncio.Event()
        """Set when the edge is to be started anew."""

    async def play(self, steps: Iterable[Step], link: Link) -> None:
        """Carry out the steps: those that are due at once before the clock begins."""
        loop = asyncio.get_running_loop()
        for step in steps:
            if isinstance(step, Write):
                if step.at and self._begun is None:
                    if self._waits:
                        await link.asked.wait()
                    self._begun = loop.time()
                if self._begun is not None:
                    await asyncio.sleep(self._begun + step.at - loop.time())
                self._write(step)
            elif isinstance(step, Act):
                await self._do(step, link)

    def now(self) -> Millis:
        """Return the time in the feed; it stands still until the clock begins."""
        return millis(0 if self._begun is None else asyncio.get_running_loop().time() - self._begun)

    async def followed(self) -> None:
        """Wait until the edge has read all that was written."""
        while self._reader is None or self._reader.next_offset != self._topic.end:  # noqa: ASYNC110 - see below
            # Each connection of the edge has a reader of its own: no event would outlive them.
            await asyncio.sleep(_LOOK_SECONDS)

    @asynccontextmanager
    async def _follow(self) -> AsyncIterator[MemoryReader]:
        async with self._topic.connect() as reader:
            self._reader = reader
            try:
                yield reader
            finally:
                self._reader = None

    def _write(self, step: Write) -> None:
        begun = max(0.0, step.at - self._window)
        publications = [post_of(self._seed, number, begun) for number in step.posts]
        for record in feed_records(millis(begun), publications):
            self._topic.write(encode_feed(record), millis(step.at))

    async def _do(self, act: Act, link: Link) -> None:
        if act in AFTER_READING:
            await self.followed()
        match act:
            case Act.CUT | Act.HALVE | Act.FREEZE:
                _TO_LINKS[act](link)
            case Act.RESTART:
                self.restart.set()
            case Act.LAST_TOKENS:
                self._issuer.give_last(LAST_TOKEN_WINDOWS * self._window)
            case Act.TOKENS:
                self._issuer.give()
            case _:
                await self._change(act)

    async def _change(self, act: Act) -> None:
        """Do something to the feed."""
        topic = self._topic
        match act:
            case Act.SKIP:
                topic.skip()
            case Act.EXPIRE:
                topic.remove_before(topic.end)
                topic.is_stalled = False
            case Act.STALL:
                topic.is_stalled = True
            case _:
                topic.is_away = act is Act.LEAVE
        topic.changed()
        if act is Act.EXPIRE:
            # What is written before it has found its new place would be missed, too.
            await self.followed()
