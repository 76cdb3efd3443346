"""A run of the tests that is ended early leaves nothing behind: no process, no container, no folder."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from integration.services import Services

ROOT: Final = Path(__file__).parents[1]
_WORKERS: Final = 2
_BEGIN_SECONDS: Final = 120.0
_END_SECONDS: Final = 120.0

# It says where its services are, and goes on until it is interrupted.
_TEST: Final = """
import pathlib, time
def test_that_takes_long(services):
    urls = [service.url for service in (services.rabbitmq, services.postgres, services.kafka)]
    note = pathlib.Path(__file__).with_suffix(".begun")
    note.with_suffix(".part").write_text("\\n".join([str(services.scratch), *urls]))
    note.with_suffix(".part").rename(note)
    time.sleep(600)
"""


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_the_tests_gets_rid_of_all_that_they_started(
    services: Services, tmp_path: Path, ending: signal.Signals
) -> None:
    """What a CI host sends, and what it sends next, to the one process that it knows: those that it started hear it."""
    # Ours are there: so there is a way to have services, and their images.
    del services
    files = [tmp_path / f"test_{number}.py" for number in range(_WORKERS)]
    for file in files:
        file.write_text(_TEST, "utf-8")
    command = [sys.executable, "-m", "pytest", "-n", str(_WORKERS), "--dist", "loadfile", "-p", "no:cacheprovider"]
    with (tmp_path / "log").open("wb") as log:
        run = subprocess.Popen(
            [*command, "-p", "integration.conftest", *map(str, files)],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        notes = [_content(file.with_suffix(".begun"), run) for file in files]
        assert all(_is_open(url) for _, *urls in notes for url in urls)
    finally:
        run.send_signal(ending)
        run.wait(_END_SECONDS)
    deadline = time.monotonic() + _END_SECONDS
    while left := [*(url for _, *urls in notes for url in urls if _is_open(url)), *_folders(notes)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def _content(note: Path, run: subprocess.Popen[bytes]) -> list[str]:
    """Wait for a file and return its lines."""
    deadline = time.monotonic() + _BEGIN_SECONDS
    while not note.exists():
        assert run.poll() is None, note.with_name("log").read_text("utf-8")
        assert time.monotonic() < deadline, note.with_name("log").read_text("utf-8")
        time.sleep(0.1)
    return note.read_text("utf-8").splitlines()


def _is_open(url: str) -> bool:
    address = urlsplit(url)
    assert address.hostname is not None
    assert address.port is not None
    with socket.socket() as client:
        return client.connect_ex((address.hostname, address.port)) == 0


def _folders(notes: list[list[str]]) -> list[str]:
    return [scratch for scratch, *_ in notes if Path(scratch).exists()]
