"""Mocks of the edge in processes of their own, and what they say of clients."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
_END_SECONDS: Final = 30


@asynccontextmanager
async def mock(*arguments: str) -> AsyncIterator[dict[str, Any]]:
    """Start a mock on a free port; yield what it says of itself, and see at the end that it ends well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge.mock", "--port", "0", "--json", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        line = await process.stdout.readline()
        assert line, await process.wait()
        yield json.loads(line)
        process.terminate()
        async with asyncio.timeout(_END_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def expected(*arguments: str) -> list[str]:
    """Return the lines of a client that is right."""
    code, lines, _ = await _run([*arguments, "--print"], "")
    assert code == 0
    return lines.splitlines()


async def fault(arguments: Sequence[str], shown: Iterable[str]) -> str | None:
    """Return what the mock finds wrong with the lines of a client; None for nothing."""
    code, _, sentence = await _run([*arguments, "--check", "-"], "".join(f"{line}\n" for line in shown))
    assert code == (1 if sentence else 0)
    return sentence.strip() or None


async def _run(arguments: Sequence[str], said: str) -> tuple[int | None, str, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "edge.mock", *arguments, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe
    )
    output, errors = await process.communicate(said.encode())
    return process.returncode, output.decode(), errors.decode()
