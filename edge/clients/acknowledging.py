"""What one session acknowledges: answered at once where nothing stores it, else when that is stored.

Laws: nothing is acknowledged that was not sent. Each acknowledgement is answered when its position, or one that is
further on, is stored. What was put off is forgotten here, and is stored all the same.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from edge.clients.owed import Answer, Later
from edge.clients.unacknowledged import Unacknowledged
from edge.fanout.session import Session
from edge.feed.position import Cursor, parse
from edge.positions.device import Device, Key
from edge.positions.pending import Stored
from edge.wire.messages import acked
from edge.wire.requests import Id, Refused


class Positions(Protocol):
    """Where the positions that devices acknowledge are stored."""

    @property
    def is_away(self) -> bool:
        """Whether nothing can be stored now: what is acknowledged waits."""
        ...

    def acknowledge(self, device: Device, position: str, number: int, stored: Stored) -> bool:
        """Store a session's position, the so manieth; say later that it, or one that is further on, is stored.

        Return False where too many devices wait for that.
        """
        ...

    def hurry(self, device: Device, put_off: Callable[[], None]) -> None:
        """Store what was acknowledged at once, since somebody waits for that; call this if that fails."""
        ...

    def leave(self, device: Device) -> None:
        """Hear that a session has ended: it is told nothing more, and its position is stored at once."""
        ...

    async def find(self, key: Key) -> str:
        """Return the position at which a device goes on, empty where it has none; raises Away."""
        ...


class Acknowledging:
    """A session's acknowledgements; nothing stores them where there are no ``positions``."""

    __slots__ = ("_acks", "_number", "_positions", "_session", "_unacknowledged")

    def __init__(self, session: Session, positions: Positions | None, unacknowledged: Unacknowledged) -> None:
        self._session = session
        self._unacknowledged = unacknowledged
        self._positions = positions
        # Those that are not stored, each with how many there were by then.
        self._acks: deque[tuple[int, Later]] | None = None
        self._number = 0

    def answer(
        self,
        id: Id,  # noqa: A002 - as it is called in the message
        token: str,
        now: float,
        later: Callable[[Id], Later],
    ) -> Answer | None:
        """Answer an acknowledgement of a cursor's token; None where that is owed, by what ``later`` makes."""
        cursor = parse(token)
        if not isinstance(cursor, Cursor):
            return Refused(id, "bad_cursor", "the cursor is none")
        if cursor.position > self._session.position:
            return Refused(id, "bad_cursor", "the cursor is beyond what this session was sent")
        self._unacknowledged.note(self._session, cursor.position, now)
        if self._positions is None:
            # It is known to the client alone, and safe there.
            return acked(id, token)
        device = self._session.device
        if device is None:
            return Refused(id, "no_device", "a position is stored for a device: connect with ?device=NAME")
        if not self._positions.acknowledge(device, token, self._number + 1, self._stored):
            return Refused(id, "busy", "as many positions as may wait to be stored do; ask again in a while")
        self._number += 1
        if self._acks is None:
            self._acks = deque()
        while self._acks and self._acks[0][1].given is not None:
            # It was put off.
            self._acks.popleft()
        self._acks.append((self._number, later(id)))
        return None

    def leave(self) -> None:
        """Hear that the session has ended."""
        self._unacknowledged.forget(self._session)
        if self._positions is not None and self._session.device is not None:
            self._positions.leave(self._session.device)

    def _stored(self, number: int, position: str) -> None:
        acks = self._acks
        while acks and acks[0][0] <= number:
            _, later = acks.popleft()
            later.give(acked(later.id, position))
