"""``make run`` shows posts, says what is wrong in one sentence, and leaves nothing behind."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import aio_pika
import asyncpg
import psutil
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from integration import composer, posts_service
from integration.browser import opened
from integration.ports import free_port, is_free
from tests.strict import StrictConnection

PATIENCE = 120.0
"""All starts in 20 s on a quiet machine; two at once on busy cores take longer."""
_END_SECONDS = 90.0
"""All has ended in 5 s on a quiet machine."""


def _name(process: psutil.Process) -> str:
    """Return the name of one that may end meanwhile."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


class Run:
    """One run as its user sees it: lines of output, and processes that it started."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.port = port
        self.lines: list[str] = []
        self._process = process
        self._reading = asyncio.create_task(self._read())
        self._news = asyncio.Event()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
            self._news.set()

    async def line(self, pattern: str) -> re.Match[str]:
        """Wait for a line that begins like this."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self._news.clear()
                for line in self.lines:
                    if found := re.match(pattern, line):
                        return found
                assert not self._reading.done(), "\n".join(self.lines)
                waiting = asyncio.create_task(self._news.wait())
                await asyncio.wait({waiting, self._reading}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()

    async def exit_code(self, within: float = PATIENCE) -> int:
        """Wait for the end."""
        async with asyncio.timeout(within):
            await self._reading
            return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the run alone."""
        self._process.send_signal(number)

    def family(self) -> list[psutil.Process]:
        """All that it started."""
        return psutil.Process(self._process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """Find the child whose command ends with these words; one that was just made may not have begun it yet."""
        deadline = time.monotonic() + 10
        while True:
            for child in self.family():
                with contextlib.suppress(psutil.NoSuchProcess):
                    if child.cmdline()[-len(words) :] == list(words):
                        return child
            assert time.monotonic() < deadline, f"nobody runs {words}"
            time.sleep(0.05)

    def services(self) -> list[tuple[str, int]]:
        """Return the addresses of the services that it started, as it said them."""
        found = [re.search(r" is ready at ([\d.]+):(\d+)$", line) for line in self.lines]
        return [(match[1], int(match[2])) for match in found if match]

    async def end(self) -> None:
        """End it, whatever state it is in."""
        if self._process.returncode is None:
            self._process.terminate()
            try:
                await self.exit_code(30)
            except TimeoutError:
                self._process.kill()
                await self.exit_code()


Runner = Callable[..., AbstractAsyncContextManager[Run]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where runs make their scratch folders. Other accounts must get through, which pytest's own folder forbids."""
    with TemporaryDirectory(prefix="postcast-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def run(folder: Path) -> Runner:
    """Start runs, and see that they end."""

    @asynccontextmanager
    async def starter(port: int = 0, **changed: str) -> AsyncIterator[Run]:
        port = port or free_port()
        inherited = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "integration.run"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**inherited, **changed, "EDGE_PORT": str(port), "WINDOW_SECONDS": "1", "TMPDIR": str(folder)},
            start_new_session=True,
        )
        running = Run(process, port)
        try:
            yield running
        finally:
            await running.end()

    return starter


async def some_posts(port: int, count: int) -> list[str]:
    """Take the next posts that the edge shows, as their authors' names."""
    async with asyncio.timeout(PATIENCE):
        while True:
            # An edge that has just been started again does not listen yet, or is not ready yet.
            with contextlib.suppress(OSError, WebSocketException):
                async with connect(f"ws://127.0.0.1:{port}/", create_connection=StrictConnection) as client:
                    return [json.loads(await client.recv())["payload"]["user"]["username"] for _ in range(count)]
            await asyncio.sleep(0.1)


def left_in(folder: Path) -> list[Path]:
    """Return what runs left behind."""
    return list(folder.iterdir())


