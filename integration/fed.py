"""A feed that a test writes itself, without a worker, and what a viewer of it must have been shown."""

from itertools import count
from typing import Final

import msgspec

from integration import topics, viewers
from integration.system import System
from streams.contract import FeedRecord, Publication, encode_feed

LARGE: Final = 2**53
"""Beyond it JavaScript cannot count."""

_ids = count(LARGE - 3)


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

    async def until_shown(self, viewer: viewers.Viewer) -> None:
        """Wait until a viewer was shown all of them, and nothing else."""
        await viewer.until(lambda: len(viewer.ids) >= len(self.ids), f"{len(self.ids)} posts")
        assert viewer.ids == self.ids
