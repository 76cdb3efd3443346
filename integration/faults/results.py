"""Where outcomes are kept: one file for each run, and a line for each schedule in a file of all runs."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec

from integration.faults.observations import Observations
from integration.faults.outcome import Outcome

_ROOT: Final = Path(__file__).parents[2]
RESULTS: Final = _ROOT / "fault-results"
ALL: Final = "all.jsonl"
"""Appended to by every run; a line's key is the product's version and the schedule's name."""
_PACKAGES: Final = ("aio-pika", "aiohttp", "aiokafka", "asyncpg", "faust-streaming", "sqlalchemy", "uvloop")


def product_version() -> str:
    """Return the package's version and the commit, marked when files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    try:
        package = version("postcast")
    except PackageNotFoundError:
        # Run from the tree: it is not installed.
        package = next(
            line.split('"')[1]
            for line in (_ROOT / "pyproject.toml").read_text("utf-8").splitlines()
            if line.startswith("version")
        )
    return f"{package}+{described.stdout.strip() or 'unknown'}"


def append(outcome: Outcome, folder: Path = RESULTS) -> None:
    """Append an outcome to those of all runs, as soon as it is known: a run may end early."""
    folder.mkdir(exist_ok=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"product": product_version(), "at": at, **outcome.as_json()})
    # One write, in append mode: runs side by side do not cut into each other's lines.
    with (folder / ALL).open("a", encoding="utf-8") as everything:
        everything.write(f"{line}\n")


def write(outcomes: Sequence[Outcome], services: dict[str, str], folder: Path = RESULTS) -> Path:
    """Write a run's outcomes, and return the file."""
    now = datetime.now(UTC)
    run: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "product": product_version(),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "packages": {name: version(name) for name in _PACKAGES},
        "services": services,
        "schedules": [outcome.as_json() for outcome in outcomes],
    }
    folder.mkdir(exist_ok=True)
    file = folder / f"{now:%Y%m%dT%H%M%SZ}-{os.getpid()}.json"
    file.write_text(json.dumps(run, indent=2) + "\n", "utf-8")
    return file


def keep(name: str, seen: Observations, logs: Path, folder: Path = RESULTS) -> Path:
    """Keep what a charge rests on: all that every client saw, and the product's logs."""
    kept = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name.replace(' ', '-')}"
    shutil.copytree(logs, kept)
    (kept / "observations.json").write_bytes(msgspec.json.format(msgspec.json.encode(seen)))
    return kept
