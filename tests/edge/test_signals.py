"""How an edge is told to stop."""

import signal
import subprocess
import sys
from itertools import product

import pytest

SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAINING = """
import asyncio
from edge.signals import told_to_stop

async def main():
    stopped = told_to_stop(asyncio.get_running_loop())
    print("running", flush=True)
    await stopped.wait()
    print("stopping", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize(("first", "second"), list(product(SIGNALS, SIGNALS)))
def test_a_second_signal_ends_at_once(first: signal.Signals, second: signal.Signals) -> None:
    """The first begins a drain, which takes as long as it may."""
    with subprocess.Popen([sys.executable, "-c", DRAINING], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            process.send_signal(first)
            assert process.stdout.readline() == "stopping\n"
            process.send_signal(second)
            assert process.wait(10) == -second
        finally:
            process.kill()
