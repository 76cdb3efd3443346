"""Cohorts that rest at the head of a replay: they have been sent all that it has read.

Laws: when a replay moves, all that rest in it are to go on, and some of them do at a time, since each of thousands of
clients may have a filter of its own. Nothing is kept of a replay in which nobody rests: it may be over.

This module knows neither links nor time.
"""

from collections import deque
from itertools import chain
from typing import Any, Final, Generic, Protocol, TypeVar

from edge.feed.replay import Replay

AT_ONCE: Final = 64
"""How many cohorts go on together: to put so many on the agenda takes 0.1 ms."""


class Group(Protocol):
    """Clients that are sent the same."""

    @property
    def replay(self) -> Replay[Any] | None:
        """Where they read."""
        ...

    def __len__(self) -> int: ...


G = TypeVar("G", bound=Group)


class Parked(Generic[G]):
    """All that rest in replays, or did until these moved."""

    def __init__(self) -> None:
        self._resting: dict[Replay[Any], dict[G, None]] = {}
        self._woken: deque[G] = deque()

    def __len__(self) -> int:
        """Say how many clients they have."""
        return sum(map(len, chain(chain.from_iterable(self._resting.values()), self._woken)))

    def newest(self, replay: Replay[Any]) -> G | None:
        """Return the one that came to rest last, for others to join."""
        return next(reversed(self._resting.get(replay, {})), None)

    def add(self, cohort: G, replay: Replay[Any]) -> None:
        """Have one rest."""
        self._resting.setdefault(replay, {})[cohort] = None

    def wake(self, replay: Replay[Any]) -> None:
        """Have all go on that rest in a replay, a few with each :meth:`take`."""
        self._woken.extend(self._resting.pop(replay, ()))

    def take(self) -> list[G]:
        """Take out the next few that go on."""
        return [self._woken.popleft() for _ in range(min(AT_ONCE, len(self._woken)))]

    def forget(self, cohort: G) -> None:
        """Keep nothing of a cohort of nobody."""
        replay = cohort.replay
        resting = None if replay is None else self._resting.get(replay)
        if replay is not None and resting is not None and cohort in resting:
            del resting[cohort]
            if not resting:
                del self._resting[replay]

    def clear(self) -> None:
        """Forget all."""
        self._resting.clear()
        self._woken.clear()