def gone(processes: list[psutil.Process], within: float = _END_SECONDS) -> bool:
    """Tell whether all of them end in time."""
    return not psutil.wait_procs(processes, timeout=within)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_two_runs_side_by_side_show_posts_until_a_signal_ends_them_without_a_trace(
    run: Runner, folder: Path, number: signal.Signals
) -> None:
    admin_port = free_port()
    async with run() as first, run(ADMIN_PORT=str(admin_port)) as second:
        for each, port in ((first, first.port), (second, admin_port)):
            await each.line(f"ready: http://127.0.0.1:{each.port}/$")
            await each.line(rf"  edge +curl http://127\.0\.0\.1:{port}/readyz \(and /metrics\)$")
        assert set(await some_posts(first.port, 3) + await some_posts(second.port, 3)) <= set(posts_service.USERS)
        families = first.family() + second.family()
        for each in (first, second):
            each.send(number)
        assert [await each.exit_code(within=_END_SECONDS) for each in (first, second)] == [0, 0]
        assert gone(families)
        assert all("stopped: nothing was left behind" in each.lines for each in (first, second))
        assert [address for each in (first, second) for address in each.services() if not is_free(*address)] == []
    assert left_in(folder) == []


async def test_a_post_that_is_written_on_the_page_goes_the_real_way_and_is_shown_with_its_picture(run: Runner) -> None:
    async with run() as running, opened() as page:
        page.set_default_timeout(PATIENCE * 1000)
        await running.line("ready: ")
        await page.goto(f"http://127.0.0.1:{running.port}/")
        await page.get_by_label("Publish a post").fill("Written on the page")
        await page.get_by_role("button", name="Publish").click()
        own = page.locator(".post.own")
        await own.wait_for()
        assert await own.locator(".text").inner_text() == "Written on the page"
        assert await own.locator(".by .name").inner_text() == composer.AUTHOR
        picture = own.locator(".pictures img")
        await picture.scroll_into_view_if_needed()
        await page.wait_for_function(
            "image => image.complete && image.naturalWidth > 0", arg=await picture.element_handle()
        )


async def test_a_signal_while_the_services_start_ends_them_too(run: Runner, folder: Path) -> None:
    async with run() as early:
        await early.line("PostgreSQL: ")
        families = early.family()
        early.send(signal.SIGINT)
        assert await early.exit_code(within=_END_SECONDS) == 0
        assert gone(families)
    assert left_in(folder) == []


async def test_a_part_that_ends_is_started_again_three_times_and_then_all_ends(run: Runner, folder: Path) -> None:
    async with run() as running:
        await running.line("ready: ")
        for count in (1, 2, 3):
            running.child("-m", "edge").kill()
            await running.line(rf"the edge ended by itself and was started again \({count} of 3\)$")
        assert len(await some_posts(running.port, 2)) == 2
        families = running.family()
        running.child("-m", "edge").kill()
        await running.line("run: the edge ended 4 times; its log ends with:$")
        assert await running.exit_code(within=_END_SECONDS) == 1
        assert gone(families)
    assert left_in(folder) == []


async def test_a_part_that_ends_while_the_brokers_start_is_noticed_at_once(run: Runner, folder: Path) -> None:
    """Here RabbitMQ never is there: that is said in the end."""
    async with run(AMQP_URL=f"amqp://127.0.0.1:{free_port()}/") as running:
        await running.line("starting the worker")
        running.child("-m", "edge").kill()
        await running.line(r"the edge ended by itself and was started again \(1 of 3\)$")
        families = running.family()
        await running.line("run: RabbitMQ at .* does not answer")
        assert await running.exit_code(within=_END_SECONDS) == 1
        assert gone(families)
    assert left_in(folder) == []


