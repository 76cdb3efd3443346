"""Node for tests: npm installs packages into a folder that ends with the test session, and scripts use them."""

import asyncio
import json
import platform
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from integration.conftest import lacking

_INSTALL_SECONDS: Final = 120
_END_SECONDS: Final = 60
_LINE_BYTES: Final = 1 << 24
"""The longest line that a script may say: screenshots are lines."""
_PROCESSOR: Final = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
NODE_22: Final = f"node-linux-{_PROCESSOR}@22.23.5"
"""A Node that has a WebSocket of its own, as a package; the machine's may be older."""


class Script(NamedTuple):
    """A script that runs: what it says, and what it hears."""

    said: asyncio.StreamReader
    heard: asyncio.StreamWriter


def install(folder: Path, *packages: str) -> Path:
    """Install packages, each with its version, into a folder; return it. No script of theirs is run."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        lacking("there is no Node: install node and npm")
    options = ("--no-save", "--no-audit", "--no-fund", "--ignore-scripts")
    try:
        subprocess.run(
            [npm, "install", "--prefix", str(folder), *options, *packages],
            check=True,
            capture_output=True,
            timeout=_INSTALL_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        lacking(f"npm cannot install {' '.join(packages)}")
    return folder


def node_22(folder: Path) -> Path:
    """Return the program that :data:`NODE_22` has in a folder."""
    return folder / "node_modules" / NODE_22.partition("@")[0] / "bin/node"


@asynccontextmanager
async def running(script: Path, folder: Path, *arguments: str, node: Path | str = "node") -> AsyncIterator[Script]:
    """Run a script with the packages in a folder; it ends when it hears that there is no more to hear."""
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(script),
        str(folder),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LINE_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Script(process.stdout, process.stdin)
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def listening(script: Path, folder: Path, *arguments: str, node: Path | str = "node") -> AsyncIterator[list[Any]]:
    """Run a script; yield the values that it says, one a line in JSON, in a list that grows."""
    values: list[Any] = []

    async def collect(lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            values.append(json.loads(line))

    async with AsyncExitStack() as stack:
        program = await stack.enter_async_context(running(script, folder, *arguments, node=node))
        collecting = asyncio.create_task(collect(program.said))
        try:
            yield values
        finally:
            await stack.aclose()
            await collecting
