"""Who is taken in, and where in the feed, with real clients on loopback; only the feed is a double."""

import asyncio
import gc
import json
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import pytest
import structlog

from edge.access.addresses import parse_networks
from edge.access.grant import TokenRefused
from edge.feed.position import before
from streams.contract import Offset
from tests.edge.kit.edge import Edge, posts, serving
from tests.edge.kit.listening import RULES, gate
from tests.edge.kit.pair import connecting
from tests.edge.kit.positions import MemoryStore
from tests.edge.kit.records import publication, record
from tests.edge.kit.refused import refusal
from tests.edge.kit.sign_in import MemorySignIn, granted
from tests.edge.kit.streams import listening_to
from tests.strict import Handshake


async def test_a_client_starts_at_the_end_that_kafka_knows() -> None:
    """Law 9: what was in the feed when it connected is not shown to it, also when the log is late."""
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        joining = asyncio.create_task(edge.connect().__aenter__())
        await edge.feed.asked.wait()
        edge.feed.pending.append(record(2))
        edge.feed.catch_up()
        client = await joining
        edge.feed.publish(3)
        assert await posts(client, 2) == [2, 3]
        await client.close()


async def test_a_cursor_from_an_edge_that_is_ahead_is_waited_for() -> None:
    """Kafka says that the record exists, so this edge will have read it in a moment."""
    async with serving() as ahead, serving() as behind:
        async with ahead.connect("?history=0") as client:
            ahead.feed.publish(1, 2)
            cursor = [json.loads(await client.recv()) for _ in range(2)][1]["cursor"]
        behind.feed.pending.append(record(1, 2))
        joining = asyncio.create_task(behind.connect(f"?cursor={cursor}").__aenter__())
        await behind.feed.asked.wait()
        behind.feed.catch_up()
        client = await joining
        assert json.loads(await client.recv())["payload"]["recovered"] is True
        assert await posts(client, 1) == [2]
        await client.close()


async def test_a_cursor_beyond_what_one_broker_knows_is_no_gap() -> None:
    """Law 13: that broker was deposed. The edge waits for what the others know of, and says 503 when that is long."""
    async with serving() as ahead, serving(join_seconds=0.2) as behind:
        async with ahead.connect("?history=0") as client:
            ahead.feed.publish(1, 2)
            cursor = [json.loads(await client.recv()) for _ in range(2)][1]["cursor"]
        behind.feed.unseen = 1
        assert await refusal(behind, f"?cursor={cursor}") == (503, "The feed cannot be followed now. Try again.\n", "1")
        behind.feed.asked.clear()
        joining = asyncio.create_task(behind.connect(f"?cursor={cursor}").__aenter__())
        await behind.feed.asked.wait()
        behind.feed.pending.append(record(1, 2))
        behind.feed.catch_up()
        client = await joining
        assert json.loads(await client.recv())["payload"]["recovered"] is True
        assert await posts(client, 1) == [2]
        await client.close()


async def test_without_a_majority_nothing_is_said_of_a_cursor_that_is_ahead() -> None:
    """Law 13: 503, and the client keeps its cursor; who is not ahead is let in all the same."""
    async with serving() as edge:
        edge.feed.publish(1)
        edge.feed.confirms = False
        sentence = "The feed cannot be followed now. Try again.\n"
        assert await refusal(edge, f"?cursor={before(Offset(9))}") == (503, sentence, "1")
        async with edge.connect(f"?cursor={before(Offset(1))}") as client:
            assert json.loads(await client.recv())["payload"]["recovered"] is True


async def test_nobody_joins_while_kafka_cannot_say_where_the_feed_ends() -> None:
    """Law 9: 503 and when to try again; who has a cursor that the log knows is served all the same."""
    async with serving() as edge:
        edge.feed.publish(1)
        edge.feed.trouble = "Kafka does not answer."
        assert (await edge.get("/readyz"))[:2] == (200, "Kafka does not answer.\n")
        edge.feed.unready = "Kafka does not answer."
        sentence = "The feed cannot be followed now. Kafka does not answer.\n"
        assert await refusal(edge) == (503, sentence, "1")
        assert (await edge.get("/readyz"))[:2] == (503, "Kafka does not answer.\n")
        async with edge.connect(f"?cursor={before(Offset(0))}") as client:
            await client.recv()
            assert await posts(client, 1) == [1]


