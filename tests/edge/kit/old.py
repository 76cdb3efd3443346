"""Old records that Kafka has no more, and what is measured of replays."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from edge.feed.position import Cursor, Gap
from edge.feed.replaying import Bound, Place

EXPIRED: Final = Gap("expired")


class Gone:
    """What answers for every cursor that what follows it is gone, or ``answer``."""

    def __init__(self, answer: Place[Any] | Gap | Bound | None = EXPIRED) -> None:
        self.answer = answer
        self.asked: list[tuple[Cursor, str]] = []
        self.begun = self.records = self.bytes = self.left_behind = self.readers = self.size = 0
        self.refused: Counter[Bound] = Counter()

    def __len__(self) -> int:
        return 0

    def is_at_hand(self, cursor: Cursor, *, or_earliest: bool = False) -> bool:  # noqa: ARG002 - any
        """Tell that nothing has to begin for it."""
        return True

    def bound(self, address: str) -> Bound | None:  # noqa: ARG002 - any
        """Tell that no bound is reached."""
        return None

    @asynccontextmanager
    async def at(
        self,
        cursor: Cursor,
        address: str,
        *,
        or_earliest: bool = False,  # noqa: ARG002 - any
    ) -> AsyncIterator[Place[Any] | Gap | Bound | None]:
        """Answer."""
        self.asked.append((cursor, address))
        yield self.answer
