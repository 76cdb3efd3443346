"""What is in the way is reported as long as it is there."""

from streams.hindrances import Hindrances
from streams.progress import Progress, Waiting


def made() -> tuple[Progress, Hindrances]:
    """Make hindrances of a stage called read, and what is reported."""
    progress = Progress(lambda: 0.0)
    return progress, Hindrances(progress.stage("read"))


def told(progress: Progress) -> set[tuple[str, str]]:
    """Say what is waited for, and why."""
    assert all(waiting.stage == "read" for waiting in progress.waiting)
    return {(waiting.service, waiting.why) for waiting in progress.waiting}


def test_at_first_partitions_are_waited_for() -> None:
    progress, hindrances = made()
    assert progress.waiting == [Waiting("read", "kafka", "waiting for partitions of posts.created")]
    hindrances.assigned()
    assert progress.waiting == []


def test_a_rebalance_says_what_it_waits_for_now() -> None:
    progress, hindrances = made()
    hindrances.rebalance("waiting for partitions")
    assert told(progress) == {("kafka", "a rebalance: waiting for partitions")}
    hindrances.rebalance("Kafka does not say where to begin")
    assert told(progress) == {("kafka", "a rebalance: Kafka does not say where to begin")}
    hindrances.assigned()
    assert told(progress) == set()


def test_each_is_reported_beside_the_others_until_it_is_over() -> None:
    progress, hindrances = made()
    hindrances.assigned()
    leader = ("leader", "no broker of Kafka that leads the assigned partitions of posts.created answers")
    right = ("permission", "Kafka does not allow this worker to read posts.created: grant it the right")
    for _ in range(2):
        hindrances.unanswered()
        hindrances.note_right(is_refused=True)
        assert len(progress.waiting) == 2
        assert told(progress) == {leader, right}
    hindrances.answered()
    assert told(progress) == {right}
    hindrances.note_right(is_refused=False)
    assert told(progress) == set()