async def test_nobody_waits_for_long() -> None:
    """A log that does not get to the feed's end in time is a reason to try elsewhere."""
    async with serving(join_seconds=0.01) as edge:
        edge.feed.pending.append(record(1))
        assert await refusal(edge) == (503, "The feed cannot be followed now. Try again.\n", "1")


async def test_a_client_sees_what_it_has_selected() -> None:
    """Plain or not, in the history and live; what it does not see moves its position on all the same."""
    async with serving() as edge:
        edge.feed.publish(*(publication(n, author=n) for n in range(1, 10)))
        async with edge.connect("?author=2,11&author=4") as plain, edge.connect("?history=1&author=2,4") as knowing:
            welcome, post = [json.loads(await knowing.recv()) for _ in range(2)]
            assert (welcome["action"], post["payload"]["id"]) == ("welcome", 4)
            edge.feed.publish(publication(10, author=9))
            edge.feed.publish(publication(11, author=11), publication(12, author=4))
            assert await posts(plain, 2) == [11, 12]
            assert await posts(knowing, 1) == [12]
            while edge.hub.lagging:
                await asyncio.sleep(0)


async def test_filters_have_so_many_authors_in_all() -> None:
    """Equal filters count once; beyond that 503, until somebody who has one leaves."""
    async with serving(max_authors=3) as edge, edge.connect("?author=1,2,3"), edge.connect("?author=3,2,1"):
        sentence = "The server has as many authors in filters as it takes. Try again.\n"
        assert await refusal(edge, "?author=1") == (503, sentence, "1")
        assert edge.reception.selections.authors == 3
    async with serving(max_authors=3) as edge:
        async with edge.connect("?author=1,2,3"):
            pass
        await edge.hub.deserted.wait()
        gc.collect()
        async with edge.connect("?author=1"):
            assert edge.reception.selections.authors == 1


async def test_nobody_is_let_in_during_the_shutdown() -> None:
    """Another edge takes who comes now."""
    async with serving() as edge:
        await edge.server.drain(0)
        assert await refusal(edge) == (503, "The server is shutting down.\n", "1")


async def test_who_waits_for_the_feeds_end_as_the_shutdown_begins_is_refused() -> None:
    """Another edge takes it; nothing is awaited between the last look and the 101."""
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        refused = asyncio.create_task(refusal(edge))
        await edge.feed.asked.wait()
        await edge.server.drain(0)
        edge.feed.catch_up()
        assert await refused == (503, "The server is shutting down.\n", "1")


async def test_a_client_that_is_gone_before_its_101_leaves_nothing() -> None:
    """It waited for the feed, and went away."""
    async with serving() as edge:
        edge.feed.pending.append(record(1))
        plain = socket.create_connection(("127.0.0.1", edge.port))
        plain.sendall(Handshake().request)
        plain.close()
        assert (await edge.get("/livez"))[0] == 200
        edge.feed.catch_up()
        assert (await edge.get("/livez"))[0] == 200
        assert len(edge.hub) == 0


