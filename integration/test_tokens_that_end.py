"""Tokens that expire, on a real edge: clients are told, may bring another, and lose nothing when they come too late."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.typing import Subprotocol

from integration import topics
from integration.bench.usage import are_cheap, turns_of
from integration.clients import SUBPROTOCOL
from integration.conftest import Install
from integration.fed import Feed
from integration.files import raise_file_limit
from integration.system import Process, System
from tests.events import Event, EventReader
from tests.strict import Reader

_SECRET: Final = secrets.token_hex(32)
_LEEWAY: Final = 30.0
_SOON: Final = 15 - _LEEWAY
"""When a token has expired that is good for a few seconds more: a busy machine has time to connect with it."""
_FOR_GOOD: Final = 3600.0
_SECONDS: Final = 60.0


def _token(seconds: float, *authors: int, subject: str = "7") -> str:
    claims: dict[str, Any] = {"sub": subject, "exp": int(time.time() + seconds)}
    return jwt.encode({**claims, **({"postcast": {"authors": authors}} if authors else {})}, _SECRET, "HS256")


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _posts(events: list[Event]) -> list[int]:
    return [each.message["payload"]["id"] for each in events if each.type == "message"]


class Site:
    """An edge, and the feed that it follows."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.feed = Feed(system)
        self.edge: Process = system.processes[0]

    def connect(self, token: str, query: str = "") -> connect:
        """Be a v1 client."""
        url, offered = f"{self.edge.websocket}{query}", [Subprotocol(SUBPROTOCOL)]
        return connect(url, subprotocols=offered, additional_headers=_bearer(token))

    async def events(self, token: str, query: str = "", *, posts: int) -> tuple[int, list[Event]]:
        """Read events until there are so many posts or the stream has ended; return the status, too."""
        url, reader, read = f"http://127.0.0.1:{self.edge.port}/events{query}", EventReader(), list[Event]()
        async with aiohttp.ClientSession() as session, session.get(url, headers=_bearer(token)) as answer:
            while answer.status == 200 and len(_posts(read)) < posts and (data := await answer.content.readany()):
                read += reader.feed(data)
            return answer.status, read

    async def posts(self, token: str, query: str) -> tuple[int, str | None, list[int]]:
        """Ask for a page; return the status, the next offset, and the posts."""
        url = f"http://127.0.0.1:{self.edge.port}/posts{query}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=_bearer(token)) as answer:
            ids = [each["payload"]["id"] for each in await answer.json()] if answer.status == 200 else []
            return answer.status, answer.headers.get("Stream-Next-Offset"), ids


@pytest.fixture
async def site(install: Install) -> Site:
    """Start an edge that knows the secret."""
    system = install(JWT_SECRET_KEY=_SECRET, DRAIN_SECONDS=1)
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    await asyncio.to_thread(system.edge().until_ready)
    return Site(system)


async def _to_the_end(client: ClientConnection) -> tuple[list[Any], int]:
    """Return all messages, and the close code."""
    messages: list[Any] = []
    try:
        while True:
            messages.append(json.loads(await asyncio.wait_for(client.recv(), _SECONDS)))
    except ConnectionClosed as closed:
        return messages, 1006 if closed.rcvd is None else closed.rcvd.code


def _ids(messages: list[Any]) -> list[int]:
    return [each["payload"]["id"] for each in messages if each["action"] == "created"]


async def test_a_websocket_goes_on_with_another_token_and_loses_nothing_without(site: Site) -> None:
    """One client renews, another comes too late: both see each post once, and what they may see."""
    old = _token(_SOON)
    async with site.connect(old) as renewing, site.connect(old) as late:
        await site.feed.show(2, author=1)
        await renewing.send(json.dumps({"action": "token", "id": 1, "payload": {"token": _token(_FOR_GOOD, 2)}}))
        seen: list[Any] = []
        while not seen or seen[-1]["action"] != "authorized":
            seen.append(json.loads(await asyncio.wait_for(renewing.recv(), _SECONDS)))
        assert "expires_at" in seen[-1]["payload"]
        messages, code = await _to_the_end(late)
        assert (code, [each["action"] for each in messages].count("expiring")) == (4501, 1)
        assert _ids(messages) == site.feed.ids
        before = len(site.feed.ids)
        await site.feed.show(2, author=1)
        await site.feed.show(3, author=2)
        while site.feed.ids[-1] not in _ids(seen):
            seen.append(json.loads(await asyncio.wait_for(renewing.recv(), _SECONDS)))
        behind = [each["action"] for each in seen].index("authorized")
        # What was on the feed by then may come behind the answer only if the new token allows it.
        assert _ids(seen[behind:]) == site.feed.ids[-3:]
        assert _ids(seen[:behind]) == site.feed.ids[: len(_ids(seen[:behind]))]
    newest = [each["cursor"] for each in messages if "cursor" in each][-1]
    async with site.connect(_token(_FOR_GOOD), f"?cursor={newest}") as late:
        missed = [json.loads(await asyncio.wait_for(late.recv(), _SECONDS)) for _ in range(6)]
        assert missed[0]["payload"]["recovered"] is True
        assert _ids(missed) == site.feed.ids[before:]
    async with site.connect(old, f"?cursor={newest}") as refused:
        assert await _to_the_end(refused) == ([], 4501)


