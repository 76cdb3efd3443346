"""A replay: a stretch of the feed that the log has no more, read once more for all that are behind at about that place.

Laws:

* What a replay shows is what everybody is shown: it begins to read as far before the first record that it offers as
  records make repeats (:mod:`edge.feed.start`).
* It goes at the speed of its readers: a record is appended while a reader has been sent all there is, or waits for a
  place that was not reached, and never one that the log has not read.
* What a reader was not sent yet stays, however slow it is. But others do not wait for it for ever: the few that hold
  many up for ``HELD_SECONDS``, and any that hold others up for ``LONGEST_SECONDS``, are left behind. They come back by
  their cursors, to a replay of their own: what they held is forgotten at once.
* Where records are missing there is a gap for those that stand before them, and for nobody else.
* A replay that nobody has read for ``LINGER_SECONDS`` is over, and one that is over has no readers.

Time is told, in seconds of any clock that never runs backwards. A reader is a position, and whose is not known here.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from edge.feed.demand import Demand
from edge.feed.log import Appended, Log
from edge.feed.position import Gap, Position, Resume
from edge.feed.seats import Reader, Seat, Step
from edge.feed.start import Bounds, start
from edge.feed.topic import Raw, Read
from streams.contract import Offset

HELD_SECONDS: Final = 2.0
"""So long may a few readers hold up many."""
LONGEST_SECONDS: Final = 20.0
"""So long may any readers hold up others."""
LINGER_SECONDS: Final = 5.0
"""So long a replay without readers waits for the next: a client that reads page by page is between two of them."""

# At most one reader of so many is a few.
_FEW: Final = 10
# Cursors of clients that were cut off together stand some records apart: a replay begins so many records before the
# first that was asked for.
_SLACK_RECORDS: Final = 32

R = TypeVar("R", bound=Reader)


class Replay(Generic[R]):
    """Records from about ``first`` on, in ``log``, for ``readers``; ``address`` is that of the client it was begun for.

    ``moved`` is called when a reader was sent something, has come or is gone.
    """

    def __init__(
        self, log: Log, *, first: Offset, reach: int, address: str, moved: Callable[[], None] = lambda: None
    ) -> None:
        self.log = log
        self.address = address
        self.moved = moved
        self.readers: dict[R, None] = {}
        """Clients that go on here; in the order in which they came."""
        self.seats: dict[Seat, None] = {}
        self.left_behind: list[R] = []
        """Readers for which the others wait no longer, to be told so; they read no more here."""
        self.is_over = False
        self.gap: Gap | None = None
        """Why it is over, if it could not go on."""
        self._asked = first
        self._first = Offset(max(0, first - _SLACK_RECORDS))
        self._reach = reach
        self._pending: deque[Raw] = deque()
        self._end = Offset(0)
        self._demand = Demand()
        self._slowest = Position(0)
        self._held_since: float | None = None
        self._empty_since: float | None = None

    def begin(self, bounds: Bounds) -> Offset | Gap:
        """Say where to read from, given the records that there are: at first, and after Kafka was away."""
        self._pending.clear()
        next_offset, again = self.log.next_offset, self.log.reads_on_from
        if next_offset is not None and again is not None:
            # The newest record once more, to see that it is still the same topic.
            return Gap("expired") if bounds.begin > next_offset else max(bounds.begin, again)
        # A broker that was deposed tells an end that lies behind.
        end = max(bounds.end, self._first)
        plan = start(Bounds(bounds.begin, end), history=end - self._first, reach=self._reach)
        self.log.begin(plan.read_from, plan.offer_from, plan.earliest)
        return plan.read_from

    def enter(self, reader: R) -> None:
        """Have a reader go on here."""
        self.readers[reader] = None
        self._slowest = min(self._slowest, reader.position)
        self.sent(reader.position)

    def sent(self, position: Position) -> None:
        """Note that some readers were sent everything before a position."""
        self._demand.note(position)
        self.moved()

    def sit(self, seat: Seat) -> None:
        """Keep a place for a reader."""
        self.seats[seat] = None
        self._slowest = min(self._slowest, seat.position)
        self.moved()

    def leave(self, reader: R) -> None:
        """Forget a reader, if it is one."""
        if reader in self.readers:
            del self.readers[reader]
            self._demand.forget(reader.position)
            self.moved()

    def stand_up(self, seat: Seat) -> None:
        """Keep its place no longer."""
        self.seats.pop(seat, None)
        self.moved()

    def end(self) -> list[R]:
        """Be over; return the readers that there were."""
        readers = list(self.readers)
        self.readers.clear()
        self.seats.clear()
        self.is_over = True
        self.moved()
        return readers

    def may_share(self, seat: Seat) -> bool:
        """Tell whether what follows a cursor is here, or will be soon."""
        if self.is_over or self.gap is not None or seat.first < self._first:
            return False
        log = self.log
        if log.shows_what_comes and seat.position < log.tail and not self._is_earliest(seat):
            return False
        # Reading anew would take as long.
        return seat.until <= max(log.next_offset or 0, self._asked) + self._reach

    def has_reached(self, seat: Seat) -> bool:
        """Tell whether all was read that is needed to answer its cursor."""
        log = self.log
        if log.next_offset is None or log.next_offset < seat.until:
            is_at_end = log.next_offset is not None and log.next_offset >= self._end
            return seat.takes_less and (self._held_since is not None or is_at_end)
        if seat.or_earliest:
            return log.shows_what_comes or log.next_offset >= self._end
        # Whether the next record is shown, where retention has cut, is known once it is read.
        return log.shows_what_comes or log.next_offset > seat.until or log.next_offset >= self._end

    def place(self, seat: Seat) -> Position | Gap:
        """Say where a reader goes on whose cursor was reached."""
        if not self.log.shows_what_comes:
            return Gap("expired")
        match self.log.resume(seat.cursor):
            case Resume(position):
                return position
            case Gap() if self._is_earliest(seat):
                return self.log.tail
            case found:
                return found if isinstance(found, Gap) else Gap("unknown")

    def _is_earliest(self, seat: Seat) -> bool:
        """Tell whether a reader goes on at the first record that may be offered, which is here if there is one."""
        is_any = self.log.posts > 0 or (self.log.next_offset or 0) < self._end
        return seat.or_earliest and is_any and self.log.tail <= self.log.start

    def step(self, now: float, end: Offset) -> Step:
        """Say what is to be done next; the log has read every record before ``end``."""
        self._end = end
        if self.look(now):
            return Step.OVER
        waiting = (not self.has_reached(seat) for seat in self.seats)
        if not self._demand.is_there(self.log.head, self.readers, waiting):
            self._held_since = None
            return Step.REST
        next_offset = self.log.next_offset
        assert next_offset is not None  # noqa: S101 - it has begun; told to the type checker
        if not self._pending:
            return Step.READ if next_offset < end else Step.REST
        raw = self._pending[0]
        return Step.REST if raw.offset >= end or self._is_held(raw, now) else Step.APPEND

    def take(self, read: Read) -> Gap | None:
        """Take in what was read; a gap where there is nothing, and ought to be something."""
        self._pending.extend(read.records)
        return None if read.records else self._skip_to(read.next_offset)

    def append(self) -> Appended | Gap:
        """Append the next record that was read."""
        raw = self._pending.popleft()
        if (gap := self._skip_to(raw.offset)) is not None:
            return gap
        self._demand.meet(len(raw.value) + 1)
        return self.log.append(*raw)

    def look(self, now: float) -> bool:
        """Be over when nobody has read this for long enough; tell whether it is."""
        if self.readers or self.seats:
            self._empty_since = None
        elif self._empty_since is None:
            self._empty_since = now
        elif now >= self._empty_since + LINGER_SECONDS:
            self.is_over = True
        return self.is_over

    def _skip_to(self, offset: Offset) -> Gap | None:
        """Go on behind missing records; a gap where somebody stands before them: others are to come again then."""
        if self.log.is_hole_before(offset):
            self._first = offset
            before_it = dict.fromkeys(seat for seat in self.seats if seat.first < offset)
            if self.readers or before_it:
                self.seats, self.gap = before_it, Gap("interrupted")
                return self.gap
        self.log.skip_to(offset)
        return None

    def _is_held(self, raw: Raw, now: float) -> bool:
        """Tell whether a record has to wait for slow readers; leave these behind when it has waited long enough."""
        kept = self.log.kept
        tail = kept.tail_after(self.log.room(raw.value))
        if tail == kept.tail.position:
            # Nothing is forgotten for it.
            return False
        # Readers only go forward: what was found to be the slowest stays a lower bound.
        if tail > self._slowest:
            everybody: Sequence[Reader] = (*self.readers, *self.seats)
            self._slowest = min((each.position for each in everybody), default=tail)
        if self._slowest >= kept.middle:
            self._held_since = None
        if tail <= self._slowest:
            return False
        # Whether others wait is looked up anew: a reader that is alone may take its time.
        self._demand.ask_anew()
        self._held_since = now if self._held_since is None else self._held_since
        return not self._leave_behind(max(tail, kept.middle), now - self._held_since)

    def _leave_behind(self, place: Position, waited: float) -> bool:
        """Leave readers behind that stand before a place, when the others have waited long enough for them."""
        slow = [reader for reader in self.readers if reader.position < place]
        if waited < (HELD_SECONDS if len(slow) * _FEW <= len(self.readers) else LONGEST_SECONDS):
            return False
        for reader in slow:
            del self.readers[reader]
            self._demand.forget(reader.position)
        self.left_behind += slow
        for seat in [seat for seat in self.seats if seat.position < place]:
            del self.seats[seat]
        self.log.kept.forget(place)
        self._held_since = None
        return True
