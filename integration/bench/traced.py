"""``python -m integration.bench.traced``: the edge, which on SIGUSR1 logs what it has allocated, by file.

The event is ``memory.traced``, its field ``bytes`` says for each source file how many bytes were allocated by its lines
and are not freed. Tracing costs time and memory of its own, so nothing else is measured on this edge.
"""

import asyncio
import gc
import signal
import tracemalloc
from functools import partial
from pathlib import Path

import structlog

from edge.app import run
from edge.settings import load
from edge.telemetry import TurnTimes, configure_logging
from edge.turns import new_event_loop


def _tell() -> None:
    # What only waits for the collector is no connection's.
    gc.collect()
    sizes = {
        "/".join(Path(statistic.traceback[0].filename).parts[-2:]): statistic.size
        for statistic in tracemalloc.take_snapshot().statistics("filename")
    }
    structlog.get_logger("integration.bench.traced").info("memory.traced", bytes=sizes)


class _Nothing:
    """No line is dropped here."""

    dropped = 0


async def _main(turns: TurnTimes) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _tell)
    await run(load(), turns, _Nothing())


if __name__ == "__main__":
    configure_logging("info", "json")
    tracemalloc.start()
    turns = TurnTimes()
    with asyncio.Runner(loop_factory=partial(new_event_loop, turns.note)) as runner:
        runner.run(_main(turns))
