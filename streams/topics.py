"""The topics that the worker needs: created where they are missing, checked where they exist."""

from typing import Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from streams.settings import TopicSettings

_REQUEST_TIMEOUT_MS: Final = 10_000
_DAY_MS: Final = 24 * 60 * 60 * 1000


class WrongTopic(Exception):
    """A topic exists with another number of partitions than the contract allows."""


async def declare_topics(settings: TopicSettings) -> None:
    """Create the topics that are missing, and check those that are there; raises :class:`WrongTopic`.

    Their order is part of the promise (one partition) or their number is what workers share (several),
    so no broker's default will do.
    """
    wanted = {
        settings.created_topic: (settings.created_partitions, settings.retention_days),
        settings.feed_topic: (1, settings.retention_days),
        settings.dead_topic: (1, settings.dead_retention_days),
    }
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_servers, request_timeout_ms=_REQUEST_TIMEOUT_MS, client_id="postcast-topics"
    )
    try:
        await admin.start()
        there = set(await admin.list_topics())
        missing = [
            NewTopic(name, partitions, settings.kafka_replication, topic_configs=_configs(settings, days))
            for name, (partitions, days) in wanted.items()
            if name not in there
        ]
        if missing:
            for name, code, *_ in (await admin.create_topics(missing)).topic_errors:
                # Another worker may have been quicker.
                if (error := for_code(code)) is not TopicAlreadyExistsError and code != 0:
                    raise error(f"topic {name} cannot be created")
        [feed] = await admin.describe_topics([settings.feed_topic])
        if len(feed["partitions"]) > 1:
            raise WrongTopic(
                f"topic {settings.feed_topic} has {len(feed['partitions'])} partitions and must have one: "
                "delete it, or set FEED_TOPIC to another name"
            )
    finally:
        await admin.close()


def _configs(settings: TopicSettings, days: int) -> dict[str, str]:
    # A majority: of three replicas one may be away without stopping the writes, and what is confirmed is on two.
    in_sync = settings.kafka_replication // 2 + 1
    return {"retention.ms": str(days * _DAY_MS), "min.insync.replicas": str(in_sync), "cleanup.policy": "delete"}
