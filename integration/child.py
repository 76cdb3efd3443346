"""A child process that ends with us, whatever becomes of us."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import psutil

from integration.packages import MissingPackagesError

STOP_SECONDS: Final = 4.0
"""How long a program may take to end in good order: two such steps fit into the 10 s in which all must be gone."""
_LOOK_SECONDS: Final = 0.01
_TAIL_LINES: Final = 12
_TAIL_BYTES: Final = 8 * 1024

# Linux sends the death signal when the *thread* that forked ends (prctl(2), PR_SET_PDEATHSIG), not the
# process. So one thread, which lives as long as the process does, starts all children.
_forker: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="forker")


class Child:
    """A program in a process group of its own, so that Ctrl-C in the terminal reaches us alone.

    Its output goes to the file ``log``. ``user`` (only as root) is the account it runs under. ``ending`` is the
    signal that asks it to end; it is sent too when we are killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        user: str | None = None,
        ending: signal.Signals = signal.SIGTERM,
    ) -> None:
        # The thread is there before a child is. Were it made for the first one, a Ctrl-C while it begins would have it
        # forgotten, and with it the child that it then starts.
        _forker.submit(bool).result()
        self.log = log
        self._environment = dict(environment)
        self._ending = ending
        self._command = [*_setpriv(user), "--pdeathsig", ending.name.removeprefix("SIG"), "--", *command]
        self._process: subprocess.Popen[bytes] | None = None
        self._family: list[psutil.Process] = []

    def start(self) -> None:
        """Start it; its log goes on where the one of an earlier start ended."""
        self._process = _forker.submit(self._popen).result()

    def _popen(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """The exit code when it has ended (negative: the signal that ended it), else None."""
        return self._process.poll() if self._process else None

    def resident_bytes(self) -> int:
        """Return how much memory it and its children have; 0 when it does not run."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return sum(process.memory_info().rss for process in self._find_family())
        return 0

    def stop(self, patience: float = STOP_SECONDS) -> None:
        """End it in good order, or at once after ``patience`` seconds; what it left running is ended too."""
        self.ask_to_end()
        self.await_end(patience)

    def ask_to_end(self) -> None:
        """Send it the signal that asks it to end, and do not wait."""
        if self._process is None:
            return
        self._family = self._find_family()
        self._process.send_signal(self._ending)
        self._process.send_signal(signal.SIGCONT)  # frozen, it would never hear of it

    def await_end(self, patience: float = STOP_SECONDS) -> None:
        """Return when it has ended after :meth:`ask_to_end`, by our hand after ``patience`` seconds."""
        if self._process is None:
            return
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for process in self._family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()  # psutil compares start times: never a stranger that was given the same id
        _await_all(self._family, _is_gone)

    def kill(self) -> None:
        """End it and what it started at once."""
        if self._process is not None:
            self._family = self._find_family()
            self._process.kill()
            self.await_end()

    def pause(self) -> None:
        """Freeze it and its children, those in other process groups too (PostgreSQL's backends)."""
        family = self._find_family()
        for process in family:
            process.suspend()
        _await_all(family, lambda process: process.status() == psutil.STATUS_STOPPED)

    def resume(self) -> None:
        """Let it and its children go on."""
        for process in self._find_family():
            process.resume()

    def _find_family(self) -> list[psutil.Process]:
        if not self.is_alive():
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(self._process.pid if self._process else None)
            return [parent, *parent.children(recursive=True)]
        return []

    def tail(self) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as output:
            output.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
            lines = output.read().decode("utf-8", "replace").splitlines()
        return "\n".join(lines[-_TAIL_LINES:])


def _await_all(processes: Sequence[psutil.Process], holds: Callable[[psutil.Process], bool]) -> None:
    """Return when it holds for each of them, or after :data:`STOP_SECONDS`: signals take a moment to arrive."""
    deadline = time.monotonic() + STOP_SECONDS
    while not all(map(holds, processes)) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)


def _is_gone(process: psutil.Process) -> bool:
    # A zombie is gone but for its parent's asking; where that is init, it may take seconds to ask.
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


def run_as(user: str | None, command: Sequence[str], environment: Mapping[str, str], patience: float) -> str:
    """Run a program to its end and return what it printed; raises :class:`subprocess.SubprocessError`."""
    done = subprocess.run(
        [*_setpriv(user), "--pdeathsig", "KILL", "--", *command],
        check=True,
        capture_output=True,
        text=True,
        env=dict(environment),
        timeout=patience,
    )
    return done.stdout


def _setpriv(user: str | None) -> list[str]:
    """Return the program that sets the death signal, and the account where that is asked of root."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingPackagesError("install util-linux: its program setpriv ties what is started here to us")
    if user is None or os.geteuid() != 0:
        return [setpriv]
    return [setpriv, "--reuid", user, "--regid", user, "--init-groups"]
