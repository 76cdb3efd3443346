"""Node's packages for tests, installed by npm into a folder that ends with the test session."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from integration.conftest import lacking

_INSTALL_SECONDS: Final = 120


def install(folder: Path, *packages: str) -> Path:
    """Install packages, each with its version, into a folder; return it. No script of theirs is run."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        lacking("there is no Node: install node and npm")
    options = ("--no-save", "--no-audit", "--no-fund", "--ignore-scripts")
    try:
        subprocess.run(
            [npm, "install", "--prefix", str(folder), *options, *packages],
            check=True,
            capture_output=True,
            timeout=_INSTALL_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        lacking(f"npm cannot install {' '.join(packages)}")
    return folder
