"""Is a backing service ready? Asked in its own protocol, since an open port says little: Docker opens it first.

Each probe takes the service's URL, returns when the service answered as it should, and raises one of
:data:`NOT_READY` when it did not.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol
from urllib.parse import urlsplit

import aio_pika
import asyncpg
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

ANSWER_SECONDS: Final = 5.0
"""How long one probe may take. A healthy service on the same machine answers within 0.1 s."""

NOT_READY: Final = (
    OSError,
    TimeoutError,
    aio_pika.exceptions.AMQPError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    KafkaError,
)


class Probe(Protocol):
    """One of the three functions below."""

    async def __call__(self, url: str) -> None:
        """Return when the service at ``url`` answers."""
        ...


async def amqp(url: str) -> None:
    """Open and close an AMQP connection: handshake, login and virtual host."""
    broker = urlsplit(url)
    reader, writer = await asyncio.open_connection(broker.hostname, broker.port or 5672)
    try:
        # The protocol header, which the broker answers with a method frame, Connection.Start (AMQP 0-9-1, 4.2.2).
        # Asked by hand first, since the client logs each of the refusals that are expected here as an error.
        writer.write(b"AMQP\x00\x00\x09\x01")
        if await reader.read(1) != b"\x01":
            raise ConnectionError("it does not speak AMQP 0-9-1")
    finally:
        writer.close()
    connection = await aio_pika.connect(url)
    await connection.close()


async def postgres(url: str) -> None:
    """Run one statement."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT 1")
    finally:
        await connection.close()


async def kafka(url: str) -> None:
    """Ask one of the brokers of ``kafka://host:port[;kafka://host:port]`` which brokers there are."""
    connection = None
    error: OSError | KafkaError | TimeoutError | None = None
    for part in url.split(";"):
        broker = urlsplit(part)
        try:
            connection = await create_conn(broker.hostname, broker.port or 9092)
            metadata = await connection.send(MetadataRequest([]))
        except (OSError, KafkaError, TimeoutError) as failure:
            error = failure
        else:
            if metadata.brokers:
                return
            error = ConnectionError("no broker has joined the cluster yet")
        finally:
            if connection is not None:
                connection.close()
                connection = None
    raise error or ConnectionError("no broker is named")


def ask(probe: Probe, url: str) -> None:
    """Run a probe to its end, also from within a running event loop; raises one of :data:`NOT_READY`."""

    async def bounded() -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            await probe(url)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="probe") as thread:
        thread.submit(asyncio.run, bounded()).result()
