"""A feed that a test writes itself, without a worker, and what a viewer of it must have been shown."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final, Protocol

import msgspec

from integration import topics
from integration.system import System
from streams.contract import FeedRecord, Publication, encode_feed

LARGE: Final = 2**53
"""Beyond it JavaScript cannot count."""

_ids = count(LARGE - 3)


class Viewer(Protocol):
    """Who follows a feed."""

    @property
    def ids(self) -> Sequence[int]:
        """The posts that were shown."""
        ...

    @property
    def gaps(self) -> Sequence[object]:
        """Where posts may be missing."""
        ...

    @property
    def state(self) -> str:
        """What its client does."""
        ...

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds."""
        ...


class Feed:
    """What was shown on the feed."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.ids: list[int] = []

    async def show(self, number: int, author: int | None = None) -> None:
        """Show so many posts of an author, in as many records."""
        new = [next(_ids) for _ in range(number)]
        self.ids += new
        records = [
            FeedRecord(window=0, publications=[Publication("created", id_, msgspec.Raw(b'{"id":%d}' % id_), author)])
            for id_ in new
        ]
        await topics.write(
            self._system.environment["KAFKA_URL"], self._system.feed, [encode_feed(record) for record in records]
        )

    async def until_shown(self, viewer: Viewer) -> None:
        """Wait until a viewer was shown all of them, and nothing else."""
        await viewer.until(lambda: len(viewer.ids) >= len(self.ids), f"{len(self.ids)} posts")
        assert viewer.ids == self.ids
