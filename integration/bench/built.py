"""The baselines in C and Go, compiled when they are needed, where there is a compiler."""

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_BUILD_SECONDS: Final = 180.0
"""The first build with Go compiles its standard library: 40 s on two busy cores."""


class Missing(Exception):
    """A baseline cannot be had here, and why."""


async def bare_writes(scratch: Path) -> Path:
    """Compile the loop of ``write(2)``; raises :class:`Missing`."""
    program = scratch / "bare_writes"
    await _build(["cc", "-O2", "-o", str(program), str(_HERE / "bare_writes.c")])
    return program


async def gorilla(scratch: Path) -> Path:
    """Compile the server in Go; raises :class:`Missing`."""
    program = scratch / "gorilla"
    # The Go that is there, whatever go.mod would rather have, and no C compiler for it.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    await _build(["go", "build", "-C", str(_HERE / "gorilla"), "-o", str(program), "."], environment)
    return program


async def _build(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise Missing(f"there is no {command[0]} here")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        async with asyncio.timeout(_BUILD_SECONDS):
            _, said = await process.communicate()
    except TimeoutError:
        raise Missing(f"{command[0]} took more than {_BUILD_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        lines = said.decode("utf-8", "replace").split("\n")
        raise Missing(f"{command[0]} failed: {lines[0][:200]}")
