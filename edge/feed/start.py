"""Where an edge begins to read the feed, and whether it may go on where it was.

Law 2 asks whoever shows a record to have read the ``reach`` records before it. So reading begins
that far before the first record that is offered. Where retention has cut the feed's beginning
off, the first ``reach`` records that are left can only be read, not offered, or those of the first day where these are
fewer: how old they are is known when they are read. What comes after the end seen at the start is live, and always
shown.
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
    """Read from ``read_from`` on; show what comes from ``offer_from`` on.

    And from ``earliest`` on already, as soon as all was read that is young enough to make repeats.
    """

    read_from: Offset
    offer_from: Offset
    earliest: Offset


def start(bounds: Bounds, *, history: int, reach: int) -> Start:
    """Begin anew, with up to ``history`` records of what was, each decided upon with all its ``reach``."""
    begin, end = bounds
    earliest = max(begin, end - history)
    showable = begin + reach if begin > 0 else 0
    offer_from = min(max(earliest, showable), end)
    return Start(Offset(max(begin, earliest - reach)), Offset(offer_from), Offset(earliest))


def continues(*, next_offset: Offset, bounds: Bounds) -> bool:
    """Whether a reader that wants ``next_offset`` next will miss nothing."""
    return bounds.begin <= next_offset <= bounds.end
