"""``python -m integration.bench [PART]...``: measure, print a table, and write figures and plots to ``bench-results/``.

The parts: path, window, fanout, filters, compression, cores, latency, slow, comeback, replay, positions, storm,
upheaval, idle, resting, scale, attack, outage, rebalance. Unless some are named, all but ``slow``, which takes as long
as many others together.
"""

import asyncio
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import asyncpg
import psutil

from integration.bench import (
    attack,
    comeback,
    compression,
    cores,
    fanout,
    filters,
    idle,
    latency,
    outage,
    path,
    positions,
    rebalance,
    replay,
    resting,
    scale,
    slow,
    storm,
    upheaval,
    window,
)
from integration.bench.companion import NoAnswer
from integration.bench.figures import Figure, table
from integration.bench.page import pictures
from integration.bench.stage import Stage
from integration.posts_service import create_tables
from integration.service import ServiceError
from integration.services import Services


class Part(NamedTuple):
    """How a part is measured, and the seconds after which it is taken to hang: twice what it takes on two cores."""

    measure: Callable[[Stage], Awaitable[list[Figure]]]
    seconds: float


PARTS: Final = {
    path.PART: Part(lambda stage: path.measure(stage, path.Size()), 900),
    window.PART: Part(lambda stage: window.measure(stage, window.Size()), 150),
    fanout.PART: Part(lambda stage: fanout.measure(stage, fanout.Size()), 2400),
    filters.PART: Part(lambda stage: filters.measure(stage, filters.Size()), 600),
    compression.PART: Part(lambda stage: compression.measure(stage, compression.Size()), 120),
    cores.PART: Part(lambda stage: cores.measure(stage, cores.Size()), 240),
    latency.PART: Part(lambda stage: latency.measure(stage, latency.Size()), 240),
    slow.PART: Part(lambda stage: slow.measure(stage, slow.Size()), 1200),
    comeback.PART: Part(lambda stage: comeback.measure(stage, comeback.Size()), 240),
    replay.PART: Part(lambda stage: replay.measure(stage, replay.Size()), 900),
    positions.PART: Part(lambda stage: positions.measure(stage, positions.Size()), 900),
    storm.PART: Part(lambda stage: storm.measure(stage, storm.Size()), 300),
    upheaval.PART: Part(lambda stage: upheaval.measure(stage, upheaval.Size()), 360),
    idle.PART: Part(lambda stage: idle.measure(stage, idle.Size()), 1500),
    resting.PART: Part(lambda stage: resting.measure(stage, resting.Size()), 700),
    scale.PART: Part(lambda stage: scale.measure(stage, scale.Size()), 600),
    attack.PART: Part(lambda stage: attack.measure(stage, attack.Size()), 240),
    outage.PART: Part(lambda stage: outage.measure(stage, outage.Size()), 180),
    rebalance.PART: Part(lambda stage: rebalance.measure(stage, rebalance.Size()), 180),
}
_TOGETHER: Final = [name for name in PARTS if name != slow.PART]
"""Some 45 minutes."""
_FAILURES: Final = (ServiceError, NoAnswer, window.CutWindow, AssertionError, TimeoutError, KeyboardInterrupt)
"""What ends a run early: a service or a process that fails us (``integration.system`` asserts), time, or Ctrl-C."""
_RESULTS: Final = Path(__file__).parents[2] / "bench-results"
_GIVEN: Final = ("AMQP_URL", "DATABASE_URL", "KAFKA_URL")
_PACKAGES: Final = ("aio-pika", "aiohttp", "aiokafka", "asyncpg", "faust-streaming", "uvloop", "websockets")


def main(names: Sequence[str]) -> int:
    """Run the named parts, or most; return the exit code: 0 when everything was measured, whatever came out."""
    if unknown := [name for name in names if name not in PARTS]:
        print(f"bench: there is no part {unknown[0]!r}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    # Like Ctrl-C, so that nothing is left behind then either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Always our own services, whatever the environment names: the benchmark fills them, and stops the database.
    environ = {key: value for key, value in os.environ.items() if key not in _GIVEN}
    # Filled as the parts are done: what was measured is shown, whatever stops the rest.
    figures: list[Figure] = []
    described: dict[str, str] = {}
    failure = None
    try:
        with Services(say=_say, environ=environ) as services:
            described = {service.name: service.how for service in services}
            asyncio.run(_measure(services, names or _TOGETHER, figures))
    except _FAILURES as error:
        failure = str(error) or f"{type(error).__name__} after {time.monotonic() - _begun:.0f} s"
    if figures:
        print(f"\n{table(figures)}\n\nwritten to {_write(figures, described)}")
    if failure is not None:
        print(f"bench: {failure}", file=sys.stderr)
    return 1 if failure else 0


async def _measure(services: Services, names: Sequence[str], figures: list[Figure]) -> None:
    database = await asyncpg.connect(services.postgres.url)
    try:
        await create_tables(database)
    finally:
        await database.close()
    logs = services.scratch / "logs"
    logs.mkdir()
    stage = Stage(services, logs, _say)
    for name in names:
        async with asyncio.timeout(PARTS[name].seconds):
            figures += await PARTS[name].measure(stage)


def _write(figures: Sequence[Figure], services: dict[str, str]) -> Path:
    now = datetime.now(UTC)
    result: dict[str, Any] = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "memory": psutil.virtual_memory().total,
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load": [_load, os.getloadavg()[0]],
        },
        "packages": {name: version(name) for name in _PACKAGES},
        "services": services,
        "figures": [figure.as_json() for figure in figures],
    }
    _RESULTS.mkdir(exist_ok=True)
    file = _RESULTS / f"{now:%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    for name, svg in pictures(figures).items():
        file.with_name(f"{file.stem}-{name}.svg").write_text(svg, "utf-8")
    return file


def _processor() -> str:
    """Return what /proc/cpuinfo says of the first core; not every machine's has a name."""
    models = [line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")]
    return models[0].partition(":")[2].strip() if models else platform.machine()


_begun: Final = time.monotonic()
_load: Final = os.getloadavg()[0]
"""The load average before anything of ours ran."""


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _begun:5.1f} s] {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
