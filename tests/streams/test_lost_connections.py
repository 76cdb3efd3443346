"""A connection to Kafka that was just lost, before its reader has heard of it."""

import asyncio
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from streams import lost_connections
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


async def test_a_write_to_it_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no error that aiokafka does not expect: that would end the consumer. In every process that has a worker."""
    monkeypatch.setattr(AIOKafkaConnection, "send", lost_connections._send)  # noqa: SLF001 - aiokafka's own
    create(SETTINGS)
    connection = AIOKafkaConnection("localhost", 9)
    connection._reader, connection._writer = asyncio.StreamReader(), Closed()  # noqa: SLF001 - as connect() leaves it
    connection._read_task = asyncio.ensure_future(asyncio.sleep(60))  # noqa: SLF001 - likewise
    with pytest.raises(KafkaConnectionError):
        connection.send(MetadataRequest([]))
    assert not connection.connected()
