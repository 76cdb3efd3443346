"""What the edge of a mock is told: nothing of the environment."""

import pytest

from edge.mock.app import settings_of
from edge.mock.arguments import parse
from edge.settings import Settings


def test_the_edge_has_its_defaults_but_for_what_the_mock_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads no variable: a mock is the same on every machine."""
    monkeypatch.setenv("HEARTBEAT_SECONDS", "7")
    monkeypatch.setenv("KAFKA_URL", "kafka://elsewhere:9092")
    found = settings_of(parse(["--window", "2"])).model_dump()
    expected = Settings.model_construct(kafka_url="kafka://127.0.0.1:9").model_dump()
    changed = {name: value for name, value in found.items() if value != expected[name]}
    assert changed == {
        "edge_host": "127.0.0.1",
        "edge_port": 0,
        "window_seconds": 2,
        "join_seconds": 0.5,
        "drain_seconds": 2,
    }


def test_heartbeats_are_as_the_scenario_needs_them() -> None:
    assert settings_of(parse(["--scenario", "silence"])).heartbeat_seconds == 1
    assert settings_of(parse([])).heartbeat_seconds == 25
