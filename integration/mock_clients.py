"""Our clients, each with a mock of its own: what they have shown of a scenario, held against what they ought to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import aiohttp

from edge import client
from edge.client import Post
from edge.mock import transcript
from edge.mock.scenarios import BACKLOG
from integration import viewers
from integration.mocks import expected, mock

# 22 windows of half a second: it happens after five seconds and after ten.
CLOCK: Final = ("--rate", "20", "--window", "0.5", "--posts", "220")
# A client gives up a poll that is never answered after 75 s, and has shown the rest of "silence" after 84 s.
PATIENCE_SECONDS: Final = 150.0

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


_KINDS: Final = ("node", "chromium", "python", "node long-polling", "python long-polling")


async def held(name: str, folder: Path) -> set[str]:
    """Have clients of all kinds meet a scenario at a time, and hold what each has shown against what it ought to.

    Over a WebSocket it is each line of ``--print``, and no other. Return how connections have ended, by the word of
    those that tell: close codes, and 1006 for none.
    """
    arguments = ("--scenario", name, *CLOCK)
    right = await expected(*arguments)
    said = await asyncio.gather(*(shown(kind, folder, arguments, right[-1]) for kind in _KINDS))
    found = {kind: items(lines) for kind, lines in zip(_KINDS, said, strict=True)}
    assert {kind: transcript.fault(right, lines, backlog=BACKLOG) for kind, lines in found.items()} == dict.fromkeys(
        _KINDS
    )
    for kind in _KINDS:
        if not kind.endswith("polling"):
            assert found[kind] == right
    return {line.split()[-1] for lines in said for line in lines if line.startswith("state")}
