"""Has connections of aiokafka fail, and end, in the ways that its clients expect.

A write to a connection that is closed does nothing on asyncio's own loop, and raises RuntimeError on uvloop's. aiokafka
is made for the first: by the second, between a reset and the moment in which its reader hears of it, it ended the
consumer, and with it the worker.

A broker may be advertised by a name that IDNA refuses, as ``kafka-0..svc`` is. Then UnicodeError came, which ended the
task that asks for metadata without a word; whoever waited for an answer waited for ever.

By TLS, with a broker that is frozen, closing a connection takes half a minute, and a client closes all it has.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

from runtime.waiting import within

_connect: Final = AIOKafkaConnection.connect
_send: Final = AIOKafkaConnection.send

# How long one step of stopping a client may take; it takes milliseconds when brokers answer.
_STOP_SECONDS: Final = 1.0


def mend_kafka_connections() -> None:
    """Have every connection in this process fail with one of aiokafka's errors, where it raised another."""
    AIOKafkaConnection.connect = _mended_connect
    AIOKafkaConnection.send = _mended_send


async def _mended_connect(connection: AIOKafkaConnection) -> Any:
    try:
        return await _connect(connection)
    except UnicodeError as error:
        raise KafkaConnectionError(f"{connection.host} is no name of a host: {error}") from error


def _mended_send(connection: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    writer = connection._writer  # noqa: SLF001 - there is no public way
    if writer is not None and writer.transport.is_closing():
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
    # Without a writer it raises what the callers of aiokafka's connections expect.
    return _send(connection, request, expect_response)


async def consumer_stopped(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer for good; see :func:`stopped`."""
    await stopped(consumer.stop, consumer._client.close)  # noqa: SLF001 - there is no public way


async def stopped(*stops: Callable[[], Awaitable[object]], seconds: float = _STOP_SECONDS) -> None:
    """Stop a client of aiokafka for good, by the first of its methods that ends well within ``seconds``.

    The first is its own ``stop``. That may end with the CancelledError of one of its tasks while a broker is away,
    which would pass for a cancellation of ours and leave the client's tasks running; and see above. Closing what is
    beneath does nothing the second time.
    """
    for stop in stops:
        with suppress(Exception):
            await within(seconds, stop())
            return
