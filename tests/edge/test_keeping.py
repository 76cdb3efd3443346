"""What stores positions is made of the settings; the table, by a command."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from edge.keeping import create, keeper_of
from edge.positions.keeper import Keeper
from edge.positions_settings import PositionsSettings
from tests.edge.kit.positions import Foreigners
from tests.edge.kit.tokens import SECRET

ROOT: Final = Path(__file__).parents[2]


def told(url: str) -> PositionsSettings:
    """Make settings."""
    return PositionsSettings(
        kafka_url="kafka://kafka:9092", positions_url=SecretStr(url), jwt_secret_key=SecretStr(SECRET)
    )


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file in the working directory is read."""
    monkeypatch.chdir(tmp_path)


async def test_positions_are_stored_where_a_database_is_named() -> None:
    assert keeper_of(told(""), Foreigners()) is None
    assert isinstance(keeper_of(told("postgres://u@db/positions"), Foreigners()), Keeper)


def test_an_edge_that_stores_none_does_not_load_what_speaks_with_a_database() -> None:
    program = "import sys, edge.__main__; print(*{'sqlalchemy', 'asyncpg'} & {*sys.modules})"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    assert said.stdout.split() == []


def test_the_command_says_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and a sentence, in which no password is."""
    assert create(told("")) == 1
    assert capsys.readouterr().err == "POSITIONS_URL is missing: it says in which database the table is to be.\n"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert create(told(f"postgres://u:keep-it@127.0.0.1:{port}/positions")) == 1
    said = capsys.readouterr()
    assert said.err == (
        "The table postcast_positions cannot be made in the database of POSITIONS_URL: "
        f"127.0.0.1:{port}: the connection is refused: nothing listens at that host and port\n"
    )
    assert "keep-it" not in said.err
    assert said.out == ""
    assert create(told("postgres://u:keep-it@nowhere.invalid/positions")) == 1
    assert capsys.readouterr().err == (
        "The table postcast_positions cannot be made in the database of POSITIONS_URL: "
        "nowhere.invalid:default port: the host's name is not known\n"
    )
