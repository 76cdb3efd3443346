"""``python -m integration.setup [--compile] FILE``: installs pinned requirements into ``.venv``, saying how far it is.

Standard library only: the Makefile runs this before anything is installed.
"""

import importlib.util
import re
import subprocess
import sys
from collections import deque
from pathlib import Path
from typing import Final

from integration import packages
from integration.waiting import Waiting

_VENV: Final = Path(".venv")
_PYTHON: Final = _VENV / "bin" / "python"
_PIP: Final = Path("requirements/pip.txt")
"""The pip that installs the rest: those that come with older releases of Python take three times as long."""
_QUICK: Final = ("--disable-pip-version-check", "--progress-bar=off", "--no-compile", "--no-deps", "--require-hashes")
"""All requirements are pinned, with all that they need: nothing is to be resolved."""
_TAIL_LINES: Final = 6
_PIN: Final = re.compile(r"^[A-Za-z0-9][^ ]*==", re.MULTILINE)
# One line of pip's for each requirement: it is fetched, there already, or for other systems.
_SEEN: Final = re.compile(r"Collecting |Requirement already satisfied: |Ignoring ")


class SetupError(Exception):
    """The requirements cannot be installed; the message says why."""


class Pip:
    """Reads what ``pip install`` prints, and says in a few words how far it is."""

    def __init__(self, total: int) -> None:
        """``total``: how many requirements there are."""
        self._total = total
        self._seen = 0
        self._text = "setup: fetching"
        self.last: deque[str] = deque(maxlen=_TAIL_LINES)
        """The last lines, for when it fails."""

    def read(self, line: str) -> str:
        """Take the next line and return how far pip is."""
        self.last.append(line.rstrip())
        if _SEEN.match(line):
            self._seen += 1
            self._text = f"setup: fetching, {self._seen} of {self._total} packages"
        elif line.startswith("Installing collected packages"):
            self._text = "setup: unpacking the packages"
        return self._text


def main(*options: str, name: str) -> int:
    """Install; return the exit code: 1 with a sentence for what stands in the way."""
    try:
        install(Path(name))
        if "--compile" in options:
            compile_all()
    except (SetupError, packages.MissingPackagesError) as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def install(requirements: Path) -> None:
    """Make ``.venv`` where there is none, and install into it; raises :class:`SetupError`."""
    pip = Pip(len(_PIN.findall(requirements.read_text("utf-8"))))
    _say(f"setup: installing the pinned packages of {requirements} into {_VENV}")
    with Waiting("setup: making the environment", _say) as waiting:
        # The last thing that is put there: an environment whose making was interrupted is made again.
        if not (_VENV / "bin" / "pip").exists():
            _make_environment()
        with subprocess.Popen(
            [str(_PYTHON), "-m", "pip", "install", *_QUICK, "--requirement", str(requirements)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                waiting.text = pip.read(line)
    if process.returncode:
        raise SetupError("pip could not install them:\n" + "\n".join(pip.last))


def compile_all() -> None:
    """Write the bytecode of all packages, of which some warn when they are compiled: to tests a warning is an error."""
    with Waiting("setup: compiling", _say):
        subprocess.run([_PYTHON, "-m", "compileall", "-qq", "-j", "0", _VENV / "lib"], check=False, capture_output=True)


def _make_environment() -> None:
    """Make it with nothing but :data:`_PIP` in it, fetched by Python's own pip or by that which venv unpacks."""
    make, pip = ["-m", "venv", "--clear", str(_VENV)], [str(_PYTHON), "-m", "pip"]
    if importlib.util.find_spec("pip"):
        make, pip = [*make, "--without-pip"], [sys.executable, "-m", "pip", "--python", str(_PYTHON)]
    elif not importlib.util.find_spec("ensurepip"):
        # Debian has the module that venv needs in a package of its own.
        packages.install("python3-venv")
    _run(sys.executable, *make)
    _run(*pip, "install", *_QUICK, "--requirement", str(_PIP))


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SetupError(f"{_VENV} could not be made: {(done.stderr or done.stdout).strip()}")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:-1], name=sys.argv[-1]))
