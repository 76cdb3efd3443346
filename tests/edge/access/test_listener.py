"""Connections are taken in as long as there is room, and files."""

import asyncio
import contextlib
import errno
import os
import socket
from itertools import pairwise

import pytest
import structlog

from edge.access import listener
from edge.access.limits import SPARE_PER_ADDRESS
from edge.access.listener import Listener
from tests.edge.kit.listening import gate

UNSENT = 1 << 16


class Idle(asyncio.Protocol):
    """A handler that says hello."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say it."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")

    def let_go(self) -> None:
        """Do nothing: nothing is still to be answered."""


async def read(port: int) -> tuple[bytes, asyncio.StreamWriter]:
    """Connect, and read what comes first."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read(5), writer
    except ConnectionResetError:
        return b"", writer


async def test_who_comes_far_above_the_limit_is_closed_at_once() -> None:
    """Without a protocol being made for it; who leaves makes room."""
    through = gate(total=1)
    made = 0

    def handler() -> Idle:
        nonlocal made
        made += 1
        return Idle()

    listening = Listener(through, handler, unsent_bytes=UNSENT)
    await listening.open("127.0.0.1", 0)
    port = listening.addresses[0][1]
    clients = [await read(port) for _ in range(SPARE_PER_ADDRESS + 3)]
    assert [said for said, _ in clients] == [b"hello"] * (SPARE_PER_ADDRESS + 1) + [b""] * 2
    assert made == through.census.connections == SPARE_PER_ADDRESS + 1
    for _, writer in clients:
        writer.close()
    while through.census.connections:
        await asyncio.sleep(0)
    said, writer = await read(port)
    assert said == b"hello"
    writer.close()
    listening.close()
    while through.census.connections:
        await asyncio.sleep(0)


async def test_it_listens_on_all_addresses_of_a_host_until_it_is_closed() -> None:
    """Nobody gets through afterwards."""
    listening = Listener(gate(), Idle, unsent_bytes=UNSENT)
    await listening.open("localhost", 0)
    ports = [port for host, port in listening.addresses if host == "127.0.0.1"]
    listening.close()
    assert listening.addresses == []
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_an_address_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listening = Listener(gate(), Idle, unsent_bytes=UNSENT)
        with pytest.raises(OSError, match="in use"):
            await listening.open("127.0.0.1", taken.getsockname()[1])
        assert listening.addresses == []


class Short(socket.socket):
    """A socket of a process that has no file left, for a while."""

    tries = 0

    def accept(self) -> tuple[socket.socket, object]:
        """Fail three times."""
        self.tries += 1
        if self.tries <= 3:
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_it_waits_while_files_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not spin, says it once, and goes on when there are files again."""
    monkeypatch.setattr(listener, "_PAUSE_SECONDS", 0.01)
    short = Short(socket.AF_INET, socket.SOCK_STREAM)
    short.bind(("127.0.0.1", 0))
    short.listen()
    monkeypatch.setattr(socket, "create_server", lambda *_, **__: short)
    listening = Listener(gate(), Idle, unsent_bytes=UNSENT)
    with structlog.testing.capture_logs() as logged:
        await listening.open("127.0.0.1", 0)
        said, writer = await read(listening.addresses[0][1])
    assert said == b"hello"
    assert logged == [{"event": "edge.short", "error": "Too many open files", "log_level": "error"}]
    # Three in vain, one client, and one after it that finds nobody: not one a turn of the loop.
    assert short.tries == 5
    writer.close()
    listening.close()


async def test_a_few_connections_are_taken_in_a_turn() -> None:
    """However many wait: what they are let in for takes time, and the others have their turn in between."""
    through = gate()
    listening = Listener(through, Idle, unsent_bytes=UNSENT)
    await listening.open("127.0.0.1", 0)
    with contextlib.ExitStack() as opened:
        for _ in range(40):
            opened.enter_context(socket.create_connection(listening.addresses[0]))
        taken = [0]
        async with asyncio.timeout(60):
            while taken[-1] < 40:
                await asyncio.sleep(0)
                taken.append(through.census.connections)
        assert max(later - earlier for earlier, later in pairwise(taken)) <= 8
        listening.close()


async def test_several_listen_on_one_port_if_each_of_them_says_so() -> None:
    """Whoever does not is told that the port is taken."""
    first, second, stranger = (Listener(gate(), Idle, unsent_bytes=UNSENT) for _ in range(3))
    await first.open("127.0.0.1", 0, reuse_port=True)
    port = first.addresses[0][1]
    await second.open("127.0.0.1", port, reuse_port=True)
    with pytest.raises(OSError, match="in use"):
        await stranger.open("127.0.0.1", port)
    first.close()
    said, writer = await read(port)
    assert said == b"hello"
    writer.close()
    second.close()


async def test_the_kernel_keeps_little_for_a_client_that_does_not_read() -> None:
    """What it has not sent yet, beside what the client's own buffer holds; by itself it would take megabytes."""
    ended = asyncio.get_running_loop().create_future()

    class Talking(Idle):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.WriteTransport)
            accepted = transport.get_extra_info("socket")
            taken = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    taken += os.write(accepted.fileno(), bytes(UNSENT))
            ended.set_result(taken)
            transport.abort()

    listening = Listener(gate(), Talking, unsent_bytes=UNSENT)
    await listening.open("127.0.0.1", 0)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNSENT)
        client.connect(("127.0.0.1", listening.addresses[0][1]))
        held = client.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert await ended <= held + 3 * UNSENT
    listening.close()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="there is no IPv6 here")
async def test_all_addresses_are_those_of_both_families() -> None:
    """The image's own health check asks 127.0.0.1, whatever EDGE_HOST is."""
    listening = Listener(gate(), Idle, unsent_bytes=UNSENT)
    await listening.open("::", 0)
    [(host, port)] = listening.addresses
    assert host == "::"
    for address in ("127.0.0.1", "::1"):
        reader, writer = await asyncio.open_connection(address, port)
        assert await reader.read(5) == b"hello"
        writer.close()
    listening.close()


async def test_a_connection_that_is_gone_before_it_is_made_leaves_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system says so when its transport is to be made."""
    through = gate()
    loop = asyncio.get_running_loop()
    tried = asyncio.Event()

    async def fail(*_: object) -> None:
        tried.set()
        raise OSError(errno.EINVAL, "gone")

    monkeypatch.setattr(loop, "connect_accepted_socket", fail)
    listening = Listener(through, Idle, unsent_bytes=UNSENT)
    await listening.open("127.0.0.1", 0)
    said, writer = await read(listening.addresses[0][1])
    assert said == b""
    assert tried.is_set()
    assert through.census.connections == 0
    writer.close()
    listening.close()
