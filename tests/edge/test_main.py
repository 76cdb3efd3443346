"""``python -m edge`` as whoever starts it sees it; nothing of it is reached by network but loopback."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from edge.access.limits import SPARE
from integration.ports import free_port

ROOT = Path(__file__).parents[2]
FILES = 250
"""How many files an edge may open in a test that takes all of them."""
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "VIRTUAL_ENV"}},
    # Nobody listens there: the edge starts, and waits for Kafka.
    "KAFKA_URL": "kafka://127.0.0.1:9",
    "EDGE_HOST": "127.0.0.1",
    "EDGE_PORT": "0",
}


def start(
    environment: Mapping[str, str],
    folder: Path = ROOT,
    *,
    files: int | None = None,
    command: Sequence[str] = ("-m", "edge"),
) -> subprocess.Popen[str]:
    """Start an edge in a working directory; it may open so many ``files``, where that is said."""
    limited = [] if files is None else ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
    return subprocess.Popen(
        [*limited, sys.executable, *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until_listening(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """Return what an edge logs until it listens to clients."""
    assert process.stdout is not None
    said: list[dict[str, Any]] = []
    while not said or said[-1]["event"] != "edge.listening":
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        said.append(json.loads(line))
    return said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_well_when_told_to_stop(number: signal.Signals) -> None:
    """Exit code 0, also while Kafka was never reached."""
    with start(ENVIRONMENT) as process:
        try:
            assert until_listening(process)[0]["event"] == "process.started"
            process.send_signal(number)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    assert "edge.stopped" in output


def test_ends_when_told_to_stop_while_a_name_is_looked_up() -> None:
    """The thread that waits for the resolver is not waited for."""
    program = """
import socket, sys, time
from edge.__main__ import main
real = socket.getaddrinfo
socket.getaddrinfo = lambda host, *others, **more: (
    time.sleep(300) if host == "kafka.example" else real(host, *others, **more)
)
sys.exit(main())
"""
    environment = {**ENVIRONMENT, "KAFKA_URL": "kafka://kafka.example"}
    with start(environment, command=["-c", program]) as process:
        try:
            until_listening(process)
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, errors) == (0, "")
    assert "edge.stopped" in output


def test_says_what_is_wrong_and_does_not_start() -> None:
    """One sentence for each variable, exit code 1, before anything is connected."""
    with start({**ENVIRONMENT, "KAFKA_URL": "", "EDGE_PORT": "x"}) as process:
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    first, second = errors.splitlines()
    assert first == "KAFKA_URL is missing; python -m edge --settings says what it is."
    assert second.startswith("EDGE_PORT is wrong: ")


def test_reads_a_file_in_its_working_directory_and_logs_as_it_is_told(tmp_path: Path) -> None:
    """At a level and in a form of the operator's choice; what looks like a setting and is none is named."""
    (tmp_path / ".env").write_text("LOG_LEVEL=warning\nLOG_FORMAT=console\nKAFKA_BROKERS=a:9092\nEDGE_HOST=192.0.2.1\n")
    with start({**ENVIRONMENT, "PYTHONPATH": str(ROOT)}, folder=tmp_path) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
        finally:
            process.kill()
    assert "[warning  ] settings.unread" in first
    assert "KAFKA_BROKERS is set and not read; the setting's name is KAFKA_URL." in first


@pytest.mark.parametrize("name", ["EDGE", "ADMIN"])
def test_says_that_its_port_is_taken(name: str) -> None:
    """One sentence that names the variable, exit code 1; edges that share the clients' port do not share the other."""
    shares = name == "ADMIN"
    with socket.create_server(("127.0.0.1", 0), reuse_port=shares) as taken:
        port = taken.getsockname()[1]
        with start({**ENVIRONMENT, f"{name}_PORT": str(port), "REUSE_PORT": str(shares)}) as process:
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.startswith(f"The edge cannot listen on {name}_HOST 127.0.0.1, {name}_PORT {port}: ")
    assert len(errors.splitlines()) == 1


