"""Which broker does what, asked of one broker alone: another one may be frozen, or know only what was."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiokafka.conn import create_conn
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest

OFFSETS: Final = "__consumer_offsets"
"""Where groups' commits are kept: the leader of a group's partition of it is the group's coordinator."""
_REQUEST_MS: Final = 3_000


class Placement(NamedTuple):
    """A partition: where it is kept, which copies are in sync, and who leads it (-1: nobody)."""

    topic: str
    partition: int
    leader: int
    replicas: frozenset[int]
    in_sync: frozenset[int]


async def placements(kafka_url: str, topics: Sequence[str]) -> list[Placement]:
    """Return how topics' partitions are placed, as one broker knows it."""
    answer = await _ask(kafka_url, MetadataRequest(list(topics), allow_auto_topic_creation=False))
    return [
        Placement(topic, partition, leader, frozenset(replicas), frozenset(in_sync))
        for _, topic, _, partitions in (topic[:4] for topic in answer.topics)
        for _, partition, leader, replicas, in_sync in (partition[:5] for partition in partitions)
    ]


async def coordinator(kafka_url: str, group: str) -> int:
    """Return a group's coordinator, as one broker knows it; -1 when it knows none."""
    answer = await _ask(kafka_url, FindCoordinatorRequest(group, 0))
    number: int = answer.coordinator_id
    return number


async def _ask(kafka_url: str, request: Any) -> Any:
    broker = urlsplit(kafka_url)
    connection = await create_conn(broker.hostname, broker.port, request_timeout_ms=_REQUEST_MS)
    try:
        return await connection.send(request)
    finally:
        connection.close()
