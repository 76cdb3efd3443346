"""How often replays may begin: each costs Kafka a consumer and as many records as make repeats, however short it is.

Law: in any ``SECONDS`` as many may begin as ``most`` says, and for clients of one address as ``per_address`` says,
whatever has become of them. So who asks for one place after the other, and leaves, costs a bounded part of what an edge
has, and takes a bounded part of it from others.

Time is told, in seconds of any clock that never runs backwards. What is kept is bounded by ``most``.
"""

from collections import Counter, deque
from typing import Final, Literal

SECONDS: Final = 5.0
"""As long as a replay lingers for which nobody comes."""


class Beginnings:
    """The replays that have begun lately, by the address of the client for whom."""

    def __init__(self, most: int, per_address: int) -> None:
        self._most = most
        self._per_address = per_address
        self._lately: deque[tuple[float, str]] = deque()
        self._by_address: Counter[str] = Counter()

    def bound(self, address: str, now: float) -> Literal["replays", "address"] | None:
        """Return the bound by which no replay may begin now for a client of an address."""
        while self._lately and self._lately[0][0] <= now - SECONDS:
            _, gone = self._lately.popleft()
            self._by_address[gone] -= 1
            if not self._by_address[gone]:
                del self._by_address[gone]
        if self._by_address[address] >= self._per_address:
            return "address"
        return "replays" if len(self._lately) >= self._most else None

    def note(self, address: str, now: float) -> None:
        """Note that one begins."""
        self._lately.append((now, address))
        self._by_address[address] += 1
