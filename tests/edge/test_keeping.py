"""What stores positions is made of the settings; the table, by a command."""

import socket
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge.keeping import create, keeper_of
from edge.positions.keeper import Keeper
from edge.positions_settings import PositionsSettings
from tests.edge.kit.tokens import SECRET


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
    assert keeper_of(told("")) is None
    assert isinstance(keeper_of(told("postgres://u@db/positions")), Keeper)


def test_the_command_says_what_it_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 and a sentence, in which no password is."""
    assert create(told("")) == 1
    assert capsys.readouterr().err == "POSITIONS_URL is missing: it says in which database the table is to be.\n"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert create(told(f"postgres://u:keep-it@127.0.0.1:{taken.getsockname()[1]}/positions")) == 1
    said = capsys.readouterr()
    assert said.err.startswith("The table postcast_positions cannot be made: ")
    assert "keep-it" not in said.err
    assert said.out == ""
