"""Our clients meet everything that a mock can do to the feed. No service is needed, and no container."""

from pathlib import Path
from typing import Final

import pytest

from edge.mock.scenarios import SCENARIOS
from integration import npm, viewers
from integration.mock_clients import held
from integration.test_mock_links import ENDS

FEED: Final = ("steady", "hole", "gaps", "storm", "large-ids", "slow-link")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what Node needs."""
    return npm.install(tmp_path_factory.mktemp("npm"), viewers.WS)


@pytest.mark.parametrize("name", FEED)
async def test_our_clients_show_what_they_ought_to(name: str, folder: Path) -> None:
    """Where no connection ends."""
    await held(name, folder)


def test_our_clients_meet_every_scenario() -> None:
    assert {*FEED, *ENDS} == set(SCENARIOS)
