"""Jumps of offsets and partitions that are added, on a real log: nothing is lost, and nobody stands still."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError

from integration import topics
from integration.author import author_of
from integration.clients import connect
from integration.conftest import Install, lacking
from integration.system import System
from integration.topics import Placed
from streams.contract import Created, PostId, encode_created

_METADATA_SECONDS: Final = 30
_REBALANCE_SECONDS: Final = 30


def _servers(system: System) -> list[str]:
    return [part.removeprefix("kafka://") for part in system.environment["KAFKA_URL"].split(";")]


async def _write_in_transactions(system: System, ids: Sequence[int]) -> None:
    """Write each id in a transaction of its own, whose marker takes the offset after it."""
    producer = AIOKafkaProducer(bootstrap_servers=_servers(system), transactional_id=f"{system.name}.writer")
    try:
        async with asyncio.timeout(90):
            await producer.start()
            for id_ in ids:
                async with producer.transaction():
                    await producer.send_and_wait(system.created, encode_created(Created((PostId(id_),))), partition=0)
    except (KafkaError, IncompatibleBrokerVersion, TimeoutError) as error:
        lacking(f"this broker knows no transactions: {error!r}")
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await producer.stop()


async def _committed_and_end(system: System) -> tuple[int, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=_servers(system), group_id=system.name, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(system.created, 0)
        consumer.assign([partition])
        return await consumer.committed(partition) or 0, (await consumer.end_offsets([partition]))[partition]
    finally:
        await consumer.stop()


async def test_the_markers_of_a_transactional_writer_are_holes_and_said_once(
    install: Install, owner: dict[str, str]
) -> None:
    """M10: each takes an offset that no record has, the last one at the end of the log.

    A broker can hold back for a fetch's whole wait (1.5 s) what such a writer wrote: a window of 1 s is overdue by
    then, and is shown after the live one. So each post is counted, and not their order.
    """
    system = install()
    await topics.create(system.environment["KAFKA_URL"], {system.created: 1, system.feed: 1, system.dead: 1})
    edge, worker = system.edge(), system.worker()
    async with author_of(system, owner) as author:
        ids = await author.insert(20)
        await asyncio.to_thread(edge.until_ready)
        await asyncio.to_thread(worker.until_ready)
        async with await connect(edge.websocket) as client:
            await _write_in_transactions(system, ids)
            await client.until_shown(20)
            deadline = time.monotonic() + 20
            while (committed := await _committed_and_end(system))[0] != committed[1]:
                assert time.monotonic() < deadline, committed
            assert committed == (40, 40)
            assert sorted(client.ids) == ids
            assert len(await asyncio.to_thread(worker.events, "records.hole")) == 1
            ids += await author.publish(1)
            await client.until_shown(21)
            assert sorted(client.ids) == sorted(ids)
    assert worker.is_alive()


async def test_partitions_that_are_added_are_read_within_the_age_of_metadata(
    install: Install, owner: dict[str, str]
) -> None:
    """M12."""
    system = install()
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.created: 2, system.feed: 1, system.dead: 1})
    edge, worker = system.edge(), system.worker()
    async with author_of(system, owner) as author:
        await asyncio.to_thread(edge.until_ready)
        await asyncio.to_thread(worker.until_ready)
        ids = await author.insert(8)
        async with await connect(edge.websocket) as client:
            await _add_partitions(system, 4)
            await topics.until_partitions(kafka_url, system.created, 4)
            placed = [Placed(2 + number % 2, time.time_ns() // 1_000_000, id_) for number, id_ in enumerate(ids)]
            await topics.place(kafka_url, system.created, placed)
            await client.until_shown(8, patience=_METADATA_SECONDS + _REBALANCE_SECONDS)
            assert sorted(client.ids) == sorted(ids)


async def _add_partitions(system: System, number: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=_servers(system))
    try:
        async with asyncio.timeout(90):
            await admin.start()
            answer = await admin.create_partitions({system.created: NewPartitions(number)})
    except (KafkaError, IncompatibleBrokerVersion, TimeoutError) as error:
        lacking(f"this broker adds no partitions: {error!r}")
    finally:
        await admin.close()
    if any(code for _, code, *_ in answer.topic_errors):
        lacking(f"this broker adds no partitions: {answer}")
