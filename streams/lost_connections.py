"""Has aiokafka notice on uvloop that a connection was just lost.

A write to a connection that is closed does nothing on asyncio's own loop, and raises RuntimeError on uvloop's. aiokafka
is made for the first: by the second, between a reset and the moment in which its reader hears of it, it ended the
consumer, and with it the worker.
"""

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection, CloseReason

_send: Final = AIOKafkaConnection.send


def notice_lost_connections() -> None:
    """Have every connection of aiokafka in this process take a transport that is closing for lost, before it writes."""
    AIOKafkaConnection.send = _noticing_send


def _noticing_send(connection: AIOKafkaConnection, request: Any, expect_response: bool = True) -> Any:
    writer = connection._writer  # noqa: SLF001 - there is no public way
    if writer is not None and writer.transport.is_closing():
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
    # Without a writer it raises what the callers of aiokafka's connections expect.
    return _send(connection, request, expect_response)
