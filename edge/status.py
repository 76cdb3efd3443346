"""What the page tells of an edge beside its posts: how many watch, how many posts come, and how long a window is."""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from edge.feed.retained import Shown
from streams.contract import Millis

SHOWN_SECONDS: Final = 1
"""How long an answer may be used again, and how long the rate is kept: it is counted from the log."""
_WINDOWS: Final = 6
# The window that closed last may still be looked up.
_UNFINISHED: Final = 1
# Records of one window come together, but for those of several workers: a record that is much older ends the count.
_SLACK: Final = 4


class Facts(NamedTuple):
    """What does not change while an edge runs; ``compose_url`` is where the page sends posts, or empty."""

    version: str
    window: Millis
    compose_url: str = ""


def posts_per_second(newest_first: Iterable[Shown], window: Millis, now: Millis) -> float:
    """Return the rate over the last windows that are whole: posts come in bursts, one a window."""
    end = now // window * window - _UNFINISHED * window
    begin = end - _WINDOWS * window
    posts = 0
    for shown in newest_first:
        if shown.window < begin - _SLACK * window:
            break
        if begin <= shown.window < end:
            posts += shown.posts
    return posts * 1000 / (_WINDOWS * window)


class Status:
    """Answers ``/status.json``."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._rate = 0.0
        self._counted_at: Millis | None = None

    def body(self, newest_first: Iterable[Shown], *, viewers: int, now: Millis) -> bytes:
        """Return the answer in JSON; the log's records are counted once a second at most."""
        facts = self._facts
        if self._counted_at is None or not 0 <= now - self._counted_at < 1000 * SHOWN_SECONDS:
            self._rate, self._counted_at = posts_per_second(newest_first, facts.window, now), now
        return msgspec.json.encode(
            {
                "version": facts.version,
                "time": now,
                "viewers": viewers,
                "posts_per_second": round(self._rate, 2),
                "window_seconds": facts.window / 1000,
                "compose_url": facts.compose_url or None,
            }
        )
