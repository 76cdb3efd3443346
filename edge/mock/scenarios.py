"""What goes wrong in a mock, by name: the steps of each scenario, in their order.

The steps are a function of the arguments alone. :mod:`edge.mock.player` carries them out, and
:mod:`edge.mock.transcript` says from them what a correct client has shown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import count, islice
from typing import Final

EVERY: Final = 10
"""After so many records with posts it happens, again and again."""
BACKLOG: Final = 20
"""How many posts there are before the clock begins."""
STORM_POSTS: Final = 2000
LARGE_ID: Final = 2**53 + 1
"""From here on JavaScript's numbers have gaps."""

TOKEN_WINDOWS: Final = 4
"""How long a token is good where tokens expire: a client is told at half of that."""
LAST_TOKEN_WINDOWS: Final = 2
"""How long the last one is good, when there are none for a while."""

_BACKLOG_RECORDS: Final = 4
_AWAY_RECORDS: Final = 2
_MISSED_RECORDS: Final = 3


class Act(Enum):
    """What is done to the feed, the links or the edge."""

    CUT = "end every connection without a word"
    HALVE = "end every connection in the middle of its next message"
    FREEZE = "carry nothing more on any connection, and end none"
    SKIP = "leave out an offset of the feed"
    STALL = "have the feed bring nothing"
    EXPIRE = "remove all records of the feed, and have it bring what comes"
    LEAVE = "have Kafka not answer"
    RETURN = "have Kafka answer"
    RESTART = "end the edge, and start it anew"
    LAST_TOKENS = "give everybody one token more, that soon ends, and then none"
    TOKENS = "give tokens again"


@dataclass(frozen=True, slots=True)
class Write:
    """Write a record with these posts, when the clock shows ``at`` seconds; ``is_shown`` where clients get them."""

    at: float
    posts: range
    is_shown: bool = True


@dataclass(frozen=True, slots=True)
class Lose:
    """Leave these posts out: they were never on the feed."""

    posts: range


Step = Write | Lose | Act


@dataclass(frozen=True, slots=True)
class Scenario:
    """``before`` and ``behind`` are done around every tenth record; posts are lost there when ``loses`` says so."""

    name: str
    sentence: str
    before: tuple[Act, ...] = ()
    behind: tuple[Act, ...] = ()
    after_away: tuple[Act, ...] = ()
    """What is done two records later."""
    misses: bool = False
    """Whether the feed is stalled meanwhile, while records come and go."""
    loses: bool = False
    """Whether the feed has no record where one ought to be."""
    storm: bool = False
    first_id: int = 1
    bytes_per_second: int | None = None
    """How much a link carries each way; None for all that there is."""
    heartbeat_seconds: float = 25
    needs_token: bool = False
    join_windows: float | None = None
    """An edge takes one client in so many windows; None for as many as come."""

    @property
    def has_events(self) -> bool:
        """Whether anything happens at a time of its own."""
        return bool(self.before or self.behind or self.misses or self.loses or self.storm)


_SCENARIOS: Final = (
    Scenario("steady", "Nothing goes wrong."),
    Scenario("drops", "Every connection ends without a close.", behind=(Act.CUT,)),
    Scenario("half-frame", "Every connection ends in the middle of a message.", before=(Act.HALVE,)),
    Scenario(
        "silence",
        "Every connection carries nothing more, and does not end; heartbeats are a second apart, to tell by.",
        behind=(Act.FREEZE,),
        heartbeat_seconds=1,
    ),
    Scenario(
        "slow-link",
        "Every connection carries 24 KiB a second, in small pieces.",
        bytes_per_second=24 * 1024,
    ),
    Scenario(
        "outage",
        "Every connection ends, and for two windows there is no Kafka: who has no cursor is told to come later.",
        behind=(Act.CUT, Act.LEAVE),
        after_away=(Act.RETURN,),
    ),
    Scenario(
        "crowd",
        "Every connection ends, and after two windows again: who comes back then is told when there is room.",
        behind=(Act.CUT,),
        after_away=(Act.CUT,),
        join_windows=4,
    ),
    Scenario(
        "restart",
        "The edge tells all clients to come back (1001), ends, and is started anew.",
        behind=(Act.RESTART,),
    ),
    Scenario(
        "expired-tokens",
        "Tokens are needed, and end after four windows; for two windows there are none.",
        behind=(Act.LAST_TOKENS,),
        after_away=(Act.TOKENS,),
        needs_token=True,
    ),
    Scenario("hole", "A record of the feed is missing: clients are told of a gap and go on.", loses=True),
    Scenario(
        "gaps",
        "The edge misses records that are removed before it has read them: clients are told of a gap and go on.",
        misses=True,
    ),
    Scenario("storm", f"{STORM_POSTS} posts come at once.", storm=True),
    Scenario("large-ids", "The posts' ids are above 2⁵³, which a number in JavaScript cannot hold.", first_id=LARGE_ID),
)
SCENARIOS: Final = {each.name: each for each in _SCENARIOS}


@dataclass(frozen=True, slots=True)
class Clock:
    """``rate`` posts a second, in windows of so many seconds; ``posts`` in all, or without an end."""

    rate: float
    window: float
    posts: int | None = None

    def windows(self) -> Iterator[tuple[float, int]]:
        """Return when each window with posts ends, and how many it has."""
        given = 0
        for window in count(1):
            due = int(window * self.window * self.rate + 1e-9)
            if self.posts is not None:
                due = min(due, self.posts)
            if due > given:
                yield window * self.window, due - given
                given = due
            if given == self.posts:
                return

    def outlasts(self, windows: int) -> bool:
        """Tell whether there are more windows with posts than so many."""
        if self.posts is None or self.posts <= windows:
            return self.posts is None
        # Of a slow clock each window has one post at most: to go through the empty ones could take long.
        return self.rate * self.window <= 1 or sum(1 for _ in islice(self.windows(), windows + 1)) > windows


def steps(scenario: Scenario, clock: Clock) -> Iterator[Step]:
    """Return what is done, in order; without an end when the clock has none."""
    ids = _Ids(scenario.first_id)
    for _ in range(_BACKLOG_RECORDS):
        yield Write(0, ids.next(BACKLOG // _BACKLOG_RECORDS))
    comes_back: int | None = None
    given = 0
    for number, (at, posts) in enumerate(clock.windows(), 1):
        given += posts
        # The last one is followed by nothing that would show what came of it.
        happens = number % EVERY == 0 and given != clock.posts
        if happens:
            yield from scenario.before
            yield from _missing(scenario, ids, at, posts)
        if happens and scenario.storm:
            yield Write(at, ids.next(STORM_POSTS))
        yield Write(at, ids.next(posts))
        if happens:
            yield from scenario.behind
            comes_back = number + _AWAY_RECORDS
        elif comes_back is not None and (number == comes_back or given == clock.posts):
            yield from scenario.after_away
            comes_back = None


class _Ids:
    def __init__(self, first: int) -> None:
        self._next = first

    def next(self, posts: int) -> range:
        """Return the ids of the next posts."""
        begin, self._next = self._next, self._next + posts
        return range(begin, self._next)


def _missing(scenario: Scenario, ids: _Ids, at: float, posts: int) -> Iterator[Step]:
    if scenario.loses:
        yield Lose(ids.next(posts))
        yield Act.SKIP
    if scenario.misses:
        yield Act.STALL
        for _ in range(_MISSED_RECORDS):
            yield Write(at, ids.next(posts), is_shown=False)
        yield Act.EXPIRE
