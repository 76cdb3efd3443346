"""Where an edge begins to read the feed, and whether it may go on where it was.

Law 2 asks whoever shows a record to have read the ``reach`` records before it. So reading begins
that far before the first record that is offered. Where retention has cut the feed's beginning
off, the first ``reach`` records that are left can only be read, not offered; but what comes after
the end seen at the start is live, and always shown.
"""

from dataclasses import dataclass
from typing import NamedTuple

from streams.contract import Offset


class Bounds(NamedTuple):
    """The offsets of the feed's oldest record and of its next one."""

    begin: Offset
    end: Offset


@dataclass(frozen=True, slots=True)
class Start:
    """Read from ``read_from`` on; show what comes from ``offer_from`` on."""

    read_from: Offset
    offer_from: Offset


def start(bounds: Bounds, *, history: int, reach: int) -> Start:
    """Begin anew, with up to ``history`` records of what was, each decided upon with all its ``reach``."""
    begin, end = bounds
    showable = begin + reach if begin > 0 else 0
    offer_from = min(max(end - history, showable), end)
    return Start(Offset(max(begin, offer_from - reach)), Offset(offer_from))


def continues(*, next_offset: Offset, bounds: Bounds) -> bool:
    """Whether a reader that wants ``next_offset`` next will miss nothing."""
    return bounds.begin <= next_offset <= bounds.end
