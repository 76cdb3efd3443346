"""The suite itself: a program for Python 2.7, installed into a folder of its own and run to its end."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from integration.child import Child

_REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
_FASTER: Final = Path(__file__).with_name("faster.txt")
_INSTALL_SECONDS: Final = 600.0
"""It takes half a minute, most of it for the registry."""
_RUN_SECONDS: Final = 3600.0
"""The groups up to 10 take 13 s on two idle cores, and 12 and 13 five minutes on two busy ones. A case that hangs is
given up by the suite itself after some seconds."""
_LOOK_SECONDS: Final = 0.05
_PROGRAM: Final = "from autobahntestsuite.wstest import run; run()"
_AGENT: Final = "edge"


class NoSuite(Exception):
    """The suite cannot be had here; the message says why."""


def python27() -> str:
    """Find an interpreter that runs and has pip: one of pyenv's, or on the PATH."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for found in [*map(str, root.glob("versions/2.7*/bin/python2.7")), shutil.which("python2.7")]:
        # What pyenv puts on the PATH runs only where its user has chosen that version.
        if (
            found
            and subprocess.run([found, "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0
        ):
            return found
    raise NoSuite("there is no Python 2.7 with pip, and the suite runs on nothing newer")


async def install(python: str) -> Path:
    """Return the folder with the suite, made at the first call; it is named for the pinned versions."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    pinned = _REQUIREMENTS.read_bytes() + _FASTER.read_bytes()
    folder = cache / "postcast" / f"autobahn-{hashlib.sha256(pinned).hexdigest()[:12]}"
    done = folder / "installed"
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"autobahn: installing the suite into {folder}", flush=True)
        code, log = await _pip(python, folder, _REQUIREMENTS)
        if code != 0:
            raise NoSuite(f"pip cannot install it:\n{log}")
        code, log = await _pip(python, folder, _FASTER)
        if code != 0:
            print(f"autobahn: groups 12 and 13 will take hours, since pip cannot compile wsaccel:\n{log}", flush=True)
        done.touch()
    return folder


async def _pip(python: str, folder: Path, requirements: Path) -> tuple[int | None, str]:
    """Install pinned requirements into the folder; return the exit code and the log's end."""
    pip = [python, "-m", "pip", "install", "--user", "--ignore-installed", "--no-deps", "--require-hashes"]
    options = ["--no-cache-dir", "--disable-pip-version-check", "--no-warn-script-location"]
    return await _run([*pip, *options, "-r", str(requirements)], folder, folder / "log", _INSTALL_SECONDS)


async def run(python: str, folder: Path, url: str, groups: list[int], scratch: Path) -> dict[str, dict[str, Any]]:
    """Run groups of cases against a server; return the report on each case."""
    reports = scratch / "reports"
    spec = scratch / "spec.json"
    spec.write_text(
        json.dumps(
            {
                "outdir": str(reports),
                "servers": [{"agent": _AGENT, "url": url}],
                "cases": [f"{group}.*" for group in groups],
                "exclude-cases": [],
                "exclude-agent-cases": {},
            }
        )
    )
    command = [python, "-c", _PROGRAM, "-m", "fuzzingclient", "-s", str(spec)]
    code, log = await _run(command, folder, scratch / "log", _RUN_SECONDS)
    index = reports / "index.json"
    if code != 0 or not index.exists():
        raise NoSuite(f"it did not run to its end (exit code {code}):\n{log}")
    report: dict[str, dict[str, Any]] = json.loads(index.read_text())[_AGENT]
    return report


async def _run(command: list[str], folder: Path, log: Path, patience: float) -> tuple[int | None, str]:
    """Run with the folder in the place of the user's own packages; return the exit code and the log's end."""
    child = Child(command, log=log, environment={**os.environ, "PYTHONUSERBASE": str(folder)})
    child.start()
    try:
        async with asyncio.timeout(patience):
            while child.is_alive():
                await asyncio.sleep(_LOOK_SECONDS)
        return child.exit_code, child.tail()
    except TimeoutError:
        return None, child.tail()
    finally:
        await asyncio.to_thread(child.stop)


def version() -> str:
    """Return the suite's own version, as it is pinned."""
    found = re.search(r"^autobahntestsuite==(\S+)", _REQUIREMENTS.read_text(), re.MULTILINE)
    assert found is not None
    return found[1]
