"""What the edge of a mock is told, nothing of the environment; and what ends a mock."""

import asyncio
import time
from typing import NoReturn

import pytest

from edge.access.grant import Grant, TokenRefused
from edge.mock.app import issuer_of, run, settings_of
from edge.mock.arguments import parse
from edge.mock.player import Player
from edge.mock.topic import MemoryReader
from edge.settings import Settings
from edge.signing_in import signing_in_of
from edge.telemetry import TurnTimes
from tests.edge.kit.output import Output

FOLLOWED = Player.followed


def test_the_edge_has_its_defaults_but_for_what_the_mock_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads no variable: a mock is the same on every machine."""
    monkeypatch.setenv("HEARTBEAT_SECONDS", "7")
    monkeypatch.setenv("KAFKA_URL", "kafka://elsewhere:9092")
    found = settings_of(parse(["--window", "2"]), "").model_dump()
    expected = Settings.model_construct(kafka_url="kafka://127.0.0.1:9").model_dump()
    changed = {name: value for name, value in found.items() if value != expected[name]}
    assert changed == {
        "edge_host": "127.0.0.1",
        "edge_port": 0,
        "window_seconds": 2,
        "drain_seconds": 2,
    }


def test_heartbeats_are_as_the_scenario_needs_them() -> None:
    assert settings_of(parse(["--scenario", "silence"]), "").heartbeat_seconds == 1
    assert settings_of(parse([]), "").heartbeat_seconds == 25


def test_where_there_is_a_crowd_few_clients_are_taken_in() -> None:
    """One in four windows."""
    assert settings_of(parse(["--scenario", "crowd", "--window", "0.5"]), "").join_rate == 0.5


async def test_whose_tokens_are_taken_is_known_to_the_mock_alone() -> None:
    """Its edge takes what its issuer gives, and no other mock's; who need not sign in has an hour."""
    told = parse([])
    ours, others = issuer_of(told), issuer_of(told)
    sign_in = signing_in_of(settings_of(told, ours.secret)).sign_in
    mine = ours.token("ada", [1, 2])
    assert mine is not None
    grant = await sign_in.grant(mine)
    assert isinstance(grant, Grant)
    assert grant.subject == "ada"
    assert grant.claim is not None
    assert list(grant.claim.authors) == [1, 2]
    assert grant.expires_at is not None
    assert 3500 < grant.expires_at - time.time() <= 3600
    assert isinstance(await sign_in.grant(others.token("ada") or ""), TokenRefused)


async def test_where_tokens_expire_nobody_sees_posts_without_one() -> None:
    told = parse(["--scenario", "expired-tokens", "--window", "3"])
    issuer = issuer_of(told)
    settings = settings_of(told, issuer.secret)
    assert settings.auth_required
    grant = await signing_in_of(settings).sign_in.grant(issuer.token("me") or "")
    assert isinstance(grant, Grant)
    assert grant.expires_at is not None
    assert 10 < grant.expires_at - time.time() <= 12


async def failing(_: object) -> NoReturn:
    """Fail as nothing does but by a defect."""
    raise ZeroDivisionError


async def failing_later(player: Player, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have reads fail from when the edge has read everything."""
    await FOLLOWED(player)
    monkeypatch.setattr(MemoryReader, "read", failing)


@pytest.mark.parametrize("is_ready", [False, True])
async def test_a_mock_whose_edge_fails_ends(is_ready: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries a client with it would wait for posts for ever."""
    if is_ready:
        monkeypatch.setattr(Player, "followed", lambda player: failing_later(player, monkeypatch))
    else:
        monkeypatch.setattr(MemoryReader, "bounds", failing)
    with pytest.raises(RuntimeError, match="a part of the edge ended by itself"):
        async with asyncio.timeout(30):
            await run(parse(["--port", "0"]), TurnTimes(), Output())
