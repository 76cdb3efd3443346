"""What the composition decides itself: how the process is told to stop, and how patient it is."""

import math
import signal
import subprocess
import sys
from itertools import product

import pytest

from edge.app import _patience
from edge.settings import Settings

SIGNALS = (signal.SIGTERM, signal.SIGINT)
DRAINING = """
import asyncio
from edge.app import _told_to_stop

async def main():
    stopped = _told_to_stop(asyncio.get_running_loop())
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


@pytest.mark.parametrize(("told", "age"), [(0, math.inf), (3600, 3600)])
def test_a_connection_has_an_age_only_where_one_is_set(told: float, age: float) -> None:
    """No limit is spelled 0, as for connections of one address."""
    patience = _patience(Settings(kafka_url="kafka://kafka:9092", max_age_seconds=told))
    assert (patience.ping, patience.dead, patience.stalled, patience.age) == (20, 60, 600, age)
