"""Clients that write down all that they are sent, come back when they are cut off, and leave now and then."""

import asyncio
import itertools
import random
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from integration.faults.authors import author_of
from integration.faults.observations import Span, View
from integration.faults.sight import Sight
from integration.faults.transports import FAILURES, Connection, Later, Transport

_RETRY_SECONDS: Final = 0.2
_STAY_SECONDS: Final = (1.5, 4.0)


class Viewer:
    """One client, which reads by a transport. ``edges`` are where (``host:port``), in its order of preference.

    It comes back to the next edge, to its own if there is one alone. ``away`` are the shortest and the longest time in
    seconds that it stays away when it leaves by itself, which it does every few seconds if it is given. ``authors`` are
    those whose posts it asks for in the beginning; None for everybody's. What its transport's token does not allow it
    is not to see. One whose place an edge keeps leaves every other time only after the edge has said that it keeps one
    behind what it has seen: from such a life on, a wrong place shows.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        edges: Sequence[str],
        *,
        dice: random.Random,
        away: tuple[float, float] | None = None,
        authors: frozenset[int] | None = None,
    ) -> None:
        self.view = View(name, leaves=away is not None, transport=transport.name)
        allowed = None if transport.bearer is None else transport.bearer.claim
        self._sight = Sight(self.view, time.monotonic(), authors, allowed)
        self._transport = transport
        self._edges = itertools.cycle(edges)
        self._dice = dice
        self._away = away
        self._stays = asyncio.Event()
        self._is_patient = False

    @property
    def is_there(self) -> bool:
        """Whether it is connected, has been told where it stands, and can come back to there."""
        return self._sight.is_there and self._can_come_back

    @property
    def seen(self) -> set[int]:
        """The posts that it was sent."""
        return self._sight.seen

    @property
    def is_kept(self) -> bool:
        """Whether an edge keeps its place."""
        return self._sight.is_kept

    @property
    def returns(self) -> Sequence[Span]:
        """From when to when it was away before it came back to what was acknowledged."""
        return self._sight.returns

    @property
    def promises_all(self) -> bool:
        """Whether it is to see everything in the end: it can come back to where it was, and was told of no gap."""
        return self._sight.cursor is not None and not self.view.gaps and not self._transport.changes

    def has_seen(self, posts: Iterable[int]) -> bool:
        """Tell whether it was sent all of these that it asks for, as far as that can be told before the end."""
        return self._transport.changes or all(post in self.seen for post in posts if self.wants(post))

    def wants(self, post: int) -> bool:
        """Tell whether it is to see posts of this one's author now."""
        return (wanted := self._sight.wanted) is None or author_of(post) in wanted

    def stay(self) -> None:
        """Come back at once, leave no more, and ask for nothing else."""
        self._transport.settle()
        self._stays.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            pause, is_leaving = _RETRY_SECONDS, False
            try:
                edge, sight = next(self._edges), self._sight
                cursor = sight.cursor if self._transport.device is None else None
                self._is_patient = not self._is_patient
                async with self._transport.connect(edge, cursor, sight.authors) as connection:
                    is_leaving = await self._watch(connection)
            except Later as later:
                pause = later.seconds
            except AssertionError as breach:
                self.view.breaches.append(f"{self.view.client}: {breach}")
            except FAILURES:
                pass
            self._sight.leave(time.monotonic())
            if is_leaving:
                await self._stay_away()
            await asyncio.sleep(pause)

    async def _watch(self, connection: Connection) -> bool:
        """Take what it is told until that ends; return whether it leaves by itself, in good order or without a word."""
        try:
            # A device's life begins with the first word, and nothing of what was said before counts in it.
            async with asyncio.timeout(self._stay() if self._transport.device is None else None) as limit:
                async for told in connection.told():
                    self._sight.take(told, time.monotonic())
                    if limit.when() is None and (stay := self._stay()) is not None:
                        limit.reschedule(asyncio.get_running_loop().time() + stay)
        except TimeoutError:
            if not limit.expired():
                raise
            self._sight.leave(time.monotonic())
            if self._dice.random() < 0.5:
                connection.abort()
            return True
        return False

    @property
    def _can_come_back(self) -> bool:
        return self._transport.device is None or self._sight.is_kept

    @property
    def _may_leave(self) -> bool:
        is_waiting = self._transport.device is not None and self._is_patient and not self._sight.is_relied_on
        return self._can_come_back and not is_waiting

    def _stay(self) -> float | None:
        """Return for how many seconds it stays; None without an end."""
        if self._away is None or self._stays.is_set() or not self._may_leave:
            return None
        return self._dice.uniform(*_STAY_SECONDS)

    async def _stay_away(self) -> None:
        assert self._away is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(self._dice.uniform(*self._away)):
                await self._stays.wait()