async def test_what_is_said_at_the_end_of_the_start_can_be_tried_also_after_a_restart_of_rabbitmq(
    run: Runner, folder: Path
) -> None:
    """With plain processes, of which a test finds RabbitMQ's."""
    async with run(POSTCAST_SERVICES="processes") as running:
        await running.line("  end ")
        told = dict(re.findall(r"^  (\w[\w ]*?) {2,}(.+)$", "\n".join(running.lines), re.MULTILINE))
        assert re.fullmatch(r"curl (http://[\d.:]+/readyz) .*", told["worker"])
        assert told["your post"] == f'make post EDGE_PORT={running.port} TEXT="Hello"'
        connection = await asyncpg.connect(told["PostgreSQL"])
        await connection.close()
        broker = await aio_pika.connect(told["RabbitMQ"].split()[0])
        await broker.close()
        await post("it's “mine”", running.port, folder)
        await until_shown("it's “mine”", running.port)

        (rabbitmq,) = (child for child in running.family() if _name(child) == "beam.smp")
        rabbitmq.kill()
        await running.line(r"RabbitMQ ended by itself and was started again \(1 of 3\)$")
        await post("after the restart", running.port, folder)
        await until_shown("after the restart", running.port)
        assert [line for line in running.lines if re.match("the .* ended", line)] == []


async def post(text: str, port: int, folder: Path) -> None:
    """Publish as ``make post`` does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "integration.post", text),
        env={**os.environ, "EDGE_PORT": str(port), "TMPDIR": str(folder)},
    )
    assert await process.wait() == 0


async def until_shown(text: str, port: int) -> None:
    """Return when the edge shows a post with this text."""
    async with (
        asyncio.timeout(PATIENCE),
        connect(f"ws://127.0.0.1:{port}/?history=20", create_connection=StrictConnection) as client,
    ):
        async for message in client:
            if json.loads(message)["payload"].get("description") == text:
                return


async def test_all_processes_end_when_the_run_is_killed(run: Runner) -> None:
    async with run(POSTCAST_SERVICES="processes") as running:
        await running.line("ready: ")
        families = running.family()
        running.send(signal.SIGKILL)
        assert await running.exit_code() == -signal.SIGKILL
        assert gone(families)


async def test_a_taken_port_is_one_sentence_and_nothing_is_started(run: Runner, folder: Path) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", free_port())
    port = taken.sockets[0].getsockname()[1]
    sentence = f"run: port {port} is taken by another program; choose another: make run "
    async with run(port=port) as refused, run(ADMIN_PORT=str(port)) as refused_too:
        assert [await each.exit_code() for each in (refused, refused_too)] == [1, 1]
        assert refused.lines == [f"{sentence}EDGE_PORT=8081"]
        assert refused_too.lines == [f"{sentence}ADMIN_PORT=9091"]
    taken.close()
    await taken.wait_closed()
    assert left_in(folder) == []


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("AMQP_URL", "amqp://me:hush@127.0.0.1:{port}/", "run: RabbitMQ at 127.0.0.1:{port} does not answer within "),
        ("DATABASE_URL", "postgres://", "run: DATABASE_URL is not a URL with a host and a port"),
        ("ADMIN_PORT", "http", "run: ADMIN_PORT must be a port from 1 to 65535, and is 'http'"),
        ("POSTCAST_SERVICES", "magic", "run: POSTCAST_SERVICES must be containers, processes or unset"),
    ],
)
async def test_what_cannot_be_had_is_one_sentence_and_exit_code_1(
    run: Runner, folder: Path, variable: str, value: str, sentence: str
) -> None:
    port = free_port()
    async with run(**{variable: value.format(port=port)}) as refused:
        assert await refused.exit_code() == 1
        assert refused.lines[-1].startswith(sentence.format(port=port))
        assert "hush" not in "\n".join(refused.lines)
    assert left_in(folder) == []


async def test_the_programs_of_a_plain_process_that_are_missing_are_named(run: Runner, folder: Path) -> None:
    """What this machine lacks is simulated by a PATH without anything in it."""
    async with run(POSTCAST_SERVICES="processes", PATH=str(folder)) as refused:
        assert await refused.exit_code() == 1
        assert refused.lines[-1].startswith("run: install ")
    assert left_in(folder) == []
