"""Answers that a client is owed: given in the order of its requests, although some are known later than others.

Laws: each request has one answer, and what is given first is it. A request that changes what the client is sent is done
when its turn comes, so that its answer stands in the stream where it takes effect. At most ``MOST`` answers are owed:
before another is, those that are not known are put off (``busy``). This module knows no time and sends nothing.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from edge.wire.encoding import Notice
from edge.wire.requests import Id, Refused

MOST: Final = 16
"""How many answers a client may be owed: one that acknowledges once a second is owed two or three."""

Answer = Notice | Refused


class Later:
    """An answer that is not known yet."""

    __slots__ = ("_given", "_ready", "id")

    def __init__(self, id: Id, ready: Callable[[], None]) -> None:  # noqa: A002 - as it is called in the message
        self.id = id
        self._ready = ready
        self._given: Answer | Callable[[], Answer] | None = None

    @property
    def given(self) -> Answer | Callable[[], Answer] | None:
        """The answer, once it is known, or what makes it when its turn comes."""
        return self._given

    def give(self, answer: Answer | Callable[[], Answer]) -> None:
        """Answer, unless that was done; it is sent when all before it is, and made only then if that is to be."""
        if self._given is None:
            self._given = answer
            self._ready()

    def put_off(self) -> None:
        """Have the client ask again, unless it was answered; whoever calls this sees to what is due then."""
        if self._given is None:
            self._given = Refused(self.id, "busy", "that takes longer than it should; ask again in a second")


class Owed:
    """The answers that one client is owed; ``ready`` is called when another one of them is known."""

    __slots__ = ("_ready", "_turns")

    def __init__(self, ready: Callable[[], None]) -> None:
        self._ready = ready
        self._turns: deque[Later | Answer | Callable[[], Answer]] = deque()

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def holds_work(self) -> bool:
        """Whether a request waits to be done."""
        return any(callable(turn) for turn in self._turns)

    def later(self, id: Id) -> Later:  # noqa: A002 - as it is called in the message
        """Owe an answer that is not known yet; see to it that there is room."""
        later = Later(id, self._ready)
        self._turns.append(later)
        return later

    def add(self, turn: Answer | Callable[[], Answer]) -> None:
        """Owe an answer that is known, or what makes it when its turn comes."""
        self._turns.append(turn)

    def put_off(self) -> None:
        """Have the client ask again for all that is not known."""
        for turn in self._turns:
            if isinstance(turn, Later):
                turn.put_off()

    def due(self) -> Iterator[Answer]:
        """Take out the answers whose turn has come; do what is to be done for them."""
        while self._turns:
            turn = self._turns[0]
            given = turn.given if isinstance(turn, Later) else turn
            if given is None:
                return
            self._turns.popleft()
            yield given() if callable(given) else given
