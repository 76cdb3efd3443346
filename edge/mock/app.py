"""The composition of a mock: the edge as it is, the feed in memory before it, and the links behind it."""

import asyncio
import errno
import json
import os
import socket
from contextlib import AsyncExitStack
from typing import Any, Final

from pydantic import SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from edge.app import edge_serving
from edge.feed.position import before
from edge.measured import LogOutput
from edge.mock.arguments import Arguments
from edge.mock.issuer import PATH, Issuer
from edge.mock.link import Link, linked
from edge.mock.player import Player
from edge.mock.scenarios import TOKEN_WINDOWS, steps
from edge.ports import CannotListen
from edge.settings import Settings
from edge.signals import told_to_stop
from edge.telemetry import TurnTimes
from runtime.waiting import first
from streams.contract import Offset

_ADDRESS: Final = "127.0.0.1"
# In how long all clients are told to go at the end: nobody waits for a mock.
_DRAIN_SECONDS: Final = 2


class MockSettings(Settings):
    """The edge's settings, with nothing of the environment in them: a mock is the same everywhere."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings names it
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the program says, and nothing else."""
        return (init_settings,)


def issuer_of(told: Arguments) -> Issuer:
    """Return who gives tokens: for an hour, or for so short that they expire."""
    return Issuer(TOKEN_WINDOWS * told.clock.window) if told.scenario.needs_token else Issuer()


def settings_of(told: Arguments, secret: str) -> Settings:
    """Return the settings of the edge behind the links; ``secret`` signs tokens."""
    apart = told.scenario.join_windows
    return MockSettings(
        # It is never connected to.
        kafka_url=f"kafka://{_ADDRESS}:9",
        edge_host=_ADDRESS,
        edge_port=0,
        window_seconds=max(0.1, told.clock.window),
        heartbeat_seconds=told.scenario.heartbeat_seconds,
        drain_seconds=_DRAIN_SECONDS,
        join_rate=Settings.model_fields["join_rate"].default if apart is None else 1 / (apart * told.clock.window),
        jwt_secret_key=SecretStr(secret),
        auth_required=told.scenario.needs_token,
    )


async def run(told: Arguments, turns: TurnTimes, output: LogOutput) -> None:
    """Serve until SIGTERM or SIGINT; raises :class:`CannotListen`."""
    stopped = told_to_stop(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        try:
            opening = linked(told.host, told.port, told.scenario.bytes_per_second)
            link, port = await stack.enter_async_context(opening)
        except OSError as error:
            raise CannotListen(f"The mock cannot listen on {told.host}, port {told.port}: {_why(error)}.") from error
        await _serve(told, turns, output, link=link, port=port, stopped=stopped)


def _why(error: OSError) -> str:
    """Say why the system gives no port, without the place, and which option names another."""
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address; --host names another"
    return f"{os.strerror(error.errno) if error.errno else error.strerror}; --port names another"


async def _serve(
    told: Arguments, turns: TurnTimes, output: LogOutput, *, link: Link, port: int, stopped: asyncio.Event
) -> None:
    issuer = issuer_of(told)
    settings = settings_of(told, issuer.secret)
    player = Player(seed=told.seed, window=told.clock.window, waits=told.clock.posts is not None, issuer=issuer)
    parts = [
        asyncio.create_task(player.play(steps(told.scenario, told.clock), link)),
        asyncio.create_task(_announce(told, player, port)),
    ]
    try:
        while not stopped.is_set():
            player.restart.clear()
            async with edge_serving(
                settings, player.feed, turns, output, others=[issuer.route()], clock=player.now
            ) as edge:
                link.port = edge.listener.addresses[0][1]
                # What the edge has failed of is raised at its end.
                ended = asyncio.wait([edge.fault])
                await first(stopped.wait(), player.restart.wait(), ended, *(_failed(part) for part in parts))
            link.port = None
    finally:
        for part in parts:
            part.cancel()
        await asyncio.wait(parts)


async def _failed(part: asyncio.Task[None]) -> None:
    """Wait for ever, unless a part fails: that the last post was written ends nothing."""
    await asyncio.wait([part])
    part.result()
    await asyncio.get_running_loop().create_future()


async def _announce(told: Arguments, player: Player, port: int) -> None:
    """Say where it listens, to who has started it, once the edge has read what is there."""
    await player.followed()
    host = f"[{told.host}]" if ":" in told.host else told.host
    url = f"http://{host}:{port}/"
    scenario = told.scenario
    ready = {
        "url": url,
        "port": port,
        "scenario": scenario.name,
        "start": str(before(Offset(0))),
        "token_url": f"{url}{PATH.removeprefix('/')}",
    }
    line = json.dumps(ready) if told.says_json else f"ready: {url} ({scenario.name}: {scenario.sentence})"
    print(line, flush=True)  # noqa: T201 - its purpose
