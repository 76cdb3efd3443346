"""``python -m integration.bench.traced``: the edge, which on SIGUSR1 logs what it has allocated, by file.

The event is ``memory.traced``, its field ``bytes`` says for each source file how many bytes were allocated by its lines
and are not freed. Tracing costs time and memory of its own, so nothing else is measured on this edge.
"""

import gc
import json
import runpy
import signal
import tracemalloc
from pathlib import Path


def _tell(*_: object) -> None:
    # What only waits for the collector is no connection's.
    gc.collect()
    sizes = {
        "/".join(Path(statistic.traceback[0].filename).parts[-2:]): statistic.size
        for statistic in tracemalloc.take_snapshot().statistics("filename")
    }
    print(json.dumps({"event": "memory.traced", "bytes": sizes}), flush=True)


if __name__ == "__main__":
    tracemalloc.start()
    signal.signal(signal.SIGUSR1, _tell)
    runpy.run_module("edge", run_name="__main__", alter_sys=True)
