"""The wheel: what is installed from it is all that both processes need beside their dependencies."""

import os
import platform
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
from email import message_from_bytes
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

import edge
import runtime
import streams

ROOT: Final = Path(__file__).parent.parent
PACKAGES: Final = ("streams", "edge", "runtime")


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build a wheel or an sdist of a tree with the pinned build backend that is installed here."""
    run(
        sys.executable, "-m", "build", f"--{kind}", "--no-isolation", "--outdir", str(folder), str(source)
    ).check_returncode()
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this tree."""
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


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


def test_the_settings_are_explained_in_it_by_the_same_file_as_here(wheel: Path, python: Path, tmp_path: Path) -> None:
    example = (ROOT / ".env.example").read_bytes()
    with ZipFile(wheel) as archive:
        assert archive.read("runtime/env.example") == example
    for command in ("edge", "streams"):
        done = run(str(python), "-m", command, "--settings", folder=tmp_path)
        assert (done.returncode, done.stdout.encode(), done.stderr) == (0, example, "")


def test_all_commands_say_the_one_version_that_there_is(wheel: Path, python: Path, tmp_path: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {edge.__version__, runtime.__version__, streams.__version__, wheel.name.split("-")[1]} == {version}
    assert f'image.version="{version}"' in (ROOT / "Dockerfile").read_text("utf-8")
    for command in ("edge", "edge.mock", "streams"):
        done = run(str(python), "-m", command, "--version", folder=tmp_path)
        told = f"postcast {version} (wheel), Python {platform.python_version()}\n"
        assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


def test_the_sdist_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """It is complete, and holds no link that leads out of it."""
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "tree", filter="data")
    (tree,) = (tmp_path / "tree").iterdir()
    # Tests need integration/, docs/ and k8s/ beside them, and the pages of docs/ each other.
    added = {"pyproject.toml", "PKG-INFO", ".env.example", ".gitignore", "README.md", "CHANGELOG.md", "LICENSE"}
    assert {path.name for path in tree.iterdir()} <= {*PACKAGES, *added}
    with ZipFile(wheel) as here, ZipFile(build("wheel", tree, tmp_path / "wheel")) as there:
        assert {name: there.read(name) for name in there.namelist()} == {
            name: here.read(name) for name in here.namelist()
        }


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
