"""The pages' tables of schedules are those of the outcomes."""

from typing import Any

from integration.faults.page import pages


def line(seed: int, *kinds: str, **more: Any) -> dict[str, Any]:
    """Make an outcome as it is kept."""
    faults = [{"kind": kind, "seconds": 1.0, "evidence": "seen"} for kind in kinds]
    said = {"posts": 1000, "deliveries": 6000, "gaps_said": 0, "slowest_seconds": 2.04, "restarts": [], "charges": {}}
    return {"schedule": f"seed {seed}", "result": "clean", "faults": faults} | said | more


def test_schedules_are_told_by_seed_and_the_last_of_several_runs_counts() -> None:
    made = pages(
        [
            line(10, "kill edge", result="1 lost", charges={"lost": ["post 7"]}),
            line(2, "retention edge", gaps_said=3, slowest_seconds=10.8),
            line(10, "kill edge", "cut kafka", restarts=["worker-0"], clients={"WebSocket": 1, "/events": 5}),
            line(3, "slow kafka", faults=[{"kind": "slow kafka", "seconds": 1.0, "evidence": None}]),
        ]
    )
    assert made["reliability-schedules.md"]["schedules"].splitlines()[2:] == [
        "| 2 | 1,000 | 6,000 | 3 | 10.8 | retention edge |",
        "| 3 | 1,000 | 6,000 | 0 | 2.0 | slow kafka |",
        "| 10* | 1,000 | 6,000 | 0 | 2.0 | kill edge, cut kafka |",
    ]
    found = dict(row.strip("| ").split(" | ") for row in made["reliability.md"]["found"].splitlines()[2:])
    assert found == {
        "schedules that counted": "2",
        "schedules that did not count": "1",
        "faults, all of which were shown to have happened": "3",
        "posts": "2,000",
        "deliveries to clients (1 by WebSocket, 5 by /events, or 4 by WebSocket, 2 by plain WebSocket)": "12,000",
        **dict.fromkeys(
            ["lost", "twice", "not allowed", "not asked for", "out of order", "unsaid gaps", "needless gaps", "late"],
            "0",
        ),
        **dict.fromkeys(["stuck", "broken promises"], "0"),
        "gaps that were said": "3",
        "of them in schedules in which retention passed an edge": "3",
        "workers that ended themselves without being made to": "1",
        "slowest delivery, not counting the faults": "10.8 s",
    }
    assert made["reliability.md"]["kinds"].splitlines()[2:] == [
        "| cut kafka | 1 | kill edge | 1 | retention edge | 1 |"
    ]
