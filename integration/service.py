"""What a backing service can do, whichever way it is run."""

import time
from abc import ABC, abstractmethod
from typing import Final
from urllib.parse import urlsplit

from integration.probes import NOT_READY, Probe, ask

READY_SECONDS: Final = 90.0
"""How long a service may take to become ready: six times what the slowest one took on two busy cores."""
GIVEN_SECONDS: Final = 10.0
"""How long one that runs already may take to answer: a restart or a busy moment, no more."""
_ASK_AGAIN_SECONDS: Final = 0.1


class ServiceError(Exception):
    """A backing service cannot be had or does not answer; the message is for people."""


class Service(ABC):
    """A broker or a database that can be stopped, started and broken.

    ``url`` stays the same for its whole life. ``durable`` says whether its data outlives a stop or a kill.
    All methods block: call them from a thread where an event loop must go on.
    ``tls_ports`` are those of a listener for TLS that a test may start: as clients reach it, and as the service has it.
    """

    tls_ports: tuple[int, int] | None = None

    def __init__(self, name: str, url: str, probe: Probe, *, how: str, durable: bool) -> None:
        self.name = name
        self.url = url
        self.how = how
        self.durable = durable
        self._probe = probe

    @property
    def address(self) -> str:
        """``host:port``, without the credentials that the URL may hold."""
        return ", ".join(urlsplit(part).netloc.rpartition("@")[2] for part in self.url.split(";"))

    def start(self) -> None:
        """Start it, for the first time or again, and return when it is ready."""
        self.launch()
        self.wait_until_ready()

    def restart(self) -> None:
        """Stop it in good order and start it again."""
        self.stop()
        self.start()

    def wait_until_ready(self, patience: float | None = None) -> None:
        """Return when it answers in its own protocol; raises :class:`ServiceError` after ``patience`` seconds."""
        patience = READY_SECONDS if patience is None else patience
        deadline = time.monotonic() + patience
        while True:
            try:
                ask(self._probe, self.url)
            except NOT_READY as error:
                if not self.is_alive():
                    raise ServiceError(f"{self.name} ended before it was ready{self._last_words()}") from error
                if time.monotonic() > deadline:
                    reason = str(error) or type(error).__name__
                    sentence = f"{self.name} at {self.address} does not answer within {patience:.0f} s: {reason}"
                    raise ServiceError(sentence + self._last_words()) from error
                time.sleep(_ASK_AGAIN_SECONDS)
            else:
                return

    def _last_words(self) -> str:
        tail = self.tail()
        return f"; its log ends with:\n{tail}" if tail else ""

    @abstractmethod
    def launch(self) -> None:
        """Start it without waiting until it is ready."""

    @abstractmethod
    def is_alive(self) -> bool:
        """Tell whether it runs (paused counts as running)."""

    @abstractmethod
    def stop(self) -> None:
        """End it in good order; it can be started again."""

    @abstractmethod
    def kill(self) -> None:
        """End it at once, as ``kill -9`` does; it can be started again."""

    @abstractmethod
    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""

    @abstractmethod
    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""

    @abstractmethod
    def close(self) -> None:
        """End it for good and remove what it left; harmless when it never started."""

    @abstractmethod
    def run(self, *command: str) -> str:
        """Run a program that comes with the service, such as ``rabbitmqctl``, and return what it printed."""

    @abstractmethod
    def tail(self) -> str:
        """Return the last lines of its log."""


class GivenService(Service):
    """A service that the environment names. It is used as it is: it is not ours to stop."""

    def __init__(self, name: str, url: str, probe: Probe, *, variable: str) -> None:
        for part in url.split(";"):
            try:
                complete = urlsplit(part).hostname is not None and urlsplit(part).port != 0
            except ValueError:
                complete = False
            if not complete:
                raise ServiceError(f"{variable} is not a URL with a host and a port")
        super().__init__(name, url, probe, how=f"as {variable} says", durable=True)

    def launch(self) -> None:
        """Nothing to do: somebody else runs it."""

    def wait_until_ready(self, patience: float | None = None) -> None:
        """As for the others, but one that runs already needs no time to start."""
        super().wait_until_ready(GIVEN_SECONDS if patience is None else patience)

    def is_alive(self) -> bool:
        """Nobody says that it ended."""
        return True

    def stop(self) -> None:
        """Refused."""
        raise ServiceError(f"{self.name} at {self.address} was given, and is not ours to stop")

    kill = pause = resume = stop

    def close(self) -> None:
        """Nothing to do: it stays as it is."""

    def run(self, *command: str) -> str:
        """Refused."""
        raise ServiceError(f"{self.name} at {self.address} was given: {command[0]} is not ours to run there")

    def tail(self) -> str:
        """Its log is not ours to read."""
        return ""
