"""``python -m edge.mock`` as whoever starts it sees it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from edge.mock.__main__ import main
from edge.mock.posts import EPOCH
from edge.mock.scenarios import BACKLOG

ROOT = Path(__file__).parents[3]
# None of the product's settings.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name in {"PATH", "PYTHONPATH", "VIRTUAL_ENV"}}


@contextmanager
def mock(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start a mock, and end it."""
    command = [sys.executable, "-m", "edge.mock", *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    """Return the next line that it has said."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate()[1]
    return line


def get(port: int, path: str) -> tuple[int, str]:
    """Ask for something."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_every_endpoint_without_settings_and_ends_when_told(number: signal.Signals) -> None:
    """The line that says where is JSON where it is asked for; nothing else is on standard output, or on the other."""
    with mock("--port", "0", "--json", "--seed", "3") as process:
        ready: dict[str, Any] = json.loads(said(process))
        port = ready["port"]
        assert ready == {
            "url": f"http://127.0.0.1:{port}/",
            "port": port,
            "scenario": "steady",
            "start": "0" * 32,
            "token_url": f"http://127.0.0.1:{port}/mock/token",
        }
        for path in ("/", "/client.js", "/status.json", "/livez", "/readyz", "/metrics", "/mock/token"):
            assert get(port, path)[0] == 200
        status, page = get(port, "/posts?offset=-1")
        assert status == 200
        assert [message["payload"]["id"] for message in json.loads(page)][:20] == list(range(1, 21))
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (0, "", "")


def test_the_pages_figures_are_of_the_feeds_time() -> None:
    """By any other clock all posts are too old to count, and the page says that they took months."""
    with mock("--port", "0", "--json", "--window", "0.1", "--rate", "10") as process:
        port = json.loads(said(process))["port"]
        begun = EPOCH.timestamp() * 1000
        while True:
            status = json.loads(get(port, "/status.json")[1])
            assert begun <= status["time"] < begun + 600_000
            if status["posts_per_second"]:
                break
        process.terminate()
        assert process.wait(60) == 0


def test_ends_with_a_client_that_is_connected() -> None:
    """It is told to come back, as by any edge, and holds nothing up."""
    with mock("--port", "0", "--json") as process:
        url = json.loads(said(process))["url"].replace("http", "ws")
        with connect(f"{url}?history=1") as client:
            assert json.loads(client.recv())["action"] == "welcome"
            process.send_signal(signal.SIGTERM)
            for _ in client:
                pass
            assert client.close_code == 1001
        assert process.wait(60) == 0


def test_says_where_it_is_in_words() -> None:
    with mock("--port", "0", "--scenario", "drops") as process:
        line = said(process)
    assert line.startswith("ready: http://127.0.0.1:")
    assert line.endswith("/ (drops: Every connection ends without a close.)\n")


def test_says_that_its_port_is_taken() -> None:
    """One sentence, exit code 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with mock("--port", str(port)) as process:
            output, errors = process.communicate(timeout=60)
    assert (process.returncode, output) == (1, "")
    assert errors == (
        f"The mock cannot listen on 127.0.0.1, port {port}: Address already in use; --port names another.\n"
    )


LINE = ("--scenario", "hole", "--posts", "12")


def test_prints_what_a_correct_client_has_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """Of everybody, or of some authors: the gaps are said either way."""
    assert main([*LINE, "--print"]) == 0
    everything = capsys.readouterr().out.splitlines()
    assert everything == [*(f"post {n}" for n in range(1, 30)), "gap interrupted", "post 31", "post 32", "post 33"]
    assert main([*LINE, "--print", "--author", "1", "--author", "2"]) == 0
    some = capsys.readouterr().out.splitlines()
    assert "gap interrupted" in some
    assert 1 < len(some) < len(everything)
    assert set(some) < set(everything)


def test_holds_what_a_client_has_shown_against_it(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Exit code 0 for one that is right, 1 and a sentence for one that is wrong."""
    shown = tmp_path / "shown"
    assert main([*LINE, "--print"]) == 0
    right = capsys.readouterr().out
    shown.write_text(right)
    assert main([*LINE, "--check", str(shown)]) == 0
    shown.write_text(right.replace("gap interrupted\n", ""))
    assert main([*LINE, "--check", str(shown)]) == 1
    assert capsys.readouterr() == ("", "line 30: gap interrupted is missing before post 31\n")
    assert main([*LINE, "--check", str(tmp_path / "none")]) == 1
    assert "none cannot be read: " in capsys.readouterr().err


def test_holds_what_a_client_of_one_author_has_shown_against_that(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It may begin as late as at that author's first post after the first 20 of all, and no later."""
    arguments = ("--posts", "100", "--author", "7")
    assert main([*arguments, "--print"]) == 0
    lines = capsys.readouterr().out.splitlines(keepends=True)
    begin = next(place for place, line in enumerate(lines) if int(line.split()[1]) > BACKLOG)
    shown = tmp_path / "shown"
    for place, code in ((0, 0), (begin, 0), (begin + 1, 1), (-2, 1)):
        shown.write_text("".join(lines[place:]))
        assert main([*arguments, "--check", str(shown)]) == code
        assert capsys.readouterr().err.startswith(f"line 1: {lines[begin].strip()} is missing before ") is bool(code)


def test_reads_what_was_shown_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown = tmp_path / "shown"
    shown.write_text("post 1\npost 3\n")
    with shown.open() as given:
        monkeypatch.setattr("sys.stdin", given)
        assert main([*LINE, "--check", "-"]) == 1
    assert capsys.readouterr().err == "line 2: post 2 is missing before post 3\n"


def test_ends_in_silence_when_nobody_reads_what_it_prints() -> None:
    """As in ``… --print | head -2``: no traceback, and the exit code of a program that SIGPIPE has ended."""
    with mock("--posts", "100000", "--print") as process:
        assert said(process) == "post 1\n"
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert (process.wait(60), process.stderr.read()) == (141, "")


@pytest.mark.parametrize(("posts", "warns"), [("10", True), ("11", False)])
def test_warns_where_the_scenario_meets_no_event(posts: str, warns: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A client that was held against it would be held against nothing."""
    assert main(["--scenario", "hole", "--posts", posts, "--print"]) == 0
    errors = capsys.readouterr().err
    assert errors.startswith("warning: --posts ends before anything of the scenario happens") is warns
    assert bool(errors) is warns


def test_says_that_its_address_is_none_of_this_machine() -> None:
    """And once where, and the option that is wrong."""
    for host in ("192.0.2.1", "nowhere.invalid"):
        with mock("--host", host, "--port", "8080") as process:
            output, errors = process.communicate(timeout=60)
        assert (process.returncode, output) == (1, "")
        assert errors == (
            f"The mock cannot listen on {host}, port 8080: this machine has no such address; --host names another.\n"
        )
