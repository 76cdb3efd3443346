"""Our clients meet everything that a mock can do to connections, and one that is wrong is found wrong.

No service is needed, and no container.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import connect as connect_plain
from websockets.typing import Subprotocol

from integration import npm, viewers
from integration.mock_clients import CLOCK, PATIENCE_SECONDS, held, items, shown
from integration.mocks import expected, fault, mock

SUBPROTOCOL: Final = Subprotocol("postcast.v1")
ENDS: Final = {
    "drops": {"1006"},
    "half-frame": {"1006"},
    "silence": {"1006"},
    "outage": {"1006"},
    "crowd": {"1006"},
    "restart": {"1001"},
    "expired-tokens": {"4501"},
}
"""How connections end there, as the JavaScript client tells: what does not happen proves nothing."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what Node needs."""
    return npm.install(tmp_path_factory.mktemp("npm"), viewers.WS)


@pytest.mark.parametrize("name", ENDS)
async def test_our_clients_show_what_they_ought_to(name: str, folder: Path) -> None:
    """However their connections end; and they do end so."""
    assert await held(name, folder) >= ENDS[name]


async def test_a_filter_is_held_against_the_posts_of_its_authors(folder: Path) -> None:
    """Through messages of which half is lost."""
    arguments = ("--scenario", "half-frame", *CLOCK)
    right = await expected(*arguments, "--author", "1", "--author", "2")
    kinds = ("node", "python", "python long-polling")
    said = await asyncio.gather(*(shown(kind, folder, arguments, right[-1], author=[1, 2]) for kind in kinds))
    assert [items(lines) for lines in said] == [right] * len(kinds)


async def forgetful(url: str, *, pause: float = 1) -> AsyncIterator[str]:
    """Follow as a client does that comes back, after a while, without its cursor."""
    while True:
        with suppress(OSError, websockets.WebSocketException):
            async with connect_plain(url.replace("http", "ws")) as socket:
                async for text in socket:
                    message = json.loads(text)
                    if message["action"] == "created":
                        yield f"post {message['payload']['id']}"
        await asyncio.sleep(pause)


def greedy(url: str) -> AsyncIterator[str]:
    """Follow as a client does that asks for history whenever it comes, and comes at once."""
    return forgetful(f"{url}?history=20", pause=0)


async def until(last: str, client: Callable[[str], AsyncIterator[str]], *arguments: str) -> list[str]:
    """Return what a client has shown of a mock by the time that it has shown the last post."""
    lines: list[str] = []
    async with mock(*arguments) as ready, asyncio.timeout(PATIENCE_SECONDS):
        async for line in client(ready["url"]):
            lines.append(line)
            if line == last:
                break
    return lines


async def test_in_a_crowd_a_client_is_told_when_there_is_room() -> None:
    """One is taken in, and who comes right behind it is told how long to wait."""
    async with mock("--scenario", "crowd", "--window", "20") as ready:
        url = f"{ready['url'].replace('http', 'ws')}?cursor={ready['start']}"
        async with connect_plain(url, subprotocols=[SUBPROTOCOL]) as first:
            assert json.loads(await first.recv())["action"] == "welcome"
            async with connect_plain(url, subprotocols=[SUBPROTOCOL]) as second:
                with pytest.raises(websockets.ConnectionClosed):
                    await second.recv()
                assert second.close_code == 4001
                assert second.close_reason is not None
                assert re.search(r"retry_after=\d", second.close_reason)


async def test_a_client_that_brings_no_other_token_is_told_when_its_own_has_run_out() -> None:
    """It is told before, and ended with 4501 once the last one has; without a token it is never let in."""
    async with mock("--scenario", "expired-tokens", *CLOCK) as ready, aiohttp.ClientSession() as session:
        url = f"{ready['url'].replace('http', 'ws')}?cursor={ready['start']}"
        async with connect_plain(url, subprotocols=[SUBPROTOCOL]) as socket:
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4501
        # Taken for six seconds more, since clocks differ.
        async with session.get(f"{ready['token_url']}?seconds=-24") as answer:
            headers = {"Authorization": f"Bearer {await answer.text()}"}
        heard: list[str] = []
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            connect_plain(url, subprotocols=[SUBPROTOCOL], additional_headers=headers) as socket,
        ):
            with suppress(websockets.ConnectionClosed):
                async for text in socket:
                    message = json.loads(text)
                    heard.append(message["action"])
            assert socket.close_code == 4501
        assert heard[0] == "welcome"
        assert heard.count("expiring") == 1


async def test_a_client_that_is_wrong_is_found_wrong() -> None:
    """It forgets its cursor, or asks for history instead, or hides a gap that it was told of."""
    # Connections end once, and there is time to come back before the last post.
    drops, hole = (("--scenario", name, *CLOCK[:-1], "180") for name in ("drops", "hole"))
    right = await expected(*drops)
    forgot, again = await asyncio.gather(*(until(right[-1], each, *drops) for each in (forgetful, greedy)))
    assert "is missing before" in str(await fault(drops, forgot))
    assert "comes again" in str(await fault(drops, again))
    hidden = [line for line in await expected(*hole) if not line.startswith("gap")]
    assert "gap interrupted is missing before" in str(await fault(hole, hidden))
    assert await fault(drops, right) is None
