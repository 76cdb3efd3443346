"""Servers by TLS, and without, that answer for a while and then freeze, as a process does that is stopped.

A frozen server reads nothing more, so a client that closes its connection by TLS is not answered either.
"""

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pamqp.frame
import trustme
from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.metadata import MetadataResponse_v1
from pamqp import commands

_API_VERSIONS: Final = 18
_METADATA: Final = 3
_KNOWN: Final = [(1, 0, 2), (2, 0, 1), (3, 0, 1), (9, 1, 3), (10, 0, 1), (11, 0, 2), (15, 0, 0), (18, 0, 0)]


@dataclass
class Authority:
    """What signs the servers' certificates; ``file`` is its own, in PEM."""

    folder: Path
    issuer: trustme.CA = field(default_factory=trustme.CA)

    @property
    def file(self) -> Path:
        path = self.folder / "ca.pem"
        self.issuer.cert_pem.write_to_path(path)
        return path

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issuer.issue_cert("localhost").configure_cert(context)
        return context


@dataclass
class Frozen:
    """Where a server listens, the switch that freezes it, and the tasks in which it talks."""

    port: int = 0
    is_frozen: bool = False
    tasks: set[asyncio.Task[Any] | None] = field(default_factory=set)


def reaching(broker: Frozen, authority: Authority) -> dict[str, str]:
    """Return the settings by which Kafka is reached by TLS."""
    return {
        "kafka_url": f"kafka://localhost:{broker.port}",
        "kafka_security_protocol": "SSL",
        "kafka_ca_file": str(authority.file),
    }


_Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Frozen], Any]


@asynccontextmanager
async def _serving(talk: _Conversation, tls: ssl.SSLContext | None) -> AsyncIterator[Frozen]:
    server = Frozen()
    has_ended = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.tasks.add(asyncio.current_task())
        try:
            await talk(reader, writer, server)
            cast("asyncio.Transport", writer.transport).pause_reading()
            await has_ended.wait()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(connected, "localhost", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        has_ended.set()


@asynccontextmanager
async def silent(tls: ssl.SSLContext | None) -> AsyncIterator[Frozen]:
    """Serve nobody: connections are made, with TLS, and that is all."""

    async def talk(*_: object) -> None: ...

    async with _serving(talk, tls) as server:
        yield server


@asynccontextmanager
async def kafka(topics: Mapping[str, int], tls: ssl.SSLContext | None = None, host: str = "") -> AsyncIterator[Frozen]:
    """Be a broker that says which topics there are, and is frozen by any other question; ``host`` is how it is called.

    ``topics`` are their partitions by their names.
    """

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Frozen) -> None:
        while True:
            [size] = struct.unpack(">i", await reader.readexactly(4))
            api, _, number = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
            if api == _API_VERSIONS:
                answer = ApiVersionResponse_v0(0, _KNOWN).encode()
            elif api == _METADATA and not server.is_frozen:
                described = [
                    (0, name, False, [(0, each, 1, [1], [1]) for each in range(count)])
                    for name, count in topics.items()
                ]
                brokers = [(1, host or "localhost", server.port, None)]
                answer = MetadataResponse_v1(brokers, 1, described).encode()
            else:
                return
            writer.write(struct.pack(">ii", len(answer) + 4, number) + answer)

    async with _serving(talk, tls) as server:
        yield server


@asynccontextmanager
async def rabbitmq(tls: ssl.SSLContext | None) -> AsyncIterator[Frozen]:
    """Be a RabbitMQ whose one queue is empty."""
    answers: Mapping[str, pamqp.frame.FrameTypes] = {
        "Connection.StartOk": commands.Connection.Tune(0, 131_072, 10),
        "Connection.Open": commands.Connection.OpenOk(),
        "Channel.Open": commands.Channel.OpenOk(),
        "Channel.Close": commands.Channel.CloseOk(),
        "Queue.Declare": commands.Queue.DeclareOk("q", 0, 1),
        "Basic.Qos": commands.Basic.QosOk(),
        "Basic.Consume": commands.Basic.ConsumeOk("tag"),
    }

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: Frozen) -> None:
        await reader.readexactly(8)
        start = commands.Connection.Start(mechanisms="PLAIN", server_properties={"capabilities": {}})
        writer.write(pamqp.frame.marshal(start, 0))
        while True:
            head = await reader.readexactly(7)
            rest = await reader.readexactly(int.from_bytes(head[3:]) + 1)
            if server.is_frozen:
                return
            _, channel, frame = pamqp.frame.unmarshal(head + rest)
            if frame.name in answers:
                writer.write(pamqp.frame.marshal(answers[frame.name], channel))

    async with _serving(talk, tls) as server:
        yield server