def test_says_that_two_ports_must_be_two() -> None:
    """One sentence, exit code 1, before anything listens."""
    with start({**ENVIRONMENT, "EDGE_PORT": "8080", "ADMIN_PORT": "8080"}) as process:
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors == "ADMIN_PORT must be another port than EDGE_PORT: clients are served there.\n"


def test_operators_are_answered_at_their_own_port_when_all_is_full() -> None:
    """The clients' port has nothing for them, and not one connection is left there; its files are not theirs."""
    admin_port = free_port()
    environment = {**ENVIRONMENT, "ADMIN_PORT": str(admin_port), "ADMIN_HOST": "127.0.0.2"}
    with start(environment, files=2 * FILES) as process, ExitStack() as opened:
        try:
            said = until_listening(process)
            places = [(line["event"], line["host"], line["port"]) for line in said if "port" in line]
            port = said[-1]["port"]
            assert places == [("admin.listening", "127.0.0.2", admin_port), ("edge.listening", "127.0.0.1", port)]
            assert [get(port, path)[0] for path in ("/livez", "/readyz", "/metrics", "/")] == [404, 404, 404, 200]
            for _ in range(3 * FILES):
                opened.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            with pytest.raises((OSError, http.client.HTTPException)):
                get(port, "/")
            assert get(admin_port, "/livez", "127.0.0.2") == (200, "The event loop answers.\n")
            assert get(admin_port, "/readyz", "127.0.0.2")[0] == 503
            _, metrics = get(admin_port, "/metrics", "127.0.0.2")
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert f"postcast_edge_sockets_limit {float(2 * FILES - 128 - SPARE - 64 - SPARE)}" in metrics.splitlines()
    assert "edge.short" not in output
    assert (process.returncode, errors) == (0, "")


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    """Not a line of it can be written, from the first one on; the edge answers, and ends when it is told to."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb"), os.fdopen(writing, "wb") as log, socket.create_server(("127.0.0.1", 0)) as chosen:
        os.set_blocking(writing, False)
        with suppress(BlockingIOError):
            while os.write(writing, bytes(4096)):
                pass
        os.set_blocking(writing, True)
        port = chosen.getsockname()[1]
        chosen.close()
        environment = {**ENVIRONMENT, "EDGE_PORT": str(port)}
        with subprocess.Popen([sys.executable, "-m", "edge"], env=environment, stdout=log) as process:
            try:
                status = None
                while status is None:
                    assert process.poll() is None
                    with suppress(OSError):
                        status, _ = get(port, "/livez")
                assert status == 200
                process.send_signal(signal.SIGTERM)
                assert process.wait(10) == 0
            finally:
                process.kill()


def test_it_takes_as_many_connections_as_it_has_files_for() -> None:
    """A flood finds no file missing: the limit comes before, some are told so, and probes are answered."""
    with start(ENVIRONMENT, files=FILES) as process, ExitStack() as opened:
        try:
            port = until_listening(process)[-1]["port"]
            for _ in range(2 * FILES):
                # From another address than the probe's.
                opened.enter_context(socket.create_connection(("127.0.0.1", port), 5, source_address=("127.0.0.2", 0)))
            _, metrics = get(port, "/metrics")
            assert get(port, "/livez") == (200, "The event loop answers.\n")
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert f"postcast_edge_sockets_limit {float(FILES - 128 - SPARE)}" in metrics.splitlines()
    assert "edge.short" not in output
    assert (process.returncode, errors) == (0, "")


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    """Ask for a page."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    with closing(connection):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def _run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_table_of_positions_is_made_by_a_command_of_its_own() -> None:
    """It says what it lacks, and does not serve."""
    told = [sys.executable, "-m", "edge", "positions"]
    for command, environment, code, said in (
        ([*told, "create"], ENVIRONMENT, 1, "POSITIONS_URL is missing"),
        ([*told, "create"], {"POSITIONS_URL": "mysql://x"}, 1, "POSITIONS_URL"),
        ([*told, "create"], {"POSITIONS_URL": "postgres://u:p@127.0.0.1:1/x"}, 1, "cannot be made"),
        (told, ENVIRONMENT, 2, "the following arguments are required"),
    ):
        ran = _run(command, environment)
        assert (ran.returncode, ran.stdout) == (code, "")
        assert said in ran.stderr
