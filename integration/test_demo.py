"""A running demo is found by who wants to publish in it, and by nobody else."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from integration import post
from integration.demo import Demo, NoDemoError

DEMO = Demo(
    pid=os.getpid(),
    edge_port=8080,
    health_port=8081,
    worker_port=6066,
    amqp_url="amqp://a",
    database_url="postgres://d",
    queue="created-posts",
    shows_posts=True,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a folder for temporary files in which nobody runs a demo."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def runs(demo: Demo, folder: Path) -> None:
    scratch = folder / f"postcast-{demo.edge_port}"
    scratch.mkdir()
    demo.write(scratch)


def test_the_only_demo_is_found_and_its_file_is_for_its_owner_alone(folder: Path) -> None:
    runs(DEMO, folder)
    assert Demo.find(None) == Demo.find(8080) == DEMO
    assert (folder / "postcast-8080" / "demo.json").stat().st_mode & 0o777 == 0o600


def test_of_several_one_is_chosen_by_its_port(folder: Path) -> None:
    runs(DEMO, folder)
    runs(other := replace(DEMO, edge_port=8081), folder)
    assert Demo.find(8081) == other
    with pytest.raises(NoDemoError, match=r"^demos run on the ports 8080, 8081; choose one with EDGE_PORT=…$"):
        Demo.find(None)
    with pytest.raises(NoDemoError, match=r"^no demo runs on port 1, but on 8080, 8081$"):
        Demo.find(1)


def test_one_that_was_killed_and_one_that_somebody_else_pretends_do_not_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs(replace(DEMO, pid=2**31 - 1), folder)
    with pytest.raises(NoDemoError, match=r"^no demo runs: make run$"):
        Demo.find(None)
    runs(replace(DEMO, edge_port=8081), folder)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(NoDemoError, match=r"^no demo runs: make run$"):
        Demo.find(None)


@pytest.mark.parametrize(
    ("text", "shows_posts", "sentence"),
    [
        ("", True, 'the text must have 1 to 500 characters: make post TEXT="Hello"'),
        ("x" * 501, True, 'the text must have 1 to 500 characters: make post TEXT="Hello"'),
        ("Hello", False, "the tables in that database are somebody's own, and are only read"),
    ],
)
def test_what_cannot_be_published_is_one_sentence_and_exit_code_1(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, shows_posts: bool, sentence: str
) -> None:
    runs(replace(DEMO, shows_posts=shows_posts), folder)
    assert post.main(text) == 1
    assert capsys.readouterr().err == f"post: {sentence}\n"
