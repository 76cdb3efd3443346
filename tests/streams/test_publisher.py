"""Which partition an id goes to, and which records carry it. Confirmed writes: ``integration/test_publisher.py``."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, RequestTimedOutError

from streams import publisher
from streams.contract import MAX_ID, MAX_IDS, Created, PostId, decode_created, encode_created
from streams.progress import Progress
from streams.publisher import MAX_RECORD_BYTES, Keyed, Publisher, created_records, delays, partition_of
from streams.settings import TopicSettings


def test_an_id_goes_where_javas_clients_put_its_key() -> None:
    # Kafka's own values: org.apache.kafka.common.utils.UtilsTest has murmur2("21") == -973932308.
    positive = -973932308 & 0x7FFFFFFF
    for count in (1, 3, 8, 32):
        assert partition_of(PostId(21), range(count)) == positive % count


def test_one_id_has_its_key_and_several_share_a_record() -> None:
    assert created_records([PostId(7)], 2) == [Keyed(b"7", encode_created(Created([PostId(7)], 2)))]
    assert created_records([PostId(7), PostId(8)], 0) == [Keyed(None, b'{"ids":[7,8]}')]


def test_a_record_holds_no_more_ids_than_the_contract_allows() -> None:
    ids = [PostId(MAX_ID - number) for number in range(2 * MAX_IDS + 1)]
    records = created_records(ids, 1)
    assert [len(decode_created(value).ids) for _, value in records] == [MAX_IDS, MAX_IDS, 1]
    assert [post for _, value in records for post in decode_created(value).ids] == ids
    assert max(len(value) for _, value in records) < MAX_RECORD_BYTES


def test_new_attempts_come_soon_and_never_end() -> None:
    each = delays()
    assert [next(each) for _ in range(9)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


class Deposed:
    """A producer whose leader confirms nothing, until it is asked anew who leads."""

    def __init__(self) -> None:
        self.client = self
        self.asked = self.sent = 0

    def force_metadata_update(self) -> None:
        self.asked += 1

    def create_batch(self) -> Any:
        return SimpleNamespace(append=lambda **_: True, close=lambda: None, size=lambda: 1, record_count=lambda: 1)

    async def partitions_for(self, _: str) -> set[int]:
        return {0}

    async def send_batch(self, *_: object, **__: object) -> Any:
        self.sent += 1
        if not self.asked:
            raise RequestTimedOutError

        async def confirmed() -> None:
            pass

        return confirmed()


async def test_who_does_not_confirm_may_not_lead_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "delays", lambda: iter([0.0]))
    producer, writes = Deposed(), Publisher(TopicSettings.model_validate({"kafka_url": "kafka://broker"}))
    monkeypatch.setattr(writes, "_producer", producer)
    with Progress(time.monotonic).stage("publish").work() as work:
        await writes.publish("posts.dead", [b"1"], work)
    assert (producer.sent, producer.asked) == (2, 1)


class Unconnected(AIOKafkaProducer):  # type: ignore[misc] # it has no types
    """aiokafka's producer, which stays without a connection; ``failure`` ends its start."""

    failure: Exception | None = None
    stopped = False

    async def start(self) -> None:
        if self.failure:
            raise self.failure

    async def stop(self) -> None:
        self.stopped = True
        await super().stop()


async def test_a_write_is_confirmed_when_all_replicas_in_sync_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Law 1: with fewer, what Kafka has confirmed may be gone with one broker."""
    monkeypatch.setattr(publisher, "AIOKafkaProducer", Unconnected)
    producer = await Publisher(TopicSettings.model_validate({"kafka_url": "kafka://broker"}))._connected()  # noqa: SLF001 - what start() does
    assert producer._sender._acks == -1  # noqa: SLF001 - as each request says it
    await producer.stop()


async def test_a_producer_that_cannot_start_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Unconnected] = []

    def making(**settings: Any) -> Unconnected:
        made.append(Unconnected(**settings))
        made[-1].failure = KafkaConnectionError("away")
        return made[-1]

    monkeypatch.setattr(publisher, "AIOKafkaProducer", making)
    with pytest.raises(KafkaConnectionError, match="away"):
        await Publisher(TopicSettings.model_validate({"kafka_url": "kafka://broker"}))._connected()  # noqa: SLF001 - what start() does
    assert [producer.stopped for producer in made] == [True]