async def test_a_client_that_goes_while_it_waits_is_nobodys_error(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged, and nobody is left behind, whether the edge has seen that it went or not."""
    async with serving() as edge:
        for seen in (True, False):
            edge.feed.asked.clear()
            edge.feed.pending.append(record(1))
            plain = socket.create_connection(("127.0.0.1", edge.port))
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            plain.sendall(Handshake().request)
            await edge.feed.asked.wait()
            plain.close()
            while seen and edge.gate.census.connections:
                await asyncio.sleep(0)
            edge.feed.catch_up()
            while edge.gate.census.connections:
                await asyncio.sleep(0)
        assert len(edge.hub) == 0
    assert caplog.records == []


async def test_above_the_limit_is_503_and_probes_are_answered() -> None:
    """With the time after which to try again; who leaves makes room."""
    async with serving(through=gate(total=1)) as edge:
        async with edge.connect():
            sentence = "The server has as many connections as it takes. Try again.\n"
            assert await refusal(edge) == (503, sentence, "1")
            assert (await edge.get("/livez"))[0] == 200
        await edge.hub.deserted.wait()
        while edge.gate.census.connections:
            await asyncio.sleep(0)
        async with edge.connect() as client:
            edge.feed.publish(1)
            assert await posts(client, 1) == [1]
            # Two clients and this request.
            _, text, _ = await edge.get("/metrics")
        assert {'postcast_edge_limited_total{limit="connections"} 3.0', "postcast_edge_sockets_limit 1.0"} <= set(
            text.splitlines()
        )


CROWDED = (429, "There are too many connections from your address. Close one first.\n", "10")


async def test_above_an_addresss_limit_is_429() -> None:
    """The address is the peer's, whatever the client says."""
    async with serving(through=gate(per_address=1)) as edge, edge.connect():
        assert await refusal(edge, forwarded_for="192.0.2.1") == CROWDED


async def test_behind_a_trusted_proxy_each_client_has_its_own_limit() -> None:
    """And the proxy none: what it says of its clients counts."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.0/8"))
    with structlog.testing.capture_logs() as logged:
        async with (
            serving(through=gate(rules, per_address=1)) as edge,
            edge.connect(forwarded_for="192.0.2.1"),
            edge.connect(forwarded_for="192.0.2.2"),
        ):
            assert await refusal(edge, forwarded_for="203.0.113.1, 192.0.2.1, 127.0.0.2") == CROWDED
    assert [each["peer"] for each in logged if each["event"] == "session.opened"] == ["192.0.2.1", "192.0.2.2"]


async def test_connections_of_a_trusted_proxy_are_not_its_own_before_anything_was_asked() -> None:
    """Two are open, neither has said for whom: each is somebody else's in the end."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.0/8"))
    async with serving(through=gate(rules, per_address=1)) as edge, connecting(edge) as one, connecting(edge) as other:
        while edge.gate.census.connections < 2:
            await asyncio.sleep(0)
        for number, peer in enumerate((one, other), 1):
            head = Handshake().request.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n" % number)
            await peer.send(head)
            assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(("total", "per_address", "status"), [(1, 0, b"503"), (100, 1, b"429")])
async def test_a_connection_of_which_there_are_too_many_is_closed_by_the_server(
    total: int, per_address: int, status: bytes
) -> None:
    """It holds a place until it is gone; the answer says that it will be."""
    through = gate(total=total, per_address=per_address)
    async with serving(through=through) as edge, edge.connect(), connecting(edge) as peer:
        await peer.send(Handshake().request)
        head = await peer.read_head()
        assert head.startswith(b"HTTP/1.1 %b " % status)
        assert b"\r\nConnection: close\r\n" in head
        assert (await peer.read_all()).endswith(b".\n")


async def test_a_trusted_proxy_that_says_nothing_has_no_limit_of_its_own() -> None:
    """Nor one that says only who it is, or that it does not know."""
    rules = replace(RULES, trusted=parse_networks("127.0.0.0/8"))
    async with (
        serving(through=gate(rules, per_address=1)) as edge,
        edge.connect(),
        edge.connect(forwarded_for="unknown"),
        edge.connect(forwarded_for="127.0.0.3"),
        edge.connect(),
    ):
        assert edge.gate.limited == {}


async def test_a_subject_has_so_many_connections_on_all_transports_together() -> None:
    """One more is told to come back; what was refused, or is over, does not count."""
    sign_in = MemorySignIn({"a": granted("7"), "b": granted("7"), "c": granted("9")})
    async with serving(sign_in=sign_in, through=gate(per_subject=2)) as edge:
        bearer = {name: {"Authorization": f"Bearer {name}"} for name in "abc"}
        async with (
            edge.connect("", "postcast.v1", "postcast.token.a") as one,
            listening_to(edge, "/events", "Authorization: Bearer b") as stream,
        ):
            await one.recv()
            assert stream.status == 200
            code, text, told = await edge.get("/posts?offset=now", bearer["a"])
            sentence = "There are too many connections of yours. Close one first."
            assert (code, text, told["Retry-After"]) == (429, f"{sentence}\n", "10")
            async with edge.connect("", "postcast.v1", headers=list(bearer["b"].items())) as refused:
                await refused.wait_closed()
                assert (refused.close_code, refused.close_reason) == (4001, f"{sentence} retry_after=10")
            assert edge.around.refusals["http", "subject"] == edge.around.refusals["websocket", "subject"] == 1
            assert (await edge.get("/posts?offset=now", bearer["c"]))[0] == 200
            assert (await edge.get("/posts?offset=now"))[0] == 200
        await _deserted(edge)
        for _ in range(3):
            assert (await edge.get("/posts?offset=now", bearer["a"]))[0] == 200
        assert not edge.gate.census._subjects  # noqa: SLF001


async def test_who_gets_no_session_is_not_counted_and_a_connection_may_be_anothers_next() -> None:
    """A proxy asks for one client after the other on one connection."""
    sign_in = MemorySignIn({"a": granted("7"), "b": granted("9")})
    async with serving(sign_in=sign_in, through=gate(per_subject=1)) as edge, connecting(edge) as peer:
        edge.feed.trouble = "Kafka is away."
        for name in "aab":
            await peer.send(_HANDSHAKE.format(name).encode())
            assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
            await peer.read(len("The feed cannot be followed now. Kafka is away.\n"))
            assert not edge.gate.census._subjects  # noqa: SLF001
        edge.feed.trouble = None
        await peer.send(_HANDSHAKE.format("b").encode())
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        assert edge.gate.census._subjects == {"9": 1}  # noqa: SLF001


_HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {}\r\n\r\n"
)


