"""A process ends in time, or before it."""

import subprocess
import sys


def run(*lines: str) -> "subprocess.CompletedProcess[str]":
    """Run a program in a process of its own."""
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], check=False, capture_output=True, text=True)


def test_when_the_time_is_over_the_process_ends() -> None:
    """Even while its threads hang."""
    ended = run(
        "import threading", "from runtime.ending import end_within", "end_within(0.01, 70)", "threading.Event().wait()"
    )
    assert (ended.returncode, ended.stderr) == (70, "")


def test_a_process_whose_end_comes_first_does_not_wait_for_that_time() -> None:
    ended = run("from runtime.ending import end_within", "end_within(3600, 70)")
    assert (ended.returncode, ended.stderr) == (0, "")
