"""What is told of a schedule, and of all."""

import json
from dataclasses import replace

from integration.faults.observations import Happened, Span
from integration.faults.outcome import Outcome, line, sentences, table, total
from integration.faults.verdict import Verdict

KILLED = Happened("kill edge", Span(1.0, 3.5), "edge-0 killed")


def outcome(
    *faults: Happened, verdict: Verdict | None = None, stuck: tuple[str, ...] = (), name: str = "seed 7"
) -> Outcome:
    return Outcome(
        name,
        faults or (KILLED,),
        verdict or Verdict(slowest=2.25),
        stuck,
        restarts=(),
        posts=100,
        deliveries=600,
        gaps=1,
        seconds=20.4,
        clients={"WebSocket": 5, "/events": 1},
        tokens=7,
    )


LOST = Verdict(lost=[f"post {number} was shown to nobody" for number in range(7)], slowest=1.0)
UNPROVEN = Happened("cut kafka", Span(0.0, 1.0), None)


def test_a_clean_schedule_is_one_line() -> None:
    assert line(outcome()) == (
        "seed 7: clean - 100 posts, 600 deliveries, 1 gaps said, slowest 2.2 s, took 20 s - kill edge"
    )


def test_a_charge_comes_before_a_lack_of_proof() -> None:
    assert outcome(UNPROVEN).word == "does not count: no proof of cut kafka"
    assert outcome(UNPROVEN, verdict=LOST).word == "7 lost"
    assert outcome(stuck=("edge-0 is not ready",)).word == "1 stuck"
    assert replace(outcome(), promises=["posts took too long"]).word == "1 broken promises"


def test_a_process_that_ended_by_itself_is_charged() -> None:
    ended = replace(outcome(), restarts=["worker-0 ended with 70"], promises=["posts took too long"])
    assert ended.charges == {
        "broken promises": ["posts took too long", "worker-0 ended with 70, and no fault had ended it"]
    }


def test_of_many_charges_the_first_few_are_told_and_all_faults_with_their_proof() -> None:
    told = [f"  lost: post {number} was shown to nobody" for number in range(5)]
    assert sentences(outcome(KILLED, UNPROVEN, verdict=LOST)) == [
        *told,
        "  kill edge: edge-0 killed",
        "  cut kafka: no proof",
    ]


def test_json_holds_every_charge() -> None:
    told = json.loads(json.dumps(outcome(verdict=LOST).as_json()))
    assert told == {
        "schedule": "seed 7",
        "result": "7 lost",
        "posts": 100,
        "deliveries": 600,
        "clients": {"WebSocket": 5, "/events": 1},
        "tokens": 7,
        "gaps_said": 1,
        "slowest_seconds": 1.0,
        "silence_seconds": 0.0,
        "seconds": 20.4,
        "faults": [{"kind": "kill edge", "seconds": 2.5, "evidence": "edge-0 killed"}],
        "restarts": [],
        "charges": {"lost": LOST.lost},
    }


def test_the_table_counts_only_what_is_proven() -> None:
    shown = table([outcome(), outcome(verdict=LOST), outcome(KILLED, UNPROVEN)])
    assert shown.splitlines() == [
        "| fault     | times | in schedules with a charge |",
        "|-----------|-------|----------------------------|",
        "| kill edge | 2     | 1                          |",
    ]


def test_the_total_counts_only_what_is_proven() -> None:
    assert total([outcome(), outcome(verdict=LOST), outcome(UNPROVEN)]) == (
        "2 schedules counted (1 without proof), 2 faults, 200 posts: 7 lost, 0 twice, 0 not allowed, 0 not asked for, "
        "0 out of order, 0 unsaid gaps, 0 needless gaps, 0 late, 0 stuck, 0 broken promises"
    )
