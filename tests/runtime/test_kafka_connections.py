"""Connections to Kafka that fail in ways of their own, and clients that are stopped while it is frozen."""

import asyncio
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from runtime import kafka_connections
from runtime.kafka_connections import mend_kafka_connections, stopped
from tests.streams.memory_kafka import SETTINGS
from tests.streams.worker_app import create


class Closed:
    """uvloop's transport of a connection that was reset, and a writer on it."""

    def __init__(self) -> None:
        self.transport: Any = self

    def is_closing(self) -> bool:
        return True

    def close(self) -> None:
        pass

    def write(self, _data: bytes) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed")


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave aiokafka as it is behind each test."""
    for name in ("connect", "send"):
        monkeypatch.setattr(AIOKafkaConnection, name, getattr(kafka_connections, f"_{name}"))


async def test_a_write_to_one_that_was_just_lost_is_a_lost_connection() -> None:
    """And no error that aiokafka does not expect: that would end the consumer. In every process that has a worker."""
    create(SETTINGS)
    connection = AIOKafkaConnection("localhost", 9)
    connection._reader, connection._writer = asyncio.StreamReader(), Closed()  # noqa: SLF001 - as connect() leaves it
    connection._read_task = asyncio.ensure_future(asyncio.sleep(60))  # noqa: SLF001 - likewise
    with pytest.raises(KafkaConnectionError):
        connection.send(MetadataRequest([]))
    assert not connection.connected()


@pytest.mark.parametrize("name", ["kafka-0..svc", "a" * 64 + ".svc"])
async def test_a_name_that_nothing_can_have_is_a_broker_that_cannot_be_reached(name: str) -> None:
    mend_kafka_connections()
    with pytest.raises(KafkaConnectionError, match=f"{name} is no name of a host"):
        await create_conn(name, 9092)


class Client:
    """One whose ``stop`` fails, hangs, or ends well."""

    def __init__(self, stop: BaseException | None) -> None:
        self.calls: list[str] = []
        self._stop = stop

    async def stop(self) -> None:
        self.calls.append("stop")
        if self._stop is None:
            return
        if isinstance(self._stop, TimeoutError):
            await asyncio.Event().wait()
        raise self._stop

    async def close(self) -> None:
        self.calls.append("close")


@pytest.mark.parametrize(
    ("stop", "calls"),
    [
        (None, ["stop"]),
        (asyncio.CancelledError(), ["stop", "close"]),
        (KafkaConnectionError(), ["stop", "close"]),
        (TimeoutError(), ["stop", "close"]),
    ],
)
async def test_a_client_is_closed_however_its_stop_ends(stop: BaseException | None, calls: list[str]) -> None:
    client = Client(stop)
    await stopped(client.stop, client.close, seconds=0.1)
    assert client.calls == calls
