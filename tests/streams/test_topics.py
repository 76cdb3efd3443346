"""Topics that exist are judged: what cannot work is told from what keeps less than it promises."""

from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError

from streams.settings import TopicSettings
from streams.topics import Found, Judgement, Wanted, _create, judge, wanted_topics

SETTINGS = TopicSettings.model_validate(
    {"kafka_url": "kafka://broker", "kafka_replication": 3, "retention_days": 7, "dead_retention_days": 30}
)
CREATED, FEED, DEAD = wanted_topics(SETTINGS)
DAY_MS = 24 * 60 * 60 * 1000


def good(wanted: Wanted, **configuration: str) -> Found:
    """Return a topic as the worker creates it, with Kafka's defaults for the rest; changed by ``configuration``."""
    values = {
        **wanted.configuration(),
        "retention.bytes": "-1",
        "max.message.bytes": "1048588",
        **{name.replace("_", "."): value for name, value in configuration.items()},
    }
    return Found(wanted.partitions, wanted.replication, values)


def test_what_the_worker_creates_itself() -> None:
    assert [(each.name, each.partitions, each.replication, each.configuration()) for each in (CREATED, FEED, DEAD)] == [
        (
            name,
            partitions,
            3,
            {"cleanup.policy": "delete", "min.insync.replicas": "2", "retention.ms": str(days * DAY_MS)},
        )
        for name, partitions, days in (("posts.created", 8, 7), ("posts.feed", 1, 7), ("posts.dead", 1, 30))
    ]


@pytest.mark.parametrize("replication", [1, 2, 3, 5])
@pytest.mark.parametrize("number", range(3))
def test_what_the_worker_creates_is_well(replication: int, number: int) -> None:
    wanted = wanted_topics(SETTINGS.model_copy(update={"kafka_replication": replication}))[number]
    assert judge(wanted, good(wanted)) == Judgement([], [])


def test_more_of_everything_is_well() -> None:
    found = good(CREATED, retention_ms="-1", max_message_bytes="10000000", min_insync_replicas="3")
    assert judge(CREATED, replace(found, partitions=32, replication=5)) == Judgement([], [])


def test_a_configuration_that_cannot_be_read_is_not_judged() -> None:
    assert judge(FEED, Found(1, 3)) == Judgement([], [])


@pytest.mark.parametrize(
    ("wanted", "found", "errors"),
    [
        (
            FEED,
            replace(good(FEED), partitions=2),
            ["topic posts.feed has 2 partitions and must have one: delete it, or set FEED_TOPIC to another name"],
        ),
        *(
            (
                wanted,
                good(wanted, cleanup_policy=policy),
                [
                    (
                        f"topic {wanted.name} is compacted, which removes records that are needed: give it "
                        f"cleanup.policy=delete, or set {wanted.variable} to another name"
                    )
                ],
            )
            for wanted in (CREATED, FEED, DEAD)
            for policy in ("compact", "compact,delete")
        ),
        (
            FEED,
            replace(good(FEED, min_insync_replicas="2"), replication=1),
            ["topic posts.feed takes no writes, since it has 1 replicas and min.insync.replicas=2"],
        ),
    ],
)
def test_what_cannot_work_is_an_error(wanted: Wanted, found: Found, errors: list[str]) -> None:
    assert judge(wanted, found).errors == errors


@pytest.mark.parametrize(
    ("wanted", "found", "warning"),
    [
        (
            CREATED,
            replace(good(CREATED), partitions=3),
            "topic posts.created has 3 partitions, and CREATED_PARTITIONS=8: at most 3 workers share the work",
        ),
        (
            DEAD,
            replace(good(DEAD), replication=2),
            "topic posts.dead has 2 replicas, and KAFKA_REPLICATION=3: with them its records are lost",
        ),
        (
            FEED,
            good(FEED, min_insync_replicas="1"),
            (
                "topic posts.feed has min.insync.replicas=1 of 3 replicas: what is confirmed may be lost with so many "
                "brokers; a majority is 2"
            ),
        ),
        (
            FEED,
            good(FEED, min_insync_replicas="3"),
            "topic posts.feed has min.insync.replicas=3 of 3 replicas: writes stop while a majority is there",
        ),
        (
            DEAD,
            good(DEAD, retention_ms=str(7 * DAY_MS)),
            f"topic posts.dead keeps records for 7 days (retention.ms={7 * DAY_MS}), and DEAD_RETENTION_DAYS=30",
        ),
        (
            CREATED,
            good(CREATED, retention_bytes="1000"),
            "topic posts.created has retention.bytes=1000: records may be removed before RETENTION_DAYS=7",
        ),
        (
            FEED,
            good(FEED, max_message_bytes="2000"),
            (
                "topic posts.feed has max.message.bytes=2000: Kafka refuses larger batches of records, and 1048588 are "
                "expected"
            ),
        ),
    ],
)
def test_what_keeps_less_than_it_promises_is_a_warning(wanted: Wanted, found: Found, warning: str) -> None:
    assert judge(wanted, found) == Judgement([], [warning])


def test_a_dead_topic_of_several_partitions_is_well() -> None:
    assert judge(DEAD, replace(good(DEAD), partitions=3)) == Judgement([], [])


async def test_a_kafka_without_a_controller_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is while it starts: aiokafka then raises what no caller expects."""
    admin = AIOKafkaAdminClient(bootstrap_servers="127.0.0.1:1")

    async def nothing_new() -> bool:
        return True

    monkeypatch.setattr(admin._client, "force_metadata_update", nothing_new)  # noqa: SLF001 - aiokafka's own
    with pytest.raises(KafkaConnectionError, match="no controller"):
        await _create(admin, [CREATED])
