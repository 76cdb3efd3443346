"""Acknowledged positions in a real PostgreSQL: the port's word, rights, and a database that goes and comes back."""

import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from edge.client import Feed, Post, connect
from edge.positions.device import DEVICES, Key
from edge.positions.postgres import PostgresStore
from edge.positions.store import Away, Row
from edge.positions.table import NAME, RIGHTS
from integration import fed, npm, topics, viewers
from integration.conftest import Install
from integration.database import Database
from integration.services import Services
from integration.stored import until_stored
from integration.system import Process, System
from integration.test_clients import show
from runtime.database_url import parse
from tests.edge.kit.tokens import SECRET, flask
from tests.edge.positions import contract
from tests.strict import StrictConnection

PHONE = Key("alice", "phone")


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresStore]:
    """Return a store whose table was made."""
    store = PostgresStore(parse(database.url))
    await store.create()
    yield store
    await store.close()


@pytest.mark.parametrize("promise", contract.CONTRACT, ids=lambda promise: promise.__name__)
async def test_postgresql_keeps_the_ports_word(store: PostgresStore, promise: contract.Promise) -> None:
    await promise(store)


async def test_edges_that_store_the_same_devices_do_not_stand_in_each_others_way(database: Database) -> None:
    """Many rows at once, in different orders: nobody waits for ever, and the one that is further on stays."""
    edges = [PostgresStore(parse(database.url)) for _ in range(4)]
    await edges[0].create()
    keys = [Key(f"user-{number:03}", "phone") for number in range(300)]
    try:
        for round_ in range(5):
            rows = [[Row(key, contract.place(10 * round_ + edge)) for key in keys] for edge in range(len(edges))]
            orders = [mine if number % 2 else mine[::-1] for number, mine in enumerate(rows)]
            await asyncio.gather(*(edge.write(mine) for edge, mine in zip(edges, orders, strict=True)))
        assert await edges[0].read(keys) == dict.fromkeys(keys, contract.place(43))
    finally:
        for edge in edges:
            await edge.close()


async def test_edges_that_replace_the_same_positions_do_not_stand_in_each_others_way(database: Database) -> None:
    """The feed was made anew: beside many other rows, where PostgreSQL finds those few by its index, in any order."""
    edges = [PostgresStore(parse(database.url)) for _ in range(2)]
    await edges[0].create()
    there = contract.place(1_000_000)
    await database.connection.execute(
        f"INSERT INTO {NAME} SELECT 'user-' || lpad(number::text, 5, '0'), 'phone', $1 "  # noqa: S608 - no stranger's
        "FROM generate_series(0, 19999) AS number",
        there,
    )
    await database.connection.execute(f"ANALYZE {NAME}")
    keys = [Key(f"user-{number:05}", "phone") for number in range(0, 20_000, 20)]
    try:
        for round_ in range(10):
            place = contract.place(1000 - round_)
            # By turns all of them by both edges, and half of them by each, which simply stores the other half.
            batches = [
                [Row(key, place, there if number % 2 == edge or round_ % 2 else "") for number, key in enumerate(keys)]
                for edge in range(2)
            ]
            batches[0].reverse()
            await asyncio.gather(*(edge.write(batch) for edge, batch in zip(edges, batches, strict=True)))
            assert await edges[0].read(keys) == dict.fromkeys(keys, place)
            there = place
    finally:
        for edge in edges:
            await edge.close()


async def test_a_device_that_another_edge_stores_just_now_gives_no_place_to_a_new_one(
    store: PostgresStore, database: Database
) -> None:
    """It is not the oldest any more: nobody waits for it, and one that comes later takes the oldest one's place."""
    devices = [Key("alice", f"device-{number:02}") for number in range(DEVICES)]
    for key in devices:
        await store.write([Row(key, contract.place(1))])
    async with database.connection.transaction():
        await database.connection.execute(
            f"UPDATE {NAME} SET position = $1, stored_at = now() WHERE device = 'device-00'",  # noqa: S608 - no stranger's
            contract.place(2),
        )
        await store.write([Row(PHONE, contract.place(1))])
    await store.write([Row(contract.TABLET, contract.place(1))])
    found = await store.read([*devices, PHONE, contract.TABLET])
    assert set(found) == {*devices, PHONE, contract.TABLET} - {devices[1], devices[2]}


