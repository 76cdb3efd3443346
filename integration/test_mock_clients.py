"""Our clients meet everything that a mock can do, and have shown what it says; a client that is wrong is found wrong.

No service is needed, and no container.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import websockets
from websockets.asyncio.client import connect as connect_plain
from websockets.typing import Subprotocol

from edge import client
from edge.client import Post
from edge.mock import transcript
from edge.mock.scenarios import SCENARIOS
from integration import npm, viewers
from integration.mocks import expected, fault, mock

# 22 windows of half a second: it happens after five seconds and after ten.
CLOCK: Final = ("--rate", "20", "--window", "0.5", "--posts", "220")
PATIENCE_SECONDS: Final = 90.0
SUBPROTOCOL: Final = Subprotocol("postcast.v1")
# A poll that is never answered is given up after 75 s (docs/javascript.md): these do not wait for that.
WITHOUT_POLLS: Final = frozenset({"silence"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install what Node needs."""
    return npm.install(tmp_path_factory.mktemp("npm"), viewers.WS)


Lines = Callable[[], Any]


@asynccontextmanager
async def in_javascript(
    kind: str, folder: Path, ready: dict[str, Any], options: dict[str, Any]
) -> AsyncIterator[Lines]:
    """Follow with the JavaScript client; yield what returns its lines until now."""
    async with viewers.viewing(kind, folder, ready["url"].rstrip("/"), ready["url"], options) as viewer:

        async def lines() -> list[str]:
            await viewer.look()
            # Of states, those that say how a connection ended.
            said = [(type_, value) for type_, value in viewer.said if type_ in {"post", "gap", "state"}]
            return [f"{type_} {value}" for type_, value in said if type_ != "state" or value.startswith("waiting")]

        yield lines


@asynccontextmanager
async def in_python(ready: dict[str, Any], options: dict[str, Any]) -> AsyncIterator[Lines]:
    """Follow with the Python client."""
    shown: list[str] = []

    async def token() -> str:
        async with (
            aiohttp.ClientSession(raise_for_status=True) as session,
            session.get(ready["token_url"]) as answer,
        ):
            return await answer.text()

    async def follow(feed: client.Feed) -> None:
        async for item in feed:
            line = f"post {item.id}" if isinstance(item, Post) else f"gap {item.reason}"
            shown.append(line)

    async def lines() -> list[str]:
        if running.done():
            running.result()
        return shown

    async with client.connect(ready["url"], token=token, **options) as feed:
        running = asyncio.create_task(follow(feed))
        yield lines
        await feed.close()
        await running


@asynccontextmanager
async def following(kind: str, folder: Path, ready: dict[str, Any], **options: Any) -> AsyncIterator[Lines]:
    """Follow with a client of a kind, which has signed in, from the first post on."""
    language, _, transport = kind.partition(" ")
    options |= {"cursor": ready["start"], "transports": [transport or "websocket"]}
    if language == "python":
        viewing = in_python(ready, options)
    else:
        viewing = in_javascript(language, folder, ready, options | {"tokenUrl": ready["token_url"]})
    async with viewing as lines:
        yield lines


async def shown(kind: str, folder: Path, arguments: tuple[str, ...], last: str, **options: Any) -> list[str]:
    """Return what a client of a kind has shown of a mock of its own by the time that it has shown the last post.

    And, where the client tells, how its connections have ended, in its place.
    """
    found: list[str] = []
    async with mock(*arguments) as ready, following(kind, folder, ready, **options) as lines:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while last not in found[-3:]:
                    await asyncio.sleep(0.1)
                    found = list(await lines())
    return found


def items(lines: list[str]) -> list[str]:
    """Leave out how connections have ended."""
    return [line for line in lines if not line.startswith("state")]


KINDS: Final = ("node", "chromium", "python", "node long-polling", "python long-polling")


# How a connection ends there, as the JavaScript client tells: what does not happen proves nothing.
ENDS: Final = {
    "drops": {"1006"},
    "half-frame": {"1006"},
    "silence": {"1006"},
    "outage": {"1006"},
    "crowd": {"1006"},
    "restart": {"1001"},
    "expired-tokens": {"4501"},
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_our_clients_show_what_they_ought_to(name: str, folder: Path) -> None:
    """All at a time, each with a mock of its own. Over a WebSocket it is each line of ``--print``, and no other."""
    arguments = ("--scenario", name, *CLOCK)
    right = await expected(*arguments)
    kinds = [kind for kind in KINDS if not (kind.endswith("polling") and name in WITHOUT_POLLS)]
    said = await asyncio.gather(*(shown(kind, folder, arguments, right[-1]) for kind in kinds))
    found = {
        kind: [line for line in lines if not line.startswith("state")] for kind, lines in zip(kinds, said, strict=True)
    }
    assert {kind: transcript.fault(right, lines) for kind, lines in found.items()} == dict.fromkeys(kinds)
    for kind in kinds:
        if not kind.endswith("polling"):
            assert found[kind] == right
    for kind in ("node", "chromium"):
        ends = {line.split()[-1] for line in said[kinds.index(kind)] if line.startswith("state")}
        assert ends >= ENDS.get(name, set()), kind


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
        # Taken for two seconds more, since clocks differ.
        async with session.get(f"{ready['token_url']}?seconds=-28") as answer:
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
