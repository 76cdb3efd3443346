"""``python -m integration.bench [PART]``: measure, print a table, and write the figures to ``bench-results/``.

The parts: path, window, fanout, idle, outage; all of them unless one is named.
"""

import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import asyncpg

from integration.bench import fanout, idle, outage, path, window
from integration.bench.companion import NoAnswer
from integration.bench.figures import Figure, table
from integration.bench.stage import Stage
from integration.posts_service import create_tables
from integration.service import ServiceError
from integration.services import Services

PARTS: Final[dict[str, Callable[[Stage], Awaitable[list[Figure]]]]] = {
    path.PART: lambda stage: path.measure(stage, path.Size()),
    window.PART: lambda stage: window.measure(stage, window.Size()),
    fanout.PART: lambda stage: fanout.measure(stage, fanout.Size()),
    idle.PART: lambda stage: idle.measure(stage, idle.Size()),
    outage.PART: lambda stage: outage.measure(stage, outage.Size()),
}
_RUN_SECONDS: Final = 600.0
"""The whole run is bounded, whatever hangs; on two quiet cores it takes two thirds of that."""
_RESULTS: Final = Path(__file__).parents[2] / "bench-results"
_GIVEN: Final = ("AMQP_URL", "DATABASE_URL", "KAFKA_URL")
_PACKAGES: Final = ("aio-pika", "aiohttp", "aiokafka", "asyncpg", "faust-streaming", "uvloop")


def main(names: Sequence[str]) -> int:
    """Run the named parts, or all; return the exit code: 0 when everything was measured, whatever came out."""
    if unknown := [name for name in names if name not in PARTS]:
        print(f"bench: there is no part {unknown[0]!r}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    # Always our own services, whatever the environment names: the benchmark fills them, and stops the database.
    environ = {key: value for key, value in os.environ.items() if key not in _GIVEN}
    try:
        with Services(say=_say, environ=environ) as services:
            figures = asyncio.run(_measure(services, names or list(PARTS)))
            described = {service.name: service.how for service in services}
    except (ServiceError, NoAnswer, TimeoutError) as error:
        print(f"bench: {str(error) or f'not done within {_RUN_SECONDS:.0f} s'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 130
    print(f"\n{table(figures)}\n")
    print(f"written to {_write(figures, described)}")
    return 0


async def _measure(services: Services, names: Sequence[str]) -> list[Figure]:
    database = await asyncpg.connect(services.postgres.url)
    try:
        await create_tables(database)
    finally:
        await database.close()
    logs = services.scratch / "logs"
    logs.mkdir()
    stage = Stage(services, logs, _say)
    async with asyncio.timeout(_RUN_SECONDS):
        return [figure for name in names for figure in await PARTS[name](stage)]


def _write(figures: Sequence[Figure], services: dict[str, str]) -> Path:
    now = datetime.now(UTC)
    result: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "packages": {name: version(name) for name in _PACKAGES},
        "services": services,
        "figures": [figure.as_json() for figure in figures],
    }
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    return file


_begun: Final = time.monotonic()


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _begun:5.1f} s] {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
