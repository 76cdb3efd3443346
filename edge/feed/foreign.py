"""Which stored positions are none of this feed's: of one that was made anew since, or no positions at all.

Law: no position that an edge has given of this feed is taken for a foreign one, however far this log is behind that
edge. So what lies beyond the log is held against the feed's end, which is asked after the positions were read. What the
log has forgotten is left alone: the feed's next positions are beyond it.
"""

from collections.abc import Collection
from typing import Protocol

from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Resume, parse
from streams.contract import Offset


class FeedEnd(Protocol):
    """What has to be known of the feed's end."""

    async def end(self) -> Offset | None:
        """Say where the feed ends now; None when nobody can say."""
        ...

    async def confirmed_end(self) -> Offset | None:
        """Say the same, by the word of more than one broker; None when they do not agree."""
        ...


async def foreign(positions: Collection[str], log: Log, feed: FeedEnd) -> frozenset[str]:
    """Return those of these tokens that are foreign for certain: none while nobody can say where the feed ends."""
    parsed = {position: parse(position) for position in positions}
    standings = [_standing(cursor, log) for cursor in parsed.values()]
    if all(isinstance(standing, Resume) for standing in standings):
        return frozenset()
    end = await feed.end()
    if end is not None and any(isinstance(standing, Ahead) and standing.offset > end for standing in standings):
        # A broker that was deposed, and does not know it, tells an end that lies behind.
        end = await feed.confirmed_end()
    if end is None:
        return frozenset()
    return frozenset(position for position, cursor in parsed.items() if _is_foreign(_standing(cursor, log), end))


def _standing(cursor: Cursor | Gap, log: Log) -> Resume | Ahead | Gap:
    return log.resume(cursor) if isinstance(cursor, Cursor) else cursor


def _is_foreign(standing: Resume | Ahead | Gap, end: Offset) -> bool:
    if isinstance(standing, Ahead):
        return standing.offset > end
    return isinstance(standing, Gap) and standing.reason in ("invalid", "recreated")