class Installed(NamedTuple):
    """Two edges with a database of positions, and how its owner reaches it."""

    system: System
    owner: str


def _positions(url: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m edge positions``, as an operator does."""
    environment = {"KAFKA_URL": "kafka://127.0.0.1:9", "POSITIONS_URL": url, "JWT_SECRET_KEY": SECRET}
    return subprocess.run(
        [sys.executable, "-m", "edge", "positions", *command],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


async def _execute(url: str, statement: str) -> None:
    """Ask on a connection of its own: others end with the server."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@asynccontextmanager
async def _role(owner: str) -> AsyncIterator[tuple[str, str, str]]:
    """Make a role of the edge's own; yield its name, its password and the database's URL with them."""
    name, password = f"edge_{secrets.token_hex(4)}", secrets.token_hex(16)
    await _execute(owner, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    scheme, _, rest = owner.partition("://")
    try:
        yield name, password, f"{scheme}://{name}:{password}@{rest.rpartition('@')[2]}"
    finally:
        await _execute(owner, f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_an_edge_needs_the_rights_that_the_command_names_and_says_what_it_lacks(database: Database) -> None:
    """The table, then the rights; the command can be repeated, and nothing has a password in it."""
    async with _role(database.url) as (role, password, url):
        store = PostgresStore(parse(url))
        with pytest.raises(Away, match=f"there is no table {NAME}: make it with python -m edge positions create"):
            await store.write([])
        for _ in range(2):
            made = await asyncio.to_thread(_positions, database.url, "create")
            assert (made.returncode, made.stderr) == (0, "")
        with pytest.raises(Away, match=f"the role needs {RIGHTS} on {NAME}"):
            await store.read([PHONE])
        grant = made.stdout.splitlines()[-1]
        assert grant == f"GRANT {RIGHTS} ON {NAME} TO the_edges_role;"
        await database.connection.execute(grant.replace("the_edges_role", role))
        for promise in contract.CONTRACT:
            await database.connection.execute(f"TRUNCATE {NAME}")
            await promise(store)
        await store.close()
        refused = await asyncio.to_thread(_positions, url.replace(password, "wrong"), "create")
        assert refused.returncode == 1
        assert f"The table {NAME} cannot be made in the database of POSITIONS_URL: 127.0.0.1:" in refused.stderr
        assert password not in made.stdout + refused.stderr
        assert "wrong" not in refused.stderr


@pytest.fixture
async def installed(services: Services, install: Install) -> AsyncIterator[Installed]:
    """Two edges with a database of positions, and a feed that no worker writes."""
    name = f"positions_{secrets.token_hex(4)}"
    await _execute(services.postgres.url, f"CREATE DATABASE {name}")
    base, _, rest = services.postgres.url.rpartition("/")
    owner = f"{base}/{name}{rest[rest.index('?') :] if '?' in rest else ''}"
    try:
        async with _role(owner) as (role, password, url):
            assert (await asyncio.to_thread(_positions, owner, "create")).returncode == 0
            await _execute(owner, f"GRANT {RIGHTS} ON {NAME} TO {role}")
            system = install(POSITIONS_URL=url, JWT_SECRET_KEY=SECRET, ACK_SECONDS=1, DRAIN_SECONDS=2)
            await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
            edges = [system.edge(), system.edge()]
            for edge in edges:
                await asyncio.to_thread(edge.until_ready)
            yield Installed(system, owner)
            for edge in edges:
                await asyncio.to_thread(edge.close)
                said = edge.log.read_text("utf-8")
                assert password not in said
                assert "alice" not in said
    finally:
        await _execute(services.postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


class Viewer:
    """A device that acknowledges when it is told to."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.cursor = ""

    async def hear(self, action: str) -> Any:
        """Return the next message with an action; remember where it stands."""
        async with asyncio.timeout(60):
            while True:
                message = json.loads(await self.connection.recv())
                self.cursor = message.get("cursor", self.cursor)
                if message["action"] == action:
                    return message

    async def posts(self, count: int) -> list[int]:
        """Return so many posts."""
        return [(await self.hear("created"))["payload"]["id"] for _ in range(count)]

    async def acknowledge(self) -> None:
        """Say that all was dealt with."""
        await self.connection.send(json.dumps({"action": "ack", "payload": {"cursor": self.cursor}}))


@asynccontextmanager
async def viewing(edge: Process, query: str = "?device=phone") -> AsyncIterator[Viewer]:
    """Connect as alice's device."""
    bearer = {"Authorization": f"Bearer {flask('alice', at=time.time())}"}
    async with websockets.connect(
        f"{edge.websocket}{query}", additional_headers=bearer, create_connection=StrictConnection, open_timeout=60
    ) as connection:
        yield Viewer(connection)


async def _refused(edge: Process) -> int:
    """Be told when to come back."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with viewing(edge):
            pass
    assert "Retry-After" in refused.value.response.headers
    return refused.value.response.status_code


async def test_a_device_goes_on_on_another_edge_although_the_database_was_killed(
    installed: Installed, services: Services
) -> None:
    """The feed goes on meanwhile, and edges stay ready; what was acknowledged is stored when the database is back."""
    system = installed.system
    first, other = system.processes
    async with viewing(first, "?device=phone&history=0") as viewer:
        await show(system, [1], [2])
        assert await viewer.posts(2) == [1, 2]
        await viewer.acknowledge()
        assert (await viewer.hear("acked"))["payload"] == {"position": viewer.cursor}
        await asyncio.to_thread(services.postgres.kill)
        try:
            await show(system, [3])
            assert await viewer.posts(1) == [3]
            await viewer.acknowledge()
            away = "postcast_edge_positions_reachable"
            await asyncio.to_thread(first.until, lambda: first.metric(away) == 0, "notices it")
            assert first.metric("postcast_edge_positions_waiting") == 1
            assert await _refused(other) == 503
            assert [edge.ask("/readyz")[0] for edge in (first, other)] == [200, 200]
            # It brings its cursor: it needs nobody's word.
            async with viewing(other, f"?device=phone&cursor={viewer.cursor}") as known:
                assert (await known.hear("welcome"))["payload"]["recovered"] is True
        finally:
            await asyncio.to_thread(services.postgres.start)
        acked = await viewer.hear("acked")
        assert acked["payload"] == {"position": viewer.cursor}
    await show(system, [4])
    async with viewing(other, "?device=phone&history=9") as viewer:
        welcome = (await viewer.hear("welcome"))["payload"]
        assert (welcome["recovered"], welcome["cursor"]) == (True, acked["payload"]["position"])
        assert await viewer.posts(1) == [4]
    for edge in (first, other):
        assert len(edge.events("positions.away")) == len(edge.events("positions.there")) == 1


async def test_an_edge_that_stops_stores_what_its_clients_have_said(installed: Installed) -> None:
    """Before it goes, also what was said a moment before."""
    system = installed.system
    stopping, other = system.processes
    async with viewing(stopping, "?device=phone&history=0") as viewer:
        await show(system, [5])
        assert await viewer.posts(1) == [5]
        # Two, so that the second waits for the clock if the first was written at once.
        await viewer.acknowledge()
        await show(system, [6])
        assert await viewer.posts(1) == [6]
        await viewer.acknowledge()
        await asyncio.to_thread(
            stopping.until, lambda: stopping.metric("postcast_edge_requests_total", action="ack") == 2, "has heard both"
        )
        assert await asyncio.to_thread(stopping.terminate) == 0
    assert stopping.events("positions.lost") == []
    await show(system, [7])
    async with viewing(other) as again:
        assert (await again.hear("welcome"))["payload"]["cursor"] == viewer.cursor
        assert await again.posts(1) == [7]


async def test_a_database_that_hangs_is_said_to_be_away(installed: Installed, services: Services) -> None:
    """Nothing is acknowledged that would tell the edge so, and clients are sent away before a statement has failed."""
    edge = installed.system.processes[0]
    reachable = "postcast_edge_positions_reachable"
    await asyncio.to_thread(services.postgres.pause)
    try:
        assert await _refused(edge) == 503
        await asyncio.to_thread(edge.until, lambda: edge.metric(reachable) == 0, "notices it")
    finally:
        await asyncio.to_thread(services.postgres.resume)
    await asyncio.to_thread(edge.until, lambda: edge.metric(reachable) == 1, "notices that it is there")
    async with viewing(edge) as viewer:
        assert (await viewer.hear("welcome"))["payload"]["recovered"] is True


@pytest.mark.parametrize("brings", ["", "&cursor=0000000000g0000001ddviopfpqa78j5"], ids=["nothing", "a newer cursor"])
async def test_a_feed_that_was_made_anew_is_said_once_and_the_position_replaced(
    installed: Installed, brings: str
) -> None:
    """The position of the old feed lies far behind the end of the new one."""
    system = installed.system
    first, other = system.processes
    gone = "0000000000fg00000bnmuorvifecqjjp"
    store = PostgresStore(parse(installed.owner))
    await store.write([Row(PHONE, gone)])
    async with viewing(first, f"?device=phone{brings}") as viewer:
        welcome = (await viewer.hear("welcome"))["payload"]
        assert (welcome["recovered"], welcome["reason"]) == (False, "unknown")
        await show(system, [8])
        assert await viewer.posts(1) == [8]
        await viewer.acknowledge()
        # What the client has brought is not what is stored: that is found out behind the answer.
        assert (await viewer.hear("acked"))["payload"] == {"position": gone if brings else viewer.cursor}
        assert viewer.cursor < gone
        await until_stored(store, PHONE, viewer.cursor)
    await store.close()
    async with viewing(other) as again:
        welcome = (await again.hear("welcome"))["payload"]
        assert (welcome["recovered"], welcome["cursor"]) == (True, viewer.cursor)


async def _until_live(feed: Feed) -> None:
    async with asyncio.timeout(60):
        while feed.state != "live":
            await asyncio.sleep(0.02)


async def _ids(feed: Feed, last: int) -> list[int]:
    """Iterate up to a post, which is in hand then and not handled."""
    ids: list[int] = []
    async with asyncio.timeout(60):
        async for item in feed:
            assert isinstance(item, Post)
            ids.append(item.id)
            if item.id == last:
                break
    return ids


async def test_our_python_client_goes_on_with_nothing_but_its_device(installed: Installed) -> None:
    """It acknowledges what it has handled, also at its end; what it had in hand comes again, on another edge."""
    first, other = installed.system.processes
    token = flask("alice", at=time.time())
    async with connect(first.websocket, token=token, device="py") as feed:
        await _until_live(feed)
        await show(installed.system, [11], [12], [13])
        assert await _ids(feed, 13) == [11, 12, 13]
    store = PostgresStore(parse(installed.owner))
    await until_stored(store, Key("alice", "py"), feed.cursor)
    await store.close()
    await show(installed.system, [14])
    async with connect(other.websocket, token=token, device="py") as feed:
        assert await _ids(feed, 14) == [13, 14]


async def test_our_javascript_client_does_so_too(installed: Installed, tmp_path: Path) -> None:
    """It acknowledges as it goes."""
    folder = await asyncio.to_thread(npm.install, tmp_path, viewers.WS)
    first, other = installed.system.processes
    options = {"token": flask("alice", at=time.time()), "device": "js"}
    shown = fed.Feed(installed.system)
    async with viewers.viewing("node", folder, "", first.websocket, options) as viewer:
        await viewer.until(lambda: viewer.state == "live", "live")
        await shown.show(3)
        await shown.until_shown(viewer)
        await asyncio.to_thread(first.until, lambda: first.metric("postcast_edge_acknowledging") == 1, "hears of it")
        await asyncio.to_thread(
            first.until, lambda: first.metric("postcast_edge_unacknowledged_seconds") == 0, "has heard of all"
        )
        async with aiohttp.ClientSession() as session, session.head(f"http://127.0.0.1:{first.port}/posts") as answer:
            end = answer.headers["Stream-Next-Offset"]
        store = PostgresStore(parse(installed.system.environment["POSITIONS_URL"]))
        await until_stored(store, Key("alice", "js"), end)
        await store.close()
    missed = fed.Feed(installed.system)
    await missed.show(2)
    async with viewers.viewing("node", folder, "", other.websocket, options) as viewer:
        await missed.until_shown(viewer)
