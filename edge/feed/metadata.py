"""What a client of aiokafka asks brokers about topics: only those that it tracks, and none is made by the question.

And whether brokers have refused a read: aiokafka tries again by itself, whatever the topic has become meanwhile.

Of itself aiokafka asks for all topics when it tracks none, and parses the answer in one turn of the event loop: half a
second for 5,000 topics. Asked for one by name, a broker that may creates it, with a number of partitions of its own:
aiokafka leaves "allow auto creation" on and has no setting for it.

This leans on aiokafka's internals: on the client that a consumer has, and on how it asks.
"""

import random
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from edge.feed.refusals import FORBIDDEN
from edge.feed.topic import Unreachable
from runtime.waiting import within

_ANSWER_SECONDS: Final = 30.0


class _Asking(AIOKafkaClient):  # type: ignore[misc] # aiokafka has no types
    refused_reads = 0
    """How many reads have failed, or brought an error."""

    async def send(self, node_id: int, request: Any, **options: Any) -> Any:
        """Send a request; note when a read is refused."""
        if not isinstance(request, FetchRequest):
            return await super().send(node_id, request, **options)
        try:
            answer = await super().send(node_id, request, **options)
        except KafkaError:
            self.refused_reads += 1
            raise
        self.refused_reads += any(error for _, partitions in answer.topics for _, error, *_ in partitions)
        return answer

    async def _metadata_update(self, cluster_metadata: ClusterMetadata, topics: Iterable[str]) -> bool:
        """Ask one broker after the other until one answers; return whether one did."""
        request = MetadataRequest(sorted(topics), allow_auto_topic_creation=False)
        numbers = [broker.nodeId for broker in self.cluster.brokers()]
        if ("bootstrap", ConnectionGroup.DEFAULT) in self._conns:
            numbers.append("bootstrap")
        # One that is cut off from the others answers, too, and knows nothing new: each is asked at times.
        random.shuffle(numbers)
        for number in numbers:
            connection = await self._get_conn(number)
            if connection is None:
                continue
            try:
                answer = await connection.send(request)
            except (KafkaError, TimeoutError):
                continue
            if not answer.brokers:
                return False
            cluster_metadata.update_metadata(answer)
            return True
        cluster_metadata.failed_update(None)
        return False


def ask_for_tracked_topics_only(consumer: AIOKafkaConsumer) -> None:
    """Have a consumer that was not started yet ask in this way."""
    consumer._client.__class__ = _Asking  # noqa: SLF001 - see above


def refused_reads(consumer: AIOKafkaConsumer) -> int:
    """Say how many reads of a consumer have been refused."""
    return consumer._client.refused_reads  # type: ignore[no-any-return]  # noqa: SLF001 - see above


async def track(consumer: AIOKafkaConsumer, topic: str) -> None:
    """Ask for a topic's metadata now, and have no others asked for; raises ``Unreachable`` when nobody tells."""
    client = consumer._client  # noqa: SLF001 - see above
    client.set_topics([topic])
    # The client answers once each broker had its time. If the task that asks has ended, nobody answers.
    if not await within(_ANSWER_SECONDS, client.force_metadata_update()):
        raise Unreachable("no broker has answered a question for the topic")
    if topic in client.cluster.unauthorized_topics:
        raise Unreachable(f"a broker does not describe {topic} to this user", FORBIDDEN)
