"""Whoever waits is told how far it is: of packages, of images, and of anything else that takes its time."""

import re
import threading

import pytest

from integration.pull import Pull
from integration.setup import Pip
from integration.waiting import Waiting


def test_nothing_is_said_of_what_is_quick() -> None:
    said: list[str] = []
    with Waiting("waiting", said.append, every=60):
        pass
    assert said == []


def test_what_takes_long_is_said_again_and_again_as_it_stands_and_no_longer_than_it_lasts() -> None:
    said: list[str] = []
    twice = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        waiting.text = "two of three"
        if len(said) == 2:
            twice.set()

    waiting = Waiting("one of three", say, every=0.01)
    with waiting:
        assert twice.wait(60)
    assert [line.partition(",")[0] for line in said[:2]] == ["one of three", "two of three"]
    assert all(re.fullmatch(r".*, \d+ s", line) for line in said)
    assert "waiting" not in {thread.name for thread in threading.enumerate()}


def test_after_a_failure_nothing_more_is_said_either() -> None:
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt), Waiting("waiting", said.append, every=60):
        raise KeyboardInterrupt
    assert "waiting" not in {thread.name for thread in threading.enumerate()}


def test_pip_s_lines_are_counted_whether_a_package_is_fetched_there_already_or_for_other_systems() -> None:
    pip = Pip(total=3)
    assert [
        pip.read(line)
        for line in (
            "Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment\n",
            "Collecting aiohttp==3.14.5 (from -r requirements/run.txt (line 9))\n",
            "  Downloading aiohttp-3.14.5-cp311-cp311-manylinux2014_x86_64.whl (1.7 MB)\n",
            "Requirement already satisfied: yarl==1.25.1 in ./.venv/lib/python3.11/site-packages (1.25.1)\n",
            "Installing collected packages: aiohttp\n",
            "Successfully installed aiohttp-3.14.5\n",
        )
    ] == [
        "setup: fetching, 1 of 3 packages",
        "setup: fetching, 2 of 3 packages",
        "setup: fetching, 2 of 3 packages",
        "setup: fetching, 3 of 3 packages",
        "setup: unpacking the packages",
        "setup: unpacking the packages",
    ]
    assert pip.last[-1] == "Successfully installed aiohttp-3.14.5"


def test_a_pull_is_told_in_megabytes_of_the_layers_that_are_known() -> None:
    pull = Pull("rabbitmq:4")
    assert [
        pull.read(step)
        for step in (
            {"status": "Pulling from library/rabbitmq", "id": "4"},
            {"status": "Pulling fs layer", "progressDetail": {}, "id": "a"},
            {"status": "Downloading", "progressDetail": {"current": 1_000_000, "total": 9_000_000}, "id": "a"},
            {"status": "Downloading", "progressDetail": {"current": 2_000_000, "total": 6_000_000}, "id": "b"},
            {"status": "Download complete", "progressDetail": {}, "id": "a"},
            {"status": "Already exists", "progressDetail": {}, "id": "c"},
            {"status": "Extracting", "progressDetail": {"current": 5, "total": 9_000_000}, "id": "a"},
        )
    ] == [
        "pulling rabbitmq:4",
        "pulling rabbitmq:4",
        "pulling rabbitmq:4: 1 of 9 MB",
        "pulling rabbitmq:4: 3 of 15 MB",
        "pulling rabbitmq:4: 11 of 15 MB",
        "pulling rabbitmq:4: 11 of 15 MB",
        "pulling rabbitmq:4: 11 of 15 MB",
    ]