async def _deserted(edge: Edge) -> None:
    """Wait until all sockets are gone."""
    async with asyncio.timeout(5):
        while edge.gate.census.connections:
            await asyncio.sleep(0)


async def test_the_rate_is_asked_before_a_token_is_looked_at() -> None:
    """Law 16: what verifying costs is bounded, however many bad tokens come."""
    sign_in = MemorySignIn()
    async with serving(sign_in=sign_in, join_rate=0.1) as edge:
        bad = {"Authorization": "Bearer bad"}
        assert (await edge.get("/events", bad))[0] == 401
        looked_at = len(sign_in.asked)
        for _ in range(10):
            # Told when to come back.
            assert (await edge.get("/events", bad))[0] == 200
        assert len(sign_in.asked) == looked_at
        assert edge.around.refusals == {("http", "token"): 1, ("events", "rate"): 10}


async def test_who_waits_for_a_key_while_the_edge_stops_is_told_to_come_back() -> None:
    sign_in = MemorySignIn()
    sign_in.fetched["late"] = granted("7")
    async with serving(sign_in=sign_in) as edge:
        asking = asyncio.create_task(edge.get("/events", {"Authorization": "Bearer late"}))
        await sign_in.awaited.wait()
        edge.reception.is_stopping = True
        sign_in.fetch()
        status, text, _ = await asking
        assert (status, "The server is shutting down." in text) == (200, True)
        assert edge.around.refusals == {("events", "stopping"): 1}


async def test_who_leaves_while_waiting_for_a_key_leaves_nothing_behind() -> None:
    """Neither a connection of its subject nor a claim among the selections."""
    sign_in = MemorySignIn()
    sign_in.fetched["late"] = granted("7", 1, 2)
    async with serving(sign_in=sign_in, through=gate(per_subject=1)) as edge:
        async with connecting(edge) as peer:
            await peer.send(_HANDSHAKE.format("late").encode())
            await sign_in.awaited.wait()
        await _deserted(edge)
        sign_in.fetch()
        while not edge.around.sign_ins["granted"]:
            await asyncio.sleep(0)
        # The double has the claim, too.
        sign_in.grants.clear()
        while edge.around.selections.authors:
            await asyncio.sleep(0)
        assert not edge.gate.census._subjects  # noqa: SLF001
        assert len(edge.hub) == 0