async def test_events_end_and_are_refused_until_there_is_another_token(site: Site) -> None:
    old = _token(_SOON)
    asking = asyncio.create_task(site.events(old, posts=1))
    status, read = await asyncio.wait_for(asking, _SECONDS)
    assert (status, [each.type for each in read]) == (200, ["welcome", "expiring", "end"])
    assert all(each.last_event_id for each in read)
    assert read[-1].message["payload"]["code"] == 4501
    await site.feed.show(4)
    query = f"?cursor={read[-1].last_event_id}"
    assert (await site.events(old, query, posts=1))[0] == 401
    status, read = await asyncio.wait_for(site.events(_token(_FOR_GOOD), query, posts=4), _SECONDS)
    assert _posts(read) == site.feed.ids


async def test_a_long_poll_ends_with_its_token(site: Site) -> None:
    old = _token(_SOON)
    begun = time.monotonic()
    status, offset, _ = await site.posts(old, "?offset=now&live=long-poll")
    assert (status, time.monotonic() - begun < 45) == (204, True)
    await site.feed.show(2)
    assert (await site.posts(old, f"?offset={offset}&live=long-poll"))[0] == 401
    got: list[int] = []
    while len(got) < 2:
        # A poll is answered as soon as there is one.
        _, offset, ids = await site.posts(_token(_FOR_GOOD), f"?offset={offset}&live=long-poll")
        got += ids
    assert got == site.feed.ids


class Counting:
    """One of very many clients: it counts what it is told, and closes when it is asked to."""

    def __init__(self) -> None:
        self.actions: list[str] = []
        self.code = 0

    async def follow(self, port: int, token: str) -> None:
        """Be a client until the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        frames = Reader()
        try:
            writer.write(
                b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Protocol: %b\r\nAuthorization: Bearer %b\r\n\r\n"
                % (SUBPROTOCOL.encode(), token.encode())
            )
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
            while data := await reader.read(1 << 16):
                for frame in frames.feed(data):
                    if frame.opcode is Opcode.PING:
                        writer.write(Frame(Opcode.PONG, frame.data).serialize(mask=True))
                    elif frame.opcode is Opcode.CLOSE:
                        self.code = int.from_bytes(frame.data[:2])
                        writer.write(Frame(Opcode.CLOSE, frame.data[:2]).serialize(mask=True))
                    else:
                        self.actions.append(json.loads(bytes(frame.data))["action"])
        except ConnectionResetError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def _following(edge: Process, token: str, count: int) -> AsyncIterator[list[Counting]]:
    """Have so many clients come, and wait until each was welcomed."""
    clients = [Counting() for _ in range(count)]
    tasks = []
    try:
        for number, client in enumerate(clients):
            tasks.append(asyncio.create_task(client.follow(edge.port, token)))
            while number % 50 == 49 and not client.actions:
                await asyncio.sleep(0.005)
        while not all(client.actions for client in clients):
            await asyncio.sleep(0.05)
        yield clients
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


@pytest.mark.parametrize(
    ("count", "seconds"), [(300, 15), pytest.param(10_000, 120, marks=pytest.mark.endurance, id="many")]
)
async def test_tokens_that_end_together_make_no_long_turn(install: Install, count: int, seconds: float) -> None:
    """Neither when their clients are told nor when they are closed; no turn takes more than 20 ms of CPU time."""
    raise_file_limit()
    system = install(JWT_SECRET_KEY=_SECRET, JOIN_RATE=0)
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    edge = system.edge()
    await asyncio.to_thread(edge.until_ready)
    before = await turns_of(edge)
    ends_at = time.monotonic() + seconds
    async with _following(edge, _token(seconds - _LEEWAY), count) as clients:
        async with asyncio.timeout(seconds + 60):
            while not all(client.code for client in clients):
                await asyncio.sleep(0.05)
        took = time.monotonic() - ends_at
    after = await turns_of(edge)
    assert {client.code for client in clients} == {4501}
    assert [client.actions.count("expiring") for client in clients] == [1] * count
    assert took < 30, took
    assert are_cheap(before, after), (before, after)
