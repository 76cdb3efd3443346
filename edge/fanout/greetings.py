"""How a client with cursors is greeted: where it stands, how far that is behind the feed's end, and what it has missed.

This module knows no client but by its session, and no time.
"""

from edge.fanout.session import Missed, Session
from edge.feed.log import Log
from edge.feed.position import Position, Reason, first_behind
from edge.wire.messages import welcome

# The reasons with which positions before a gap are of the same feed as those behind it.
_SAME_FEED = frozenset[Reason](("expired", "interrupted"))


def greet(
    session: Session,
    log: Log,
    heartbeat: float,
    *,
    gap: Reason | None = None,
    seen: Position | None = None,
    source: Log | None = None,
) -> None:
    """Have a session begin with a welcome, and be told when it has caught up if it is behind the log's end.

    A session without cursors is told nothing. ``heartbeat`` is in seconds. ``gap`` says why it does not go on behind
    ``seen``, the position that its client was at; ``source`` is what it reads instead of the log.
    """
    encoding, position = session.encoding, session.position
    if not encoding.has_cursor:
        return
    # Behind a gap of the same feed positions are further on by themselves: what is stored may be another connection's.
    if gap is not None and session.device is not None and not _goes_forward(seen, position, gap):
        session.device.refute()
    behind = log.records_behind(position)
    told = welcome(
        str(log.cursor_at(max(position, log.tail)) if source is None else source.cursor_at(position)),
        session=session.id,
        heartbeat=heartbeat,
        behind=behind,
        gap=gap,
        lost=lost_between(seen, position, gap),
        expires_at=None if session.grant is None else session.grant.expires_at,
    )
    session.skip_to(position, encoding.notice(told), log.head if behind else None)
    session.missed = None if gap is None else Missed(seen, gap)


def missed(session: Session, reason: Reason) -> Missed:
    """Return what a client has missed that goes on behind a gap: all since it was last told where it stands."""
    untold = session.untold
    if untold is None:
        return Missed(session.position, reason)
    return Missed(untold.seen, of_both(untold.reason, reason))


def of_both(first: Reason, second: Reason) -> Reason:
    """Return the reason of two gaps that are told as one: what was seen before the first may be of another feed."""
    return second if first in _SAME_FEED else first


def lost_between(seen: Position | None, position: Position, gap: Reason | None) -> int | None:
    """Count the records between what was seen and a position behind a gap; None where they cannot be counted."""
    if seen is None or not _goes_forward(seen, position, gap):
        return None
    return first_behind(position) - first_behind(seen)


def _goes_forward(seen: Position | None, position: Position, gap: Reason | None) -> bool:
    """Tell whether a client goes on behind what it has seen, in the same feed.

    A feed that was made anew while nobody looked begins before what was seen.
    """
    return gap in _SAME_FEED and seen is not None and seen <= position
