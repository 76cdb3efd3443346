"""The cluster's checker, where it can do nothing: it says what it lacks, and whether that may be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DOCKER_HOST": "unix:///no/such/engine", "POSTCAST_REQUIRE_ALL": "", **variables}
    return subprocess.run(
        [sys.executable, "-m", "integration.cluster", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(("required", "code"), [("", 0), ("1", 2)])
def test_without_an_engine_it_says_how_to_get_one_and_fails_where_nothing_may_be_left_out(
    required: str, code: int
) -> None:
    done = run(POSTCAST_REQUIRE_ALL=required)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("cluster: no Docker engine answers. ")
    assert done.stderr.endswith("Nothing was tested.\n")


def test_what_it_does_not_know_it_names_beside_what_it_knows() -> None:
    done = run("kills", "nonsense")
    assert done.returncode == 2
    assert done.stderr.endswith("there is no nonsense; there are kills, roll, freeze, cut_off, too_few, leaderless\n")
