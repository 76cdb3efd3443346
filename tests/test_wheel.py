"""The wheel: what is installed from it is all that both processes need beside their dependencies."""

import os
import subprocess
import sys
import sysconfig
from email import message_from_bytes
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("streams", "edge", "runtime")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the pinned build backend that is installed here."""
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)
    ).check_returncode()
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment, which borrows the dependencies from the one that runs the tests."""
    fresh = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", str(fresh)).check_returncode()
    interpreter = fresh / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(interpreter))
    run(*pip, "install", "--no-index", "--no-deps", str(wheel)).check_returncode()
    (site_packages,) = fresh.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return interpreter


def run(*command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end without any of the tests' environment that could lead it to this tree."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=60)


def test_it_carries_all_packages_whole_and_nothing_else(wheel: Path) -> None:
    """Every file of the packages is in it (the live page and the markers of typing too), and no test is."""
    tree = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert carried == tree
    assert {"edge/assets/page.html", "edge/py.typed", "streams/py.typed", "runtime/py.typed"} <= tree


def test_its_licence_is_named_and_enclosed(wheel: Path) -> None:
    """The metadata names the licence by its SPDX expression, and the text lies beside it."""
    folder = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    with ZipFile(wheel) as archive:
        metadata = message_from_bytes(archive.read(f"{folder}/METADATA"))
        text = archive.read(f"{folder}/licenses/LICENSE")
    assert (metadata["Name"], metadata["License-Expression"]) == ("postcast", "Apache-2.0")
    assert text == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (("edge",), "KAFKA_URL"),
        (("faust", "-A", "streams.app", "worker", "-l", "info"), "AMQP_URL"),
    ],
    ids=["edge", "worker"],
)
def test_both_processes_start_from_it(python: Path, tmp_path: Path, command: tuple[str, ...], variable: str) -> None:
    """Far from this tree each gets as far as its settings, and says in one sentence each which are missing."""
    done = run(str(python), "-m", *command, folder=tmp_path)
    first, *others = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert variable in first
    assert [line for line in (first, *others) if not line.endswith(".")] == []
    assert list(tmp_path.iterdir()) == []
