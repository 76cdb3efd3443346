"""A helping process of the benchmark: told what to do by a line of JSON, it answers by another.

Its standard input is its life: it ends when that does, whatever becomes of us.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from integration.files import raise_file_limit

ANSWER_SECONDS: Final = 120.0
"""How long an answer may take; the longest that is waited for, the end of a backlog, takes half of it."""
_END_SECONDS: Final = 5.0
_ROOT: Final = Path(__file__).parents[2]


class NoAnswer(Exception):
    """A companion ended, or does not answer in time."""


class Companion:
    """The near end of it. Made by :func:`companion`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.pid = process.pid
        self._name = name
        self._process = process

    async def ask(self, **command: Any) -> dict[str, Any]:
        """Tell it what to do and return what it answers; raises :class:`NoAnswer`."""
        self.tell(**command)
        return await self.answer()

    def tell(self, **command: Any) -> None:
        """Tell it what to do, and do not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")

    async def answer(self, patience: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Return the answer to what it was told; raises :class:`NoAnswer` after ``patience`` seconds."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(patience):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise NoAnswer(f"{self._name} does not answer within {patience:.0f} s") from None
        if not line:
            raise NoAnswer(f"{self._name} ended by itself")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NoAnswer(f"{self._name}: {answer['error']}")
        return answer


def companion(
    module: str, *arguments: object, environment: Mapping[str, str] | None = None
) -> AbstractAsyncContextManager[Companion]:
    """Run ``python -m module`` for as long as it is needed."""
    return program(module, sys.executable, "-m", module, *arguments, environment=environment)


@asynccontextmanager
async def program(
    name: str, *command: object, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Companion]:
    """Run any program that can do as companions do."""
    raise_file_limit()
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        cwd=_ROOT,
    )  # fmt: skip
    try:
        yield Companion(name, process)
    finally:
        try:
            async with asyncio.timeout(_END_SECONDS):
                # Closes its input, which ends it, and reads what it may still say, so that it is not held up by that.
                await process.communicate(b"")
        except TimeoutError:
            process.kill()
            await process.communicate()


def commands() -> Iterator[dict[str, Any]]:
    """At the far end: yield what we are told, until there is nobody to tell."""
    for line in sys.stdin:
        yield json.loads(line)


def reply(**answer: Any) -> None:
    """At the far end: answer."""
    print(json.dumps(answer), flush=True)
