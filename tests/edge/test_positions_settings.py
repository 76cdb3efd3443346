"""What the edge can be told about stored positions: every wrong value is a sentence, and no password is in one."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from edge.positions_settings import PositionsSettings
from tests.edge.kit.environment import forget
from tests.edge.kit.tokens import SECRET

URL = "postgres://edge:keep-it@db:5432/positions"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget(monkeypatch, PositionsSettings, tmp_path)


def told(**settings: Any) -> PositionsSettings:
    """Make settings."""
    return PositionsSettings(kafka_url="kafka://kafka:9092", **settings)


def test_without_a_database_no_positions_are_stored() -> None:
    assert told().positions is None


def test_positions_are_in_a_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its URL may be in a file, as any secret."""
    settings = told(positions_url=SecretStr(URL), jwt_secret_key=SecretStr(SECRET))
    assert settings.positions is not None
    assert (settings.positions.hosts, settings.positions.name) == ((("db", 5432),), "positions")
    assert "keep-it" not in repr(settings)
    (tmp_path / "url").write_text(f"{URL}\n")
    monkeypatch.setenv("POSITIONS_URL_FILE", str(tmp_path / "url"))
    assert told(jwt_secret_key=SecretStr(SECRET)).positions == settings.positions


@pytest.mark.parametrize("url", ["mysql://u:keep-it@db/x", "postgres://u:keep-it@db/x?sslmod=disable"])
def test_a_wrong_url_is_a_sentence_without_it(url: str) -> None:
    with pytest.raises(ValidationError) as wrong:
        told(positions_url=SecretStr(url), jwt_secret_key=SecretStr(SECRET))
    [error] = wrong.value.errors()
    assert error["loc"] == ("positions_url",)
    assert "keep-it" not in error["msg"]


def test_where_nobody_can_sign_in_nobody_has_a_position() -> None:
    with pytest.raises(ValidationError, match="set JWT_SECRET_KEY, JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL, or"):
        told(positions_url=SecretStr(URL))
