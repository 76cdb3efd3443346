"""Debian packages, installed where we may and named in one sentence where we may not.

``python -m integration.packages NAME...`` installs what is missing of them. The servers among them are
neither started nor enabled, and those that run already are left as they are. Standard library only: the
Makefile runs this before anything is installed.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from integration.waiting import Waiting

_POLICY: Final = Path("/usr/sbin/policy-rc.d")
"""Debian asks this program before a package may start its server (init-system-helpers, README.policy-rc.d)."""
_KEPT: Final = _POLICY.with_name("policy-rc.d.kept-by-postcast")
FORBID: Final = b"#!/bin/sh\n# Postcast installs packages: no server is started meanwhile.\nexit 101\n"
_STATUS: Final = re.compile(r"(dl|pm)status:[^:]*:([\d.]+):")
"""What apt-get says of its progress when it is asked to: fetching or installing, the package, and a percentage."""
_LOCK_SECONDS: Final = 300
"""How long to wait for another apt-get: the time that a large installation takes."""


class MissingPackagesError(Exception):
    """Packages that are needed are not installed, and cannot be installed here; the message says what to do."""


def install(*names: str) -> None:
    """Install the packages that are missing of ``names``; raises :class:`MissingPackagesError`."""
    missing = [name for name in names if not _is_installed(name)]
    if not missing:
        return
    wanted = " ".join(missing)
    if shutil.which("apt-get") is None:
        raise MissingPackagesError(f"install the equivalent of Debian's {wanted}: this machine has no apt-get")
    if os.geteuid() != 0:
        raise MissingPackagesError(f"install what is missing: sudo apt-get install {wanted}")
    _say(f"packages: installing {wanted} from Debian")
    with no_server_started(), Waiting("packages: asking Debian what there is", _say) as waiting:
        _apt_get(waiting, "update", "-qq")
        _apt_get(waiting, "install", "-y", "-qq", "--no-install-recommends", *missing)
    if Path("/run/systemd/system").is_dir():
        for unit in missing:
            # Most packages have no unit of their own name: that answer is as good.
            subprocess.run(["systemctl", "disable", "--quiet", unit], check=False, capture_output=True)


def _is_installed(name: str) -> bool:
    if shutil.which("dpkg-query") is None:
        return False
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", name]
    return subprocess.run(query, check=False, capture_output=True).stdout == b"installed"


def _apt_get(waiting: Waiting, *arguments: str) -> None:
    command = ["apt-get", "-o", f"DPkg::Lock::Timeout={_LOCK_SECONDS}", *arguments]
    said = ""
    with subprocess.Popen(
        [*command, "-o", "APT::Status-Fd=1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if status := _STATUS.match(line):
                what = "fetching" if status[1] == "dl" else "installing"
                waiting.text = f"packages: {what}, {float(status[2]):.0f} %"
            elif line.strip():
                said = line.strip()
    if process.returncode:
        raise MissingPackagesError(f"{' '.join(command)} failed: {said}")


@contextmanager
def no_server_started() -> Iterator[None]:
    """Put our own policy in the place of the machine's, and the machine's back afterwards.

    The lock (on the directory: it leaves no file) keeps two installations from taking each other's policy
    for the machine's. One that was killed in the middle is tidied up by the next.
    """
    directory = os.open(_POLICY.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        if _POLICY.exists() and _POLICY.read_bytes() != FORBID:
            _POLICY.rename(_KEPT)
        _POLICY.write_bytes(FORBID)
        _POLICY.chmod(0o755)
        try:
            yield
        finally:
            if _KEPT.exists():
                _KEPT.rename(_POLICY)
            else:
                _POLICY.unlink()
    finally:
        os.close(directory)


def _say(line: str) -> None:
    print(line, flush=True)


def _main() -> int:
    try:
        install(*sys.argv[1:])
    except MissingPackagesError as error:
        print(f"packages: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main())
