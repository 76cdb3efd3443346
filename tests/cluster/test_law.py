"""What a cluster's troubles may cost clients."""

import pytest

from integration.cluster.law import charged
from integration.faults.observations import Happened, Span
from integration.faults.outcome import Outcome
from integration.faults.verdict import Verdict

WINDOW = 5.0


def outcome(kind: str, *, silence: float = 0.0) -> Outcome:
    return Outcome(
        "one", [Happened(kind, Span(0, 1), "proof")], Verdict(), (), (),
        posts=1, deliveries=6, gaps=0, seconds=1, silence=silence, promises=["an earlier one"],
    )  # fmt: skip


@pytest.mark.parametrize(("session_ms", "limit"), [(9_000, 21.0), (3_000, 13.0)])
def test_after_a_kill_the_silence_is_bounded_by_a_window_and_what_kafka_and_its_clients_need(
    session_ms: int, limit: float
) -> None:
    kept = charged(outcome("kill leader", silence=limit), session_ms, WINDOW)
    broken = charged(outcome("kill leader", silence=limit + 0.1), session_ms, WINDOW)
    assert kept.promises == ["an earlier one"]
    assert broken.promises == [
        "an earlier one",
        f"a client saw nothing for {limit + 0.1:.1f} s, and {limit:.0f} s are allowed",
    ]


def test_what_else_befalls_brokers_has_no_bound_of_its_own() -> None:
    assert charged(outcome("freeze leader", silence=60.0), 9_000, WINDOW).promises == ["an earlier one"]
