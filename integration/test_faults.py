"""The fault checker's own tools, on loopback; and every seed that has found a defect, by the defect's name."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from integration.faults import results
from integration.faults.installation import Installation
from integration.faults.observations import Happened, Span
from integration.faults.outcome import Outcome
from integration.faults.proxy import Proxy
from integration.faults.runner import running
from integration.faults.schedule import Fault
from integration.faults.stage import Stage
from integration.faults.verdict import Verdict
from integration.ports import free_port

ROOT = Path(__file__).parents[1]


class Echo:
    """A service that says what it hears, and counts whoever is there."""

    def __init__(self) -> None:
        self.present = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Attend to a connection until it ends."""
        self.present += 1
        try:
            while data := await reader.read(100):
                writer.write(data)
        except ConnectionError:
            pass
        finally:
            self.present -= 1
            writer.close()


@asynccontextmanager
async def proxied() -> AsyncIterator[tuple[Proxy, Echo]]:
    echo = Echo()
    service = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = Proxy(free_port(), service.sockets[0].getsockname())
    await proxy.start()
    async with asyncio.timeout(60):
        try:
            yield proxy, echo
        finally:
            await proxy.close()
            service.close()
            await service.wait_closed()


@asynccontextmanager
async def connected(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    """Say something and return the answer."""
    writer.write(text)
    return await reader.readexactly(len(text))


async def test_a_proxy_that_is_whole_passes_everything_on_and_the_end_too() -> None:
    async with proxied() as (proxy, _), connected(proxy) as (reader, writer):
        assert await heard(reader, writer, b"hello") == b"hello"
        writer.write_eof()
        assert await reader.read() == b""


async def test_a_cut_resets_who_is_there_and_refuses_who_comes_until_it_is_healed() -> None:
    async with proxied() as (proxy, _):
        async with connected(proxy) as (reader, writer):
            await heard(reader, writer, b"hello")
            assert proxy.cut() == 1
            with pytest.raises(ConnectionResetError):
                await reader.read()
        async with connected(proxy) as (reader, _):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        assert proxy.refused == 1
        proxy.heal()
        async with connected(proxy) as (reader, writer):
            assert await heard(reader, writer, b"again") == b"again"


async def test_a_stall_holds_back_what_is_said_and_lets_it_go_in_the_end() -> None:
    async with proxied() as (proxy, _), connected(proxy) as (reader, writer):
        await heard(reader, writer, b"hello")
        proxy.stall()
        writer.write(b"anybody?")
        while proxy.held_back < len(b"anybody?"):
            await asyncio.sleep(0.01)
        assert not reader.at_eof()
        proxy.heal()
        assert await reader.readexactly(len(b"anybody?")) == b"anybody?"


async def test_a_slow_line_takes_a_tenth_of_a_second_for_each_step() -> None:
    async with proxied() as (proxy, _), connected(proxy) as (reader, writer):
        proxy.slow()
        begun = asyncio.get_running_loop().time()
        assert await heard(reader, writer, b"hello") == b"hello"
        assert asyncio.get_running_loop().time() - begun >= 0.2
        assert proxy.delayed == 2 * len(b"hello")


async def test_a_half_open_connection_is_gone_for_the_service_and_silent_for_the_client() -> None:
    async with proxied() as (proxy, echo), connected(proxy) as (reader, writer):
        await heard(reader, writer, b"hello")
        assert proxy.orphan() == 1
        while echo.present:
            await asyncio.sleep(0.01)
        writer.write(b"anybody?")
        while proxy.swallowed < len(b"anybody?"):
            await asyncio.sleep(0.01)
        async with connected(proxy) as (fresh_reader, fresh_writer):
            assert await heard(fresh_reader, fresh_writer, b"new") == b"new"
        assert not reader.at_eof()
        assert proxy.heal() == 1
        with pytest.raises(ConnectionResetError):
            await reader.read()


def test_outcomes_of_all_runs_are_kept_by_version_and_seed(tmp_path: Path) -> None:
    proof = Happened("kill edge", Span(0, 1), "edge-0 killed")
    outcome = Outcome("seed 1", [proof], Verdict(), (), (), posts=1, deliveries=6, gaps=0, seconds=1)
    for _ in range(2):
        results.append(outcome, tmp_path)
    assert results.write([outcome], {"Kafka": "a container"}, tmp_path).is_file()
    lines = (tmp_path / results.ALL).read_text("utf-8").splitlines()
    assert len(lines) == 2
    assert all(f'"product": "{results.product_version()}"' in line and '"schedule": "seed 1"' in line for line in lines)


def test_interrupted_it_leaves_no_process_and_no_scratch_folder_behind(tmp_path: Path) -> None:
    """However far it had come: here the services are starting."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "POSTCAST_SERVICES": "processes", "PYTHONUNBUFFERED": "1"}
    checker = subprocess.Popen(
        [sys.executable, "-m", "integration.faults", "--schedules", "1"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert checker.stdout is not None
    with checker.stdout as output:
        said = [next(output)]
        while "Kafka" not in said[-1]:
            said.append(next(output))
        family = psutil.Process(checker.pid).children(recursive=True)
        checker.send_signal(signal.SIGTERM)
        said += list(output)
    assert checker.wait(60) == 130, "".join(said)
    assert said[-1] == "faults: interrupted\n"
    psutil.wait_procs(family, timeout=10)
    assert [process for process in family if process.is_running()] == []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Services for the seeds below."""
    with Stage(print) as staged:
        yield staged


async def outcome_of(stage: Stage, *faults: Fault, name: str) -> Outcome:
    """Run some faults on a system of its own."""
    async with running(stage, make=Installation, say=print) as runner:
        return await runner.run(name, faults)


# aio-pika's, when a connection that could not be made is forgotten: the announcer makes many of these.
@pytest.mark.filterwarnings("ignore:coroutine 'Connection.close' was never awaited:RuntimeWarning")
async def test_a_rabbitmq_that_is_away_behind_an_open_port_ends_no_worker(stage: Stage) -> None:
    """Who listens for a stopped broker takes connections, and closes them in the middle of the handshake."""
    fault = Fault("term rabbitmq", ("rabbitmq",), at_ms=2_500, lasts_ms=1_350)
    outcome = await outcome_of(stage, fault, name="open port")
    assert (outcome.word, list(outcome.restarts)) == ("clean", [])


async def test_a_partition_without_a_commit_that_changes_hands_loses_nothing(stage: Stage) -> None:
    """What is fetched during a rebalance is thrown away, and aiokafka goes back to a commit only where there is one.

    It takes a worker that dies in its very first window; before it was mended two of three such deaths lost posts.
    """
    fault = Fault("kill one worker", ("worker-0",), at_ms=1_000, lasts_ms=500)
    assert (await outcome_of(stage, fault, name="first window")).word == "clean"