class Crowd(NamedTuple):
    """Clients that are all refused for one reason; ``prepare`` has the edge refuse them."""

    prepare: Callable[[Edge], None] = lambda _: None
    query: str = ""
    options: Callable[[], dict[str, Any]] = dict
    is_full: bool = False
    least: tuple[float, float] = (1.0, 1.0)
    """What each is told at least, beside its turn: between these seconds."""


def _stop(edge: Edge) -> None:
    edge.reception.is_stopping = True


def _lose_kafka(edge: Edge) -> None:
    edge.feed.trouble = "Kafka is away."


def _replay_no_more(edge: Edge) -> None:
    edge.log.begin(Offset(5), Offset(5))
    edge.old.answer = "replays"


def _away() -> MemoryStore:
    store = MemoryStore()
    store.away = "gone"
    return store


_LATER = TokenRefused("The key cannot be had now.", "key", 7.0)
CROWDS = {
    "full": Crowd(options=lambda: {"through": gate(total=1)}, is_full=True),
    "stopping": Crowd(_stop),
    "feed": Crowd(_lose_kafka),
    "filters": Crowd(query="author=1", options=lambda: {"max_authors": 0}),
    "keys": Crowd(options=lambda: {"sign_in": MemorySignIn({"t": _LATER})}, least=(7.0, 7.0)),
    "replay": Crowd(_replay_no_more, f"cursor={before(Offset(0))}", least=(2.0, 10.0)),
    "positions": Crowd(query="device=d", options=lambda: {"store": _away()}, least=(2.0, 2.0)),
}
_TOKEN = ("Authorization", "Bearer t")


async def _told_on_websocket(edge: Edge, query: str) -> float:
    async with edge.connect(f"?{query}", "postcast.v1", headers=[_TOKEN]) as client:
        await client.wait_closed()
        return float(str(client.close_reason).rpartition(" retry_after=")[2])


async def _told_by_http(edge: Edge, query: str) -> float:
    return float(str((await refusal(edge, f"?{query}", headers=[_TOKEN]))[2]))


async def _told_by_event(edge: Edge, query: str) -> float:
    _, text, _ = await edge.get(f"/events?{query}", dict([_TOKEN]))
    return int(re.findall(r"^retry: (\d+)$", text, re.MULTILINE)[-1]) / 1000


async def _told_for_posts(edge: Edge, query: str) -> float:
    _, _, headers = await edge.get(f"/posts?offset=now&{query}", dict([_TOKEN]))
    return float(headers["Retry-After"])


@asynccontextmanager
async def _refusing(why: str) -> AsyncIterator[tuple[Edge, Crowd]]:
    crowd = CROWDS[why]
    sign_in = MemorySignIn({"t": granted()})
    async with serving(**{"join_rate": 0.1, "sign_in": sign_in, **crowd.options()}) as edge:
        crowd.prepare(edge)
        if not crowd.is_full:
            yield edge, crowd
            return
        async with edge.connect():
            yield edge, crowd


@pytest.mark.parametrize(
    ("why", "told"),
    [
        *((why, told) for why in CROWDS for told in (_told_on_websocket, _told_by_http, _told_by_event)),
        *((why, _told_for_posts) for why in ("full", "stopping", "feed", "filters", "keys")),
    ],
)
async def test_who_is_refused_with_many_is_told_an_instant_behind_the_one_before(
    why: str, told: Callable[[Edge, str], Awaitable[float]]
) -> None:
    """By the part of the rate that is given away: else all who are refused at once come back at once."""
    async with _refusing(why) as (edge, crowd):
        # What a client was told that came just before. The rate itself lets in one.
        earlier = edge.around.returns.turn(edge.loop.time())
        apart = await told(edge, crowd.query) - earlier
        assert [counted for _, counted in edge.around.refusals] == [why]
        # By HTTP in whole seconds; and some time has passed, more of it on a machine that is busy.
        assert 12.5 + crowd.least[0] - 5 <= apart <= 12.5 + crowd.least[1] + 1
