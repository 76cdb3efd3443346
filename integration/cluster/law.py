"""How long clients may see nothing when a broker is killed.

This module knows neither processes nor clocks.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from integration.faults.outcome import Outcome

SILENCE_SECONDS: Final = {9_000: 16.0, 3_000: 8.0}
"""By ``broker.session.timeout.ms``: the longest silence beyond a window when a broker is killed. Kafka needs the
session to declare a broker dead; the rest is what clients need to find the new leader and coordinator."""


def charged(outcome: Outcome, session_ms: int, window_seconds: float) -> Outcome:
    """Return the outcome with what breaks a law of the cluster's added to its charges."""
    return replace(outcome, promises=[*outcome.promises, *_broken(outcome, session_ms, window_seconds)])


def _broken(outcome: Outcome, session_ms: int, window_seconds: float) -> Iterator[str]:
    limit = window_seconds + SILENCE_SECONDS[session_ms]
    if any(fault.kind.startswith("kill") for fault in outcome.faults) and outcome.silence > limit:
        yield f"a client saw nothing for {outcome.silence:.1f} s, and {limit:.0f} s are allowed"
