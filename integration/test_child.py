"""A child ends with us, and takes with it what it started."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from integration.child import Child

# Starts a child of its own that hears no SIGTERM, says that child's id, and waits.
FAMILY = """
import signal, subprocess, sys, time
deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, start_new_session=True)
child.stdout.readline()
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(child.pid, flush=True)
time.sleep(60)
"""

Starter = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start children that are gone after the test, whatever it does."""
    children: list[Child] = []

    def starter(*command: str) -> Child:
        child = Child(command, log=tmp_path / f"{len(children)}.log", environment=os.environ)
        children.append(child)
        child.start()
        return child

    yield starter
    for child in children:
        child.kill()


def grandchild_of(child: Child) -> psutil.Process:
    """Wait until the child of :data:`FAMILY` has said which one is its own."""
    while not (said := child.tail()):
        assert child.is_alive()
    return psutil.Process(int(said))


@pytest.mark.parametrize(("mode", "exit_code"), [("obedient", -signal.SIGTERM), ("stubborn", -signal.SIGKILL)])
def test_a_stop_ends_the_child_in_good_order_or_else_by_force_and_what_it_started_too(
    start: Starter, mode: str, exit_code: int
) -> None:
    child = start(sys.executable, "-c", FAMILY, mode)
    grandchild = grandchild_of(child)
    child.stop(patience=0.5 if mode == "stubborn" else 30)
    assert child.exit_code == exit_code
    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_paused_child_is_frozen_with_what_it_started_and_can_still_be_stopped(start: Starter) -> None:
    child = start(sys.executable, "-c", FAMILY)
    grandchild = grandchild_of(child)
    child.pause()
    assert grandchild.status() == psutil.STATUS_STOPPED
    child.resume()
    assert grandchild.status() != psutil.STATUS_STOPPED
    child.pause()
    child.stop()
    assert child.exit_code == -signal.SIGTERM


def test_the_thread_that_starts_children_is_there_before_the_first_one_starts(tmp_path: Path) -> None:
    """A signal that comes while a thread begins would have the thread forgotten, and its child with it."""
    program = f"""
import pathlib, threading
from integration.child import Child
Child(["true"], log=pathlib.Path({str(tmp_path / "log")!r}), environment={{}})
print(*(thread.name for thread in threading.enumerate()))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, timeout=30, capture_output=True, text=True)
    assert done.stdout.split() == ["MainThread", "forker_0"]


def test_a_child_outlives_the_thread_that_started_it(start: Starter) -> None:
    """The kernel's death signal is tied to the thread that forks."""
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(start("sleep", "60")))
    thread.start()
    thread.join()
    started_later = start("sleep", "60")
    started_later.stop()
    assert children[0].is_alive()


def test_a_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = f"""
import os, pathlib, signal
from integration.child import Child
log = pathlib.Path({str(tmp_path / "log")!r})
child = Child(["sh", "-c", "echo $$; exec sleep 60"], log=log, environment=os.environ)
child.start()
while not child.tail():
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", parent], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    try:
        orphan = psutil.Process(int((tmp_path / "log").read_text("ascii")))
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs([orphan], timeout=10)
    assert not orphan.is_running()


def test_a_program_that_is_missing_is_named_in_the_log(start: Starter) -> None:
    child = start("/no/such/program")
    # It says so before it ends; told to stop, it might have no time for that.
    child.await_end()
    assert "/no/such/program" in child.tail()


def test_a_log_s_tail_is_bounded(start: Starter) -> None:
    child = start("seq", "100000")
    while child.is_alive():
        pass
    assert child.tail().splitlines() == [str(number) for number in range(99_989, 100_001)]
