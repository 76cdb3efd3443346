"""What the benchmark compares with, made when it is needed and where it can be: compiled, installed, or built anew.

Each returns what it has made below ``scratch``, at the second call what was made at the first, and raises
:class:`Missing` where that cannot be done. Versions are pinned with hashes by files beside this one.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_ROOT: Final = _HERE.parents[1]
_BUILD_SECONDS: Final = 180.0
"""The first build with Go compiles its standard library: 40 s on two busy cores."""
_CENTRIFUGO_SECONDS: Final = 600.0
"""Centrifugo's first build compiles some hundred modules: 190 s on two busy cores, after which Go has them cached."""
_CENTRIFUGO: Final = "github.com/centrifugal/centrifugo/v6"
_PIP: Final = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps")
_PINNED: Final = ("--require-hashes", "--no-cache-dir")


class Missing(Exception):
    """A baseline cannot be had here, and why."""


async def bare_writes(scratch: Path) -> Path:
    """Compile the loop of ``write(2)``."""
    program = scratch / "bare_writes"
    await _build(["cc", "-O2", "-o", str(program), str(_HERE / "bare_writes.c")])
    return program


async def gorilla(scratch: Path) -> Path:
    """Compile the server with gorilla's library."""
    program = scratch / "gorilla"
    if not program.exists():
        await _go(_HERE / "gorilla", ".", program, _BUILD_SECONDS)
    return program


async def centrifugo(scratch: Path) -> Path:
    """Compile Centrifugo."""
    program = scratch / "centrifugo"
    if not program.exists():
        await _go(_HERE / "centrifugo", _CENTRIFUGO, program, _CENTRIFUGO_SECONDS)
    return program


async def socketify(scratch: Path) -> Path:
    """Install the package that carries uWebSockets; return the folder to import it from."""
    folder = scratch / "socketify"
    if not folder.exists():
        # It comes as source without anything to compile, and what packs it is pinned, too.
        backend = scratch / "setuptools"
        await _build([*_PIP, *_PINNED, "--target", str(backend), "-r", str(_HERE / "setuptools.txt")])
        command = [*_PIP, *_PINNED, "--no-build-isolation", "--target", str(folder), "-r", str(_HERE / "socketify.txt")]
        await _build(command, {**os.environ, "PYTHONPATH": str(backend)})
    return folder


async def wheel(scratch: Path, commit: str) -> Path:
    """Build the wheel of an earlier commit of this repository; return the folder that it is installed in."""
    folder = scratch / f"wheel-{commit}"
    if not folder.exists():
        tree, built = scratch / f"tree-{commit}", scratch / f"built-{commit}"
        tree.mkdir(exist_ok=True)
        archive = scratch / f"{commit}.tar"
        await _build(["git", "-C", str(_ROOT), "archive", "--output", str(archive), commit])
        await _build(["tar", "--extract", "--file", str(archive), "--directory", str(tree)])
        # By the pinned build backend that is installed here; the dependencies are those that are installed, too.
        await _build([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(tree)])
        (file,) = built.iterdir()
        await _build([*_PIP, "--no-index", "--target", str(folder), str(file)])
    return folder


async def _go(folder: Path, package: str, program: Path, seconds: float) -> None:
    # The Go that is there, whatever go.mod would rather have, and no C compiler for it.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    await _build(["go", "build", "-C", str(folder), "-o", str(program), package], environment, seconds)


async def _build(
    command: Sequence[str], environment: Mapping[str, str] | None = None, seconds: float = _BUILD_SECONDS
) -> None:
    name = Path(command[0]).name
    if shutil.which(command[0]) is None:
        raise Missing(f"there is no {name} here")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        async with asyncio.timeout(seconds):
            _, said = await process.communicate()
    except TimeoutError:
        raise Missing(f"{name} took more than {seconds:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise Missing(f"{name} failed: {_complaint(said.decode('utf-8', 'replace'))}")


def _complaint(said: str) -> str:
    """Return the first line that is not about what Go downloads."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("go: downloading ")]
    return lines[0][:200] if lines else "it says nothing"
