"""README's clients, as they stand there: they show each post once, through an edge that is killed."""

import asyncio
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import pytest

from integration.author import author_of
from integration.browser import opened
from integration.system import Process, System

_README: Final = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
_ADDRESS: Final = "127.0.0.1:8080"
_PATIENCE_SECONDS: Final = 60.0
_MISSING: Final = "some posts may be missing here"


def client(language: str, edge: Process, text: str) -> str:
    """Return the client of a language, for this edge; it says posts' ids in place of their texts."""
    program: str
    [program] = [
        block
        for block in re.findall(rf"^```{language}\n(.*?)^```$", _README, re.DOTALL | re.MULTILINE)
        if _MISSING in block
    ]
    assert _ADDRESS in program
    assert text in program
    return program.replace(_ADDRESS, f"127.0.0.1:{edge.port}").replace(text, text.replace("description", "id"))


Said = AsyncIterator[list[str]]


@asynccontextmanager
async def in_a_process(*command: str) -> Said:
    """Run a command; yield what it says, which grows."""
    said: list[str] = []
    program = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)

    async def read() -> None:
        assert program.stdout is not None
        async for line in program.stdout:
            said.append(line.decode().strip())  # noqa: PERF401 - one at a time: somebody reads it meanwhile

    reading = asyncio.create_task(read())
    try:
        yield said
    finally:
        program.kill()
        await program.wait()
        await reading


def in_python(edge: Process, _: Path) -> AbstractAsyncContextManager[list[str]]:
    """Run the client in Python."""
    return in_a_process(sys.executable, "-c", client("python", edge, 'post["description"]'))


def on_a_command_line(edge: Process, folder: Path) -> AbstractAsyncContextManager[list[str]]:
    """Run the command."""
    [command] = re.findall(r"^\.venv/bin/python (-m edge\.client .*)$", _README, re.MULTILINE)
    assert _ADDRESS in command
    file = shlex.quote(str(folder / "posts.cursor"))
    command = command.replace(_ADDRESS, f"127.0.0.1:{edge.port}").replace("posts.cursor", file)
    return in_a_process(sys.executable, *shlex.split(command))


@asynccontextmanager
async def in_a_browser(edge: Process, _: Path) -> Said:
    """Run the client in a page; yield what it says, which grows."""
    said: list[str] = []
    async with opened() as page:
        page.on("console", lambda message: said.append(message.text) if message.type == "log" else None)
        await page.goto(f"http://127.0.0.1:{edge.port}/livez")
        await page.add_script_tag(content=client("js", edge, "post.description"), type="module")
        yield said


async def until(condition: Callable[[], bool], said: list[str]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not condition():
                await asyncio.sleep(0.05)
    assert condition(), said


@pytest.mark.parametrize("run", [in_python, on_a_command_line, in_a_browser])
async def test_a_client_shows_each_post_once_through_a_killed_edge(
    shared: System,
    owner: dict[str, str],
    extra_edge: Process,
    run: Callable[[Process, Path], AbstractAsyncContextManager[list[str]]],
    tmp_path: Path,
) -> None:
    async with author_of(shared, owner) as author, run(extra_edge, tmp_path) as said:
        published: list[int] = []

        def shown() -> list[int]:
            return [int(re.findall(r"(?:^|#)(\d+)", line)[-1]) for line in said if _MISSING not in line]

        async def publish(count: int) -> None:
            published.extend(await author.publish(count))

        await publish(3)
        await until(lambda: set(published) <= set(shown()), said)
        extra_edge.kill()
        await publish(4)
        extra_edge.start()
        await until(lambda: set(published) <= set(shown()), said)
        await publish(2)
        await until(lambda: set(published) <= set(shown()), said)
        assert len(shown()) == len(set(shown()))
        assert set(shown()[-len(published) :]) == set(published)
        assert not any(_MISSING in line for line in said)
