"""The records before the first that is shown: they are only read, for what they make repeats.

Laws:

* What is shown first is known when reading begins, as the record that has all of ``reach`` before it. It is an earlier
  one, from ``earliest`` on, where so much time has passed in what was read that nothing before that can make a repeat.
* Behind :attr:`Lead.passed_new` none of these records would have shown anything.

This module knows neither what is kept nor how repeats are found.
"""

from edge.feed.position import Cursor, before, position_of
from streams.contract import Offset


class Lead:
    """Records that are read before anything is shown; ``offer_from`` is the first that is."""

    def __init__(self, offer_from: Offset, earliest: Offset) -> None:
        self.offer_from = offer_from
        self._earliest = earliest
        self.passed = before(offer_from)
        """The cursor behind the newest record that was only read."""
        self.passed_new = before(offer_from)
        """The cursor behind the newest of these that had new posts."""

    def ends_before(self, offset: Offset, *, has_read_enough: bool) -> bool:
        """Tell whether a record is the first to be shown, earlier than planned, since enough was read before it."""
        if not (has_read_enough and self._earliest <= offset < self.offer_from):
            return False
        if self.passed == before(self.offer_from):
            # None of the records that were read had a publication: there is no place behind them yet.
            self.passed = self.passed_new = before(offset)
        self.offer_from = offset
        return True

    def note(self, offset: Offset, publications: int, stamp: bytes, *, is_new: bool) -> None:
        """Note a record that is not shown; ``is_new`` says whether it had publications that are no repeats."""
        if publications:
            self.passed = Cursor(position_of(offset, publications), stamp)
        if is_new:
            self.passed_new = self.passed
