"""The Python client: nothing is handed out twice or out of order, and what may be missing is said in its place."""

import ast
import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn, cast

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from edge import client
from edge.client import Feed, FileStore, Gap, Post, Refused, Unauthorized, connect, is_final, pause
from tests.edge.kit.edge import serving
from tests.edge.kit.web import Request, Socket, Web
from tests.streams.virtual import virtual

EDGE: Final = "http://edge.example/"
CODE: Final = Path(client.__file__)
NOBODY_IS_THERE: Final = aiohttp.ClientConnectorError(
    cast("Any", SimpleNamespace(host="edge.example", port=80, ssl=True)), ConnectionRefusedError(111, "refused")
)


def welcome(cursor: str, **more: Any) -> dict[str, Any]:
    return {"action": "welcome", "payload": {"recovered": True, "cursor": cursor, **more}}


def gap(cursor: str, reason: str, **more: Any) -> dict[str, Any]:
    return welcome(cursor, recovered=False, reason=reason, **more)


def created(number: int) -> dict[str, Any]:
    return {"action": "created", "payload": {"id": number}, "cursor": f"c{number}", "window": 5000}


def heartbeat(cursor: str) -> dict[str, Any]:
    return {"action": "heartbeat", "payload": {}, "cursor": cursor}


def post(number: int) -> Post:
    return Post({"id": number}, f"c{number}", 5000)


def offered(web: Web, url: str = EDGE, **options: Any) -> Feed:
    """Make a feed on what a test plays."""
    return connect(url, session=cast("aiohttp.ClientSession", web), **options)


async def settled() -> None:
    """Let everybody do what there is to do now."""
    for _ in range(30):
        await asyncio.sleep(0)


async def after(seconds: float) -> None:
    """Let so much time pass, and everybody do what there is to do then."""
    await asyncio.sleep(seconds)
    await settled()


class Reader:
    """Somebody who iterates, and writes down what came."""

    def __init__(self, feed: Feed) -> None:
        self.items: list[Post | Gap] = []
        self.task = asyncio.create_task(self._read(feed))

    async def _read(self, feed: Feed) -> None:
        async for item in feed:
            self.items.append(item)

    @property
    def ids(self) -> list[int]:
        return [item.id for item in self.items if isinstance(item, Post)]

    @property
    def gaps(self) -> list[Gap]:
        return [item for item in self.items if isinstance(item, Gap)]


@asynccontextmanager
async def reading(web: Web, url: str = EDGE, **options: Any) -> AsyncIterator[tuple[Feed, Reader]]:
    """Read a feed meanwhile."""
    async with offered(web, url, **options) as feed:
        reader = Reader(feed)
        await settled()
        yield feed, reader
    reader.task.cancel()
    await asyncio.wait([reader.task])


@asynccontextmanager
async def live(more: dict[str, Any] | None = None, **options: Any) -> AsyncIterator[tuple[Feed, Reader, Web]]:
    """Read a feed that was welcomed at c0 meanwhile."""
    web = Web()
    async with reading(web, **options) as (feed, reader):
        web.socket.say(welcome("c0", **(more or {})))
        await settled()
        assert feed.state == "live"
        yield feed, reader, web


@asynccontextmanager
async def welcomed(*messages: dict[str, Any], **options: Any) -> AsyncIterator[tuple[Feed, Web]]:
    """Have a feed that nobody reads yet, and that was welcomed at c0 and has been sent these messages."""
    web = Web()
    async with offered(web, **options) as feed:
        await settled()
        web.socket.say(welcome("c0"), *messages)
        yield feed, web


async def until_next(web: Web) -> tuple[float, Socket]:
    """Wait for the client's next WebSocket; return after how many seconds it came."""
    known, begun = len(web.sockets), asyncio.get_running_loop().time()
    while len(web.sockets) == known:
        await asyncio.sleep(0.01)
    return asyncio.get_running_loop().time() - begun, web.socket


# --- Alone ---


def test_it_imports_aiohttp_and_the_standard_library_alone() -> None:
    tree = ast.parse(CODE.read_text("utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} - sys.stdlib_module_names == {"aiohttp"}


def test_a_copy_of_it_works_without_the_rest(tmp_path: Path) -> None:
    shutil.copy(CODE, tmp_path / "client.py")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import client; client.connect('http://edge.example/');"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'edge', 'streams', 'runtime'}))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(tmp_path)], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "[]\n"


def test_it_is_typed() -> None:
    assert (CODE.parent / "py.typed").exists()


# --- What it asks for ---


@virtual
async def test_it_offers_v1_and_says_what_it_wants_in_the_url() -> None:
    web = Web()
    async with reading(web, "http://edge.example/?x=1#y", history=20, author=[7, "9", 11], device="phone"):
        assert web.socket.url == "ws://edge.example/?x=1&author=7,9,11&device=phone&history=20"
        assert web.socket.asked["protocols"] == ("postcast.v1",)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://edge.example", "wss://edge.example/?cursor=c9"),
        ("wss://edge.example:8443/feed/", "wss://edge.example:8443/feed/?cursor=c9"),
        ("ws://[::1]:8080/", "ws://[::1]:8080/?cursor=c9"),
    ],
)
def test_a_cursor_goes_before_a_history(url: str, asked: str) -> None:
    @virtual
    async def test() -> None:
        web = Web()
        async with reading(web, url, history=20, cursor="c9"):
            assert web.socket.url == asked

    test()


@virtual
async def test_without_a_cursor_or_a_history_it_asks_for_none_in_the_form_that_has_cursors() -> None:
    web = Web()
    async with reading(web, author=7):
        assert web.socket.query == {"author": "7", "history": "0"}


@pytest.mark.parametrize(
    ("url", "options", "why"),
    [
        (EDGE, {"author": []}, "author is empty"),
        (EDGE, {"author": ""}, "author is empty"),
        (EDGE, {"author": [""]}, "author is empty"),
        (EDGE, {"author": [7, ""]}, "an author"),
        (EDGE, {"author": "x"}, "an author"),
        (EDGE, {"author": "\u0663"}, "an author"),
        (EDGE, {"author": -1}, "an author"),
        (EDGE, {"author": 2**63}, "an author"),
        (EDGE, {"history": -1}, "history"),
        (EDGE, {"history": "20"}, "history"),
        (EDGE, {"transports": []}, "no transport"),
        (EDGE, {"transports": ("sse",)}, "a transport"),
        (EDGE, {"transports": "websocket"}, "a transport"),
        (EDGE, {"token": 5}, "token"),
        (EDGE, {"device": "bad name"}, "device"),
        (EDGE, {"device": ""}, "device"),
        (EDGE, {"device": "phone", "transports": ["long-polling"]}, "a device counts by websocket alone"),
        (EDGE, {"device": "phone", "cursor": "c0", "transports": ["long-polling"]}, "a device counts"),
        (EDGE, {"device": "a" * 65}, "device"),
        (EDGE, {"store": "posts.cursor"}, "store"),
        ("http://me@edge.example/", {}, "a user or a password"),
        ("http://me:secret@edge.example/", {"token": "t"}, "a user or a password"),
        ("edge.example", {}, "the URL"),
        ("file:///etc/passwd", {}, "the URL"),
        ("http://:80/", {}, "the URL"),
        ("http://edge.example:99999/", {}, "Port"),
    ],
)
def test_what_can_never_be_is_refused_at_once(url: str, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        connect(url, **options)


@virtual
async def test_the_largest_and_the_smallest_of_what_can_be_is_asked_for() -> None:
    web = Web()
    async with reading(web, author=(0, 2**63 - 1), device="a" * 64):
        assert web.socket.query == {"author": "0,9223372036854775807", "device": "a" * 64, "history": "0"}


async def test_a_feed_is_iterated_inside_of_async_with() -> None:
    with pytest.raises(RuntimeError):
        await anext(connect(EDGE))


# --- Items and the cursor ---


@virtual
async def test_posts_are_handed_out_in_order_once_and_it_resumes_behind_the_last() -> None:
    async with live() as (feed, reader, web):
        web.socket.say(created(1), created(2))
        web.socket.end(1001)
        await until_next(web)
        assert web.socket.query == {"cursor": "c2"}
        web.socket.say(welcome("c2"), created(3))
        await settled()
        assert reader.items == [post(1), post(2), post(3)]
        assert feed.cursor == "c3"


@virtual
async def test_the_cursor_moves_when_the_next_item_is_asked_for() -> None:
    async with welcomed() as (feed, web):
        await settled()
        assert feed.cursor == "c0"
        web.socket.say(created(1), created(2))
        assert await anext(feed) == post(1)
        assert feed.cursor == "c0"
        assert await anext(feed) == post(2)
        assert feed.cursor == "c1"
        web.socket.say(heartbeat("c5"))
        await settled()
        assert feed.cursor == "c1"
        asked = asyncio.create_task(anext(feed))
        await settled()
        assert feed.cursor == "c5"
        web.socket.say(heartbeat("c6"))
        await settled()
        assert feed.cursor == "c6"
        web.socket.say(created(7))
        assert await asked == post(7)
        feed.handled()
        feed.handled()
        assert feed.cursor == "c7"


@virtual
async def test_asking_for_an_item_can_be_given_up_and_loses_none() -> None:
    async with welcomed() as (feed, web):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await anext(feed)
        web.socket.say(created(1))
        assert await anext(feed) == post(1)


@virtual
async def test_a_gap_is_an_item_in_its_place() -> None:
    web = Web()
    async with offered(web, cursor="c0") as feed:
        await settled()
        web.socket.say(gap("c5", "expired", lost={"records": 4}), created(6), gap("c8", "interrupted"), created(9))
        assert [await anext(feed) for _ in range(4)] == [
            Gap("expired", "c5", 4),
            post(6),
            Gap("interrupted", "c8"),
            post(9),
        ]
        assert feed.cursor == "c8"


@virtual
async def test_a_gap_that_nobody_has_handled_yet_is_said_again_to_the_next_one() -> None:
    web = Web()
    async with offered(web, cursor="c0") as feed:
        await settled()
        web.socket.say(gap("c5", "expired"), created(6))
        await settled()
        assert feed.cursor == "c0"


@virtual
async def test_what_it_does_not_know_is_ignored_and_moves_the_cursor_only_with_one() -> None:
    async with live() as (feed, reader, web):
        web.socket.say(
            {"action": "later"},
            {"action": "acked", "payload": {"position": "c9"}},
            {"action": "x", "cursor": None},
            {"action": "error", "payload": {"code": "x"}},
        )
        await settled()
        assert feed.cursor == "c0"
        web.socket.say({"action": "caught_up", "cursor": "c4"})
        await settled()
        assert (feed.cursor, reader.items) == ("c4", [])


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "7",
        '{"payload":{}}',
        '{"action":"welcome","payload":{"recovered":true}}',
        '{"action":"welcome","payload":{"recovered":true,"cursor":null}}',
        '{"action":"welcome","payload":{"recovered":false,"cursor":null,"reason":"expired"}}',
        '{"action":"created","payload":{"id":2}}',
        '{"action":"created","payload":{"id":2},"cursor":2}',
        '{"action":"welcome","payload":{"recovered":false,"cursor":"c2"}}',
        '{"action":"acked","payload":{}}',
        '{"action":"error"}',
        "[" * 100_000,
    ],
)
def test_a_message_that_cannot_be_read_ends_the_connection_before_anything_moves_past_it(text: str) -> None:
    @virtual
    async def test() -> None:
        async with live() as (feed, reader, web):
            first = web.socket
            first.say(created(1), text, created(3))
            await settled()
            assert (feed.cursor, feed.state, first.is_open) == ("c1", "waiting", False)
            await until_next(web)
            assert web.socket.query == {"cursor": "c1"}
            assert reader.ids == [1]

    test()


@virtual
async def test_a_message_that_is_no_text_ends_the_connection() -> None:
    async with live() as (feed, _, web):
        web.socket.say_bytes(b"{}")
        await settled()
        assert feed.state == "waiting"


@virtual
async def test_ids_are_exact_up_to_the_largest_one() -> None:
    async with live() as (_, reader, web):
        web.socket.say(created(2**53 + 1), created(2**63 - 1))
        await settled()
        assert reader.ids == [2**53 + 1, 2**63 - 1]


def test_a_payload_of_another_lookup_may_have_no_id() -> None:
    with pytest.raises(KeyError):
        _ = Post({"comment": 1}, "c1").id


@virtual
async def test_a_bounded_number_of_items_waits_and_no_silence_is_counted_meanwhile() -> None:
    web = Web()
    async with offered(web) as feed:
        await settled()
        web.socket.say(welcome("c0", heartbeat=10), *map(created, range(1, 1200)))
        await after(1000)
        assert web.socket.is_open
        assert len(web.sockets) == 1
        web.socket.cut()
        assert [(await anext(feed)) for _ in range(1199)] == [post(number) for number in range(1, 1200)]
        await until_next(web)
        assert web.socket.query == {"cursor": "c1199"}


# --- The end ---


@virtual
async def test_close_ends_the_iteration_and_the_connection_and_what_waits_is_before_the_cursor() -> None:
    async with welcomed(created(1), created(2), created(3)) as (feed, web):
        await anext(feed)
        await anext(feed)
        await feed.close()
        assert [item async for item in feed] == []
        assert (feed.state, feed.cursor, web.socket.is_open) == ("closed", "c1", False)
        await after(1000)
        assert len(web.sockets) == 1


async def test_who_never_entered_a_feed_may_close_it() -> None:
    feed = connect(EDGE)
    await feed.close()
    assert feed.cursor is None


@virtual
async def test_close_ends_who_waits_for_an_item() -> None:
    async with live() as (feed, reader, _):
        await feed.close()
        await settled()
        assert reader.task.done()
        assert reader.task.exception() is None


@virtual
async def test_leaving_the_loop_counts_the_item_in_hand_as_not_handled() -> None:
    async with welcomed(created(1), created(2)) as (feed, _):
        async for item in feed:
            if item == post(2):
                break
    assert (feed.state, feed.cursor) == ("closed", "c1")


@pytest.mark.parametrize("code", [1002, 1008, 1009, 4500, 4501, 4503, 4999])
def test_after_a_final_code_it_does_not_come_back_and_says_why(code: int) -> None:
    @virtual
    async def test() -> None:
        async with live() as (feed, reader, web):
            web.socket.say(created(1))
            web.socket.end(code, "because")
            await after(1000)
            assert (feed.state, len(web.sockets), reader.ids) == ("closed", 1, [1])
            with pytest.raises(Refused, match=rf"{code}: because") as refused:
                await reader.task
            assert (refused.value.code, refused.value.reason) == (code, "because")
            assert isinstance(refused.value, Unauthorized) == (code == 4501)

    test()


@virtual
async def test_a_reason_cannot_act_on_a_terminal() -> None:
    async with live() as (_, reader, web):
        web.socket.end(4500, "a\x1b[2Jb\nc")
        await settled()
        with pytest.raises(Refused) as refused:
            await reader.task
        assert refused.value.reason == "a\\x1b[2Jb\\nc"


@virtual
async def test_nothing_is_handed_out_that_comes_while_it_closes() -> None:
    class Closing(Kept):
        async def set(self, cursor: str, /) -> None:  # type: ignore[override] # a store may do either
            self.cursors.append(cursor)
            web.socket.say(created(2))
            await asyncio.sleep(1)

    async with welcomed(created(1), store=Closing()) as (feed, web):
        await anext(feed)
        feed.handled()
    assert [item async for item in feed] == []
    assert feed.cursor == "c1"


@virtual
async def test_what_comes_while_it_closes_moves_no_cursor_past_what_nobody_handled() -> None:
    class Closing(Slow):
        async def set(self, cursor: str, /) -> None:  # type: ignore[override] # a store may do either
            web.socket.say(heartbeat("c2"))
            await super().set(cursor)

    store = Closing()
    async with welcomed(created(1), created(2), store=store, device="phone") as (feed, web):
        await anext(feed)
        await anext(feed)
    await after(10)
    assert (feed.cursor, store.cursors, acks(web.socket)) == ("c1", ["c1"], ["c1"])


@virtual
async def test_it_is_closed_when_it_is_closed_before_it_has_begun() -> None:
    async with offered(Web()) as feed:
        pass
    assert feed.state == "closed"


@virtual
@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
async def test_it_is_closed_also_while_what_it_waits_for_is_deaf_to_that(transport: client.Transport) -> None:
    web = Web()
    web.hangs = web.is_deaf = True
    async with asyncio.timeout(5), offered(web, transports=[transport]) as feed:
        await settled()
        web.is_deaf = False
    assert feed.state == "closed"
    assert not (web.socket if web.sockets else web.request).is_open


@virtual
@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
async def test_an_edge_that_is_reached_in_the_moment_when_its_time_is_over_has_failed(
    transport: client.Transport,
) -> None:
    web = Web()
    web.hangs = web.is_deaf = True
    async with reading(web, transports=[transport]) as (feed, _):
        await after(20.1)
        assert feed.state == "waiting"
        assert not (web.socket if web.sockets else web.request).is_open
        web.is_deaf = False
        await after(1)
        assert len(web.sockets) + len(web.requests) == 2


@virtual
async def test_what_came_before_the_end_is_handed_out_before_it_is_said() -> None:
    async with welcomed(created(1), created(2)) as (feed, web):
        web.socket.end(4500, "because")
        await settled()
        assert feed.state == "closed"
        assert [await anext(feed), await anext(feed)] == [post(1), post(2)]
        for _ in range(2):
            with pytest.raises(Refused):
                await anext(feed)
        assert feed.cursor == "c2"


def test_which_codes_are_final() -> None:
    final = {code for code in range(6000) if is_final(code)}
    assert final == {1002, 1008, 1009, *range(4500, 5000)}


# --- Coming back ---


@pytest.mark.parametrize("code", [0, 1000, 1001, 1006, 1007, 1011, 1012, 4001, 4008, 4029, 4499, 5000])
def test_after_any_other_code_it_comes_back(code: int) -> None:
    @virtual
    async def test() -> None:
        async with live() as (_, _, web):
            web.socket.end(code)
            waited, _ = await until_next(web)
            assert 0.49 <= waited <= 1.02

    test()


@virtual
async def test_it_waits_between_half_and_the_whole_of_a_limit_from_1_to_60_s_anew_after_a_welcome() -> None:
    async with live() as (_, _, web):
        web.socket.cut()
        web.fails = NOBODY_IS_THERE
        for limit in (1, 2, 4, 8, 16, 32, 60):
            waited, _ = await until_next(web)
            assert limit / 2 - 0.01 <= waited <= limit + 0.02
        web.fails = None
        await until_next(web)
        web.socket.say(welcome("c0"))
        web.socket.end(1001)
        waited, _ = await until_next(web)
        assert 0.49 <= waited <= 1.02


def test_the_wait_of_so_many_failures() -> None:
    assert [pause(failures, None, 1) for failures in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [pause(failures, None, 0) for failures in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert pause(10_000, None, 0.5) == 45


def test_an_edge_that_sends_it_away_again_and_again_is_given_time_whatever_it_asks_for() -> None:
    assert [pause(failures, 0.1, 1) for failures in range(8)] == [0.1, 0.1, 0.1, 0.1, 0.1, 32, 60, 60]
    assert pause(8, 100, 1) == 100
    assert pause(0, 1e11, 1) == pause(9, 1e11, 1) == 86_400


@pytest.mark.parametrize(
    ("reason", "least", "most"),
    [
        ("the edge is full; retry_after=3.7", 3.7, 3.7),
        ("retry_after=90", 90, 90),
        ("retry_after=x", 0.5, 1),
        ("retry_after=1 or so", 0.5, 1),
        ("", 0.5, 1),
    ],
)
def test_what_the_edge_asks_for_wins(reason: str, least: float, most: float) -> None:
    @virtual
    async def test() -> None:
        async with live() as (_, _, web):
            web.socket.end(4001, reason)
            waited, _ = await until_next(web)
            assert least - 0.01 <= waited <= most + 0.02

    test()


@virtual
async def test_a_wait_can_be_cut_short() -> None:
    async with live() as (feed, _, web):
        feed.reconnect()
        web.socket.end(4001, "retry_after=1000")
        await after(10)
        assert feed.state == "waiting"
        feed.reconnect()
        await settled()
        assert len(web.sockets) == 2
        web.socket.end(4001, "retry_after=1000")
        waited, _ = await until_next(web)
        assert waited == pytest.approx(1000, abs=0.02)


@virtual
async def test_silence_of_2_and_a_half_heartbeats_ends_a_connection_and_each_message_is_a_sign_of_life() -> None:
    async with live({"heartbeat": 10}) as (feed, reader, web):
        await after(20)
        web.socket.say(heartbeat("c0"))
        await after(24.9)
        assert feed.state == "live"
        first = web.socket
        await after(0.2)
        assert (feed.state, first.is_open) == ("waiting", False)
        first.say(created(9))
        await until_next(web)
        assert reader.ids == []


@virtual
async def test_without_heartbeats_silence_means_nothing() -> None:
    async with live() as (feed, _, _):
        await after(100_000)
        assert feed.state == "live"


@virtual
async def test_an_edge_that_does_not_welcome_it_in_20_s_has_failed() -> None:
    web = Web()
    async with reading(web, transports=["websocket"]) as (_, _):
        web.socket.say({"action": "later"})
        await after(19.9)
        assert web.socket.is_open
        await after(0.2)
        assert not web.socket.is_open
        web.hangs = True
        await until_next(web)
        waited, _ = await until_next(web)
        assert 20.99 <= waited <= 22.02


# --- Tokens ---


@virtual
async def test_a_token_is_asked_for_at_each_connect_and_is_in_no_url() -> None:
    tokens = iter(["t1", "t2", "t3"])

    async def ask() -> str:
        return next(tokens)

    async with live(token=ask) as (_, _, web):
        assert web.socket.token == "t1"
        web.socket.end(1001)
        await until_next(web)
        assert web.socket.token == "t2"
        web.fails = refusal(404)
        web.socket.cut()
        await settled()
        assert web.request.asked["headers"] == {"Authorization": "Bearer t3"}
        urls = [socket.url for socket in web.sockets] + [request.url for request in web.requests]
        assert not any(token in url for url in urls for token in ("t1", "t2", "t3"))


@pytest.mark.parametrize("token", [None, "", lambda: None, lambda: ""])
def test_without_a_token_it_connects_without_one(token: client.Token | None) -> None:
    @virtual
    async def test() -> None:
        async with live(token=token) as (_, _, web):
            assert web.socket.token is None

    test()


@virtual
async def test_at_expiring_it_is_asked_for_again_and_sent() -> None:
    tokens = iter(["t1", "t2", "t3", ""])
    async with live(token=lambda: next(tokens)) as (_, _, web):
        for _ in range(3):
            web.socket.say({"action": "expiring", "payload": {}})
            await settled()
        assert web.socket.sent == [
            {"action": "token", "id": 1, "payload": {"token": "t2"}},
            {"action": "token", "id": 2, "payload": {"token": "t3"}},
        ]


@virtual
async def test_a_token_that_the_edge_was_too_busy_to_verify_is_sent_again() -> None:
    async with live(token=lambda: "t", device="phone") as (_, _, web):
        web.socket.say({"action": "expiring", "payload": {}})
        await after(1.1)
        assert [one["action"] for one in web.socket.sent] == ["token", "ack"]
        web.socket.say({"action": "error", "id": 1, "payload": {"code": "busy"}})
        await after(1.1)
        assert web.socket.sent[2:] == [{"action": "token", "id": 3, "payload": {"token": "t"}}]


@virtual
async def test_a_token_that_comes_when_its_connection_has_ended_is_not_sent_on_another_one() -> None:
    late = asyncio.Event()
    tokens = iter(["t1", "late", "t2"])

    async def ask() -> str:
        token = next(tokens)
        if token == "late":
            await late.wait()
        return token

    async with live(token=ask) as (_, _, web):
        web.socket.say({"action": "expiring", "payload": {}})
        await settled()
        web.socket.end(1001)
        await until_next(web)
        web.socket.say(welcome("c0"))
        late.set()
        await settled()
        assert [socket.sent for socket in web.sockets] == [[], []]


@virtual
async def test_a_token_that_is_a_string_cannot_be_renewed_and_ends_with_its_time() -> None:
    async with live(token="t") as (feed, reader, web):
        web.socket.say({"action": "expiring", "payload": {}})
        await settled()
        assert web.socket.sent == []
        web.socket.end(4501, "the token has run out")
        await settled()
        assert feed.state == "closed"
        assert isinstance(reader.task.exception(), Unauthorized)


@virtual
async def test_a_refused_token_is_asked_for_anew_five_times_in_a_row() -> None:
    """A welcome begins the count anew: that token ran out. What is refused for the sixth time is refused for good."""
    async with live(token=lambda: "t") as (feed, reader, web):
        web.socket.end(4501, "the token has run out")
        for _ in range(5):
            assert not reader.task.done()
            await until_next(web)
            web.socket.end(4501, "refused")
            await settled()
        assert feed.state == "closed"
        assert isinstance(reader.task.exception(), Unauthorized)


@virtual
async def test_a_token_function_that_fails_is_said_and_asked_again_after_a_wait(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fails = True

    def ask() -> str:
        if fails:
            raise OSError("secret")
        return "t"

    web = Web()
    async with reading(web, token=ask) as (feed, _):
        assert (feed.state, web.sockets, web.requests) == ("waiting", [], [])
        assert "the token function has failed: OSError\n" in caplog.text
        assert "secret" not in caplog.text
        fails = False
        await after(1)
        assert len(web.sockets) == 1
        fails = True
        web.socket.say(welcome("c0"), {"action": "expiring"})
        await settled()
        assert web.socket.is_open


async def cancelled_by_others() -> NoReturn:
    """Wait for what is cancelled under whoever waits for it, as a library's task may be."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    raise AssertionError(await future)


@virtual
async def test_a_token_function_whose_wait_others_cancel_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    """It would end the feed as closing it does: without a word."""
    web = Web()
    async with reading(web, token=cancelled_by_others) as (feed, reader):
        assert (feed.state, reader.task.done()) == ("waiting", False)
        assert "the token function has failed: RuntimeError\n" in caplog.text


@virtual
async def test_a_token_function_that_does_not_answer_in_20_s_has_failed() -> None:
    asked: list[float] = []

    async def ask() -> str:
        asked.append(asyncio.get_running_loop().time())
        await asyncio.Event().wait()
        return "t"

    async with reading(Web(), token=ask) as (feed, _):
        await after(19.9)
        assert (feed.state, len(asked)) == ("connecting", 1)
        await after(0.2)
        assert feed.state == "waiting"
        await after(1)
        assert len(asked) == 2


@virtual
async def test_at_expiring_a_token_that_cannot_be_had_is_asked_for_again_on_the_same_connection() -> None:
    failure = OSError("offline")
    answers: list[str | OSError] = ["t1", failure, failure, "t2", failure, "t3", "t4"]

    async def ask() -> str:
        if isinstance(answer := answers.pop(0), OSError):
            raise answer
        return answer

    async with live(token=ask) as (_, _, web):
        first = web.socket
        first.say({"action": "expiring", "payload": {}})
        await after(6)
        assert first.sent == []
        await after(6)
        assert first.sent == [{"action": "token", "id": 1, "payload": {"token": "t2"}}]
        # When the connection has ended nobody asks for it any more.
        first.say({"action": "expiring", "payload": {}})
        await settled()
        first.end(1001)
        await until_next(web)
        web.socket.say(welcome("c0"))
        await after(60)
        assert (web.socket.token, web.socket.sent, answers) == ("t3", [], ["t4"])


@virtual
async def test_a_token_function_that_ends_the_feed_does_so_at_the_next_connect() -> None:
    tokens: list[str] = ["t"]

    def ask() -> str:
        if not tokens:
            raise Unauthorized
        return tokens.pop()

    async with live(token=ask) as (feed, reader, web):
        web.socket.say({"action": "expiring", "payload": {}}, created(1))
        await settled()
        assert reader.ids == [1]
        web.socket.end(4501, "the token has run out")
        await after(1)
        assert feed.state == "closed"
        assert isinstance(reader.task.exception(), Unauthorized)


@virtual
async def test_a_token_function_may_end_the_feed() -> None:
    def ask() -> str:
        raise Unauthorized

    async with reading(Web(), token=ask) as (feed, reader):
        assert feed.state == "closed"
        assert isinstance(reader.task.exception(), Unauthorized)


@pytest.mark.parametrize("token", ["a b", "a\nX-Y: z", "\u00e4"])
def test_a_token_that_cannot_stand_in_a_header_is_the_callers_fault_and_is_not_shown(token: str) -> None:
    @virtual
    async def test() -> None:
        async with reading(Web(), token=token) as (_, reader):
            with pytest.raises(ValueError, match="cannot stand in a header") as error:
                await reader.task
            assert token not in str(error.value)

    test()


@virtual
async def test_a_token_is_in_no_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with live(token=lambda: "secret", url="http://edge.example/?token=secret") as (feed, _, web):
        web.socket.say({"action": "expiring"})
        web.socket.end(1001, "bye")
        await until_next(web)
        web.socket.end(4500, "nonsense")
        await settled()
        assert feed.state == "closed"
    assert "edge.example" in caplog.text
    assert "secret" not in caplog.text


# --- Devices ---


def acks(socket: Socket) -> list[str]:
    assert {one["action"] for one in socket.sent} <= {"ack"}
    return [one["payload"]["cursor"] for one in socket.sent]


@virtual
async def test_with_a_device_the_edge_is_told_what_was_handled_at_most_once_a_second() -> None:
    async with live(device="phone") as (_, _, web):
        assert web.socket.query == {"device": "phone", "history": "0"}
        web.socket.say(created(1), created(2))
        await after(1)
        assert web.socket.sent == [{"action": "ack", "id": 1, "payload": {"cursor": "c2"}}]
        for number in range(3, 8):
            web.socket.say(created(number))
            await after(0.3)
        assert acks(web.socket) == ["c2", "c6"]
        web.socket.say(created(8))
        await settled()
    assert acks(web.socket) == ["c2", "c6", "c8"]


@virtual
async def test_what_is_in_hand_is_not_acknowledged() -> None:
    async with welcomed(created(1), created(2), device="phone") as (feed, web):
        await anext(feed)
        await anext(feed)
    assert acks(web.socket) == ["c1"]


@virtual
async def test_what_was_acknowledged_on_a_connection_that_was_lost_is_said_again() -> None:
    """Also where nothing newer was handled: it may not have arrived."""
    async with live(device="phone") as (_, _, web):
        web.socket.say(created(1))
        await after(1)
        web.socket.is_open = False
        web.socket.say(created(2))
        await after(1)
        assert acks(web.socket) == ["c1"]
        web.fails = NOBODY_IS_THERE
        web.socket.cut()
        await after(2)
        web.fails = None
        await until_next(web)
        web.socket.say(welcome("c2"))
        await after(1)
        assert acks(web.socket) == ["c2"]


@virtual
async def test_what_was_handled_before_the_welcome_is_said_after_it() -> None:
    async with welcomed(created(1), created(2), device="phone") as (feed, web):
        await anext(feed)
        await anext(feed)
        web.socket.cut()
        await until_next(web)
        feed.handled()
        await after(5)
        assert acks(web.socket) == []
        web.socket.say(welcome("c2"))
        await after(1)
        assert acks(web.socket) == ["c2"]


@virtual
async def test_an_edge_that_answers_with_errors_is_not_told_on_and_on() -> None:
    """It would end the session for good."""
    async with live(device="phone") as (_, _, web):
        for number in range(1, 20):
            web.socket.say(created(number))
            await after(1)
            if len(web.socket.sent) == number:
                web.socket.say({"action": "error", "id": number, "payload": {"code": "bad_cursor"}})
        assert len(web.socket.sent) == 5
        web.socket.end(1001)
        await until_next(web)
        web.socket.say(welcome("c19"), created(20))
        await after(1)
        assert acks(web.socket) == ["c20"]


@virtual
async def test_it_says_what_the_edge_has_stored() -> None:
    async with live(device="phone") as (feed, _, web):
        web.socket.say(created(1))
        await after(1)
        assert feed.acknowledged is None
        web.socket.say({"action": "acked", "id": 1, "payload": {"position": "c1"}})
        await settled()
        assert feed.acknowledged == "c1"


@virtual
async def test_an_edge_that_is_busy_is_told_again_however_often() -> None:
    """It is the edge's database that is away, and no error of the client's."""
    async with live(device="phone") as (_, _, web):
        web.socket.say(created(1))
        await after(1)
        for _ in range(10):
            web.socket.say({"action": "error", "payload": {"code": "busy"}})
            await after(1.1)
        assert acks(web.socket) == ["c1"] * 11


# --- Where the cursor is kept ---


class Kept:
    """A store in memory, which fails on request."""

    def __init__(self, cursor: str | None = None) -> None:
        self.cursors: list[str] = []
        self.fails = False
        self._first = cursor

    async def get(self) -> str | None:
        return self._first

    def set(self, cursor: str, /) -> None:
        if self.fails:
            raise OSError("full")
        self.cursors.append(cursor)


@virtual
async def test_a_store_is_asked_first_and_told_at_most_once_a_second_and_at_the_end() -> None:
    store = Kept("c0")
    async with live(store=store) as (_, _, web):
        assert web.socket.query == {"cursor": "c0"}
        web.socket.say(created(1), created(2))
        await settled()
        assert store.cursors == []
        await after(1)
        assert store.cursors == ["c2"]
        for number in range(3, 8):
            web.socket.say(created(number))
            await after(0.3)
        assert store.cursors == ["c2", "c6"]
        await after(100)
        assert store.cursors == ["c2", "c6", "c7"]
        web.socket.say(created(8))
        await settled()
    assert store.cursors == ["c2", "c6", "c7", "c8"]


@virtual
async def test_a_cursor_that_is_given_goes_before_the_store() -> None:
    web = Web()
    async with reading(web, cursor="c7", store=Kept("c0")):
        assert web.socket.query == {"cursor": "c7"}


@virtual
async def test_who_handles_one_item_after_the_other_without_waiting_saves_too() -> None:
    store = Kept()
    async with welcomed(*map(created, range(1, 7)), store=store) as (feed, _):
        for _ in range(6):
            await anext(feed)
            await after(0.6)
        assert store.cursors == ["c1", "c3", "c5"]


@virtual
async def test_what_was_handled_is_kept_while_the_next_item_takes_its_time() -> None:
    store = Kept()
    async with welcomed(*map(created, range(1, 4)), store=store) as (feed, _):
        await anext(feed)
        await anext(feed)
        await after(1000)
        assert store.cursors == ["c1"]


class Slow(Kept):
    """A store that takes three seconds."""

    async def set(self, cursor: str, /) -> None:  # type: ignore[override] # a store may do either
        await asyncio.sleep(3)
        self.cursors.append(cursor)


@virtual
async def test_what_moves_while_the_store_is_slow_is_kept_after_that() -> None:
    store = Slow()
    async with live(store=store) as (_, _, web):
        web.socket.say(created(1))
        await after(2)
        web.socket.say(created(2))
        await after(10)
        assert store.cursors == ["c1", "c2"]
        web.socket.say(created(3))
        await after(2)
    assert store.cursors == ["c1", "c2", "c3"]


@virtual
async def test_a_store_that_fails_stops_nothing_and_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    store = Kept()
    async with live(store=store) as (_, reader, web):
        store.fails = True
        web.socket.say(created(1))
        await after(1)
        assert "the cursor could not be kept: OSError: full" in caplog.text
        store.fails = False
        web.socket.say(created(2))
        await settled()
        assert reader.ids == [1, 2]
    assert store.cursors == ["c2"]


class CancelledOnce(Kept):
    """A store whose first ``set`` waits for what others cancel."""

    is_well = False

    async def set(self, cursor: str, /) -> None:  # type: ignore[override] # a store may do either
        if not self.is_well:
            self.is_well = True
            await cancelled_by_others()
        self.cursors.append(cursor)


@virtual
async def test_a_store_whose_wait_others_cancel_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    store = CancelledOnce()
    async with live(store=store) as (_, reader, web):
        web.socket.say(created(1))
        await after(1)
        assert "the cursor could not be kept: RuntimeError: " in caplog.text
        web.socket.say(created(2))
        await settled()
        assert reader.ids == [1, 2]
    assert store.cursors == ["c2"]


async def test_a_store_that_cannot_be_read_is_said_before_anything_is_missed(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        await connect(EDGE, store=FileStore(tmp_path)).__aenter__()


def left_in(folder: Path, pattern: str = "*") -> list[Path]:
    return list(folder.glob(pattern))


async def test_a_file_keeps_the_cursor_and_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "cursor"
    store = FileStore(path)
    assert store.get() is None
    await store.set("c1")
    before = path.stat().st_ino
    await store.set("c2")
    assert path.stat().st_ino != before
    assert FileStore(path).get() == "c2"
    assert left_in(tmp_path) == [path]
    await store.set("")
    assert store.get() is None


async def test_of_two_threads_that_write_the_later_one_writes_nothing_older(tmp_path: Path) -> None:
    """The first is given up by its caller, and ends after the second."""
    store = FileStore(tmp_path / "cursor")
    first = asyncio.create_task(store.set("c1"))
    await asyncio.sleep(0)
    first.cancel()
    await store.set("c2")
    await asyncio.get_running_loop().shutdown_default_executor()
    assert store.get() == "c2"


async def test_a_file_that_cannot_be_replaced_is_left_as_it_was(tmp_path: Path) -> None:
    folder = tmp_path / "cursor"
    with pytest.raises(FileNotFoundError):
        await FileStore(folder / "cursor").set("c1")
    with pytest.raises(IsADirectoryError):
        await FileStore(tmp_path).set("c1")
    assert left_in(tmp_path) == left_in(tmp_path.parent, f"{tmp_path.name}.*") == []


# --- Long polling ---

UP_TO_DATE: Final = {"Stream-Up-To-Date": "true", "Stream-Cursor": "e1"}


def refusal(
    status: int,
    headers: dict[str, str] | None = None,
    kind: type[aiohttp.ClientResponseError] = aiohttp.WSServerHandshakeError,
    url: str = EDGE,
) -> aiohttp.ClientResponseError:
    """Refuse a WebSocket."""
    info = aiohttp.RequestInfo(URL(url), "GET", CIMultiDictProxy(CIMultiDict()), URL(url))
    return kind(info, (), status=status, headers=CIMultiDict(headers or {}))


@asynccontextmanager
async def polling(**options: Any) -> AsyncIterator[tuple[Feed, Reader, Web]]:
    """Read a feed of an edge with which no WebSocket can be opened meanwhile."""
    web = Web()
    web.fails = refusal(404)
    async with reading(web, **options) as (feed, reader):
        yield feed, reader, web


async def answer(request: Request, status: int, headers: dict[str, str], body: Any = "") -> None:
    request.answer(status, headers, body)
    await settled()


@virtual
async def test_where_no_websocket_gets_through_it_polls() -> None:
    async with polling(author=7, history=5) as (feed, reader, web):
        assert web.request.url == "http://edge.example/posts?author=7&offset=now"
        await answer(web.request, 200, {"Stream-Next-Offset": "c0", **UP_TO_DATE}, [])
        assert feed.state == "live"
        assert web.request.query == {"author": "7", "offset": "c0", "live": "long-poll", "cursor": "e1"}
        headers = {"Stream-Next-Offset": "c3", "Stream-Up-To-Date": "true", "Stream-Cursor": "e2"}
        await answer(web.request, 200, headers, [created(1), created(2)])
        assert (reader.ids, feed.cursor) == ([1, 2], "c3")
        assert web.request.query == {"author": "7", "offset": "c3", "live": "long-poll", "cursor": "e2"}
        await asyncio.sleep(25)
        await answer(web.request, 204, {"Stream-Next-Offset": "c4", "Stream-Up-To-Date": "true"})
        assert feed.cursor == "c4"
        assert web.request.query == {"author": "7", "offset": "c4", "live": "long-poll"}


@virtual
async def test_that_it_polls_is_said_with_what_does_not_count_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with polling(url="http://edge.example/nope?token=secret", history=5) as (_, _, web):
        await answer(web.request, 200, {"Stream-Next-Offset": "c0", **UP_TO_DATE}, [])
    [warning] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == (
        "http://edge.example/nope: no WebSocket, but the HTTP status 404; "
        "trying http://edge.example/posts by long-polling, where history and device do not count"
    )
    assert "connecting: http://edge.example/nope by websocket" in caplog.messages
    assert "live: http://edge.example/posts by long-polling" in caplog.messages


@virtual
async def test_a_device_without_a_cursor_does_not_poll_which_would_begin_behind_what_it_has_missed() -> None:
    async with polling(device="phone") as (feed, _, web):
        assert (feed.state, web.requests) == ("waiting", [])
        web.fails = None
        waited, _ = await until_next(web)
        assert 0.49 <= waited <= 1.02
        assert web.socket.query == {"device": "phone", "history": "0"}
        web.socket.say(welcome("c0"))
        web.fails = refusal(502)
        web.socket.cut()
        await after(2)
        assert web.request.query == {"offset": "c0"}


@virtual
async def test_a_device_polls_with_a_cursor_alone_where_the_caller_has_put_that_first_too() -> None:
    async with live(transports=("long-polling", "websocket"), device="phone") as (_, _, web):
        assert (web.socket.query, web.requests) == ({"device": "phone", "history": "0"}, [])
        web.socket.cut()
        await after(2)
        assert web.request.query == {"offset": "c0"}
        web.request.fail()
        await settled()
        assert web.socket.query == {"device": "phone", "cursor": "c0"}


@virtual
async def test_a_device_that_polling_stands_before_waits_for_a_websocket_as_long_as_none_can_be_had() -> None:
    async with polling(transports=("long-polling", "websocket"), device="phone") as (feed, _, web):
        await after(60)
        assert (feed.state, web.requests) == ("waiting", [])
        web.fails = None
        await until_next(web)
        assert web.socket.query == {"device": "phone", "history": "0"}


@virtual
async def test_a_websocket_that_comes_second_takes_everything(caplog: pytest.LogCaptureFixture) -> None:
    web = Web()
    async with reading(web, transports=("long-polling", "websocket"), history=5):
        web.request.fail()
        await settled()
        assert web.socket.query == {"history": "5"}
    assert caplog.messages[0].endswith("; trying http://edge.example/ by websocket")


@virtual
async def test_pages_that_are_not_the_last_are_asked_for_without_waiting() -> None:
    async with polling(cursor="c0") as (_, _, web):
        for number, more in ((1, {}), (2, UP_TO_DATE), (3, {})):
            await answer(web.request, 200, {"Stream-Next-Offset": f"c{number}", **more}, [created(number)])
            waits = {"live": "long-poll", "cursor": "e1"} if more else {}
            assert web.request.query == {"offset": f"c{number}", **waits}


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("wss://edge.example/feed/?x=1", "https://edge.example/feed/posts?x=1&offset=now"),
        ("http://edge.example/feed", "http://edge.example/posts?offset=now"),
        ("http://edge.example", "http://edge.example/posts?offset=now"),
    ],
)
def test_posts_are_beside_the_edges_address(url: str, asked: str) -> None:
    @virtual
    async def test() -> None:
        async with polling(url=url) as (_, _, web):
            assert web.request.url == asked

    test()


@virtual
async def test_a_gap_while_polling_is_an_item_too() -> None:
    async with polling(cursor="c0") as (feed, reader, web):
        body = {"recovered": False, "reason": "expired", "cursor": "c5", "lost": {"records": 3}}
        await answer(web.request, 410, {"Stream-Next-Offset": "c5"}, body)
        assert (reader.items, feed.cursor) == ([Gap("expired", "c5", 3)], "c5")
        assert web.request.query == {"offset": "c5"}


@pytest.mark.parametrize(
    "body", ["[{]", "7", "[7]", '[{"action":"created"}', '[{"action":"created","payload":{"id":1}}]']
)
def test_a_page_that_cannot_be_read_is_asked_for_again(body: str) -> None:
    @virtual
    async def test() -> None:
        async with polling(cursor="c0", transports=["long-polling"]) as (feed, _, web):
            await answer(web.request, 200, {"Stream-Next-Offset": "c5"}, body)
            assert feed.state == "waiting"
            await after(1)
            assert web.request.query == {"offset": "c0"}

    test()


@virtual
async def test_when_both_fail_it_waits_and_begins_with_the_websocket_again() -> None:
    async with polling() as (feed, _, web):
        web.request.fail()
        await settled()
        assert feed.state == "waiting"
        waited, _ = await until_next(web)
        assert 0.49 <= waited <= 1.02


@virtual
async def test_a_close_frame_says_that_websockets_get_through() -> None:
    web = Web()
    async with reading(web) as (feed, _):
        web.socket.end(4001, "retry_after=2")
        await settled()
        assert (feed.state, web.requests) == ("waiting", [])


@virtual
async def test_where_nobody_is_nobody_is_polled() -> None:
    web = Web()
    web.fails = NOBODY_IS_THERE
    async with reading(web) as (feed, _):
        assert (feed.state, web.requests) == ("waiting", [])


@pytest.mark.parametrize(("status", "code"), [(400, 4500), (401, 4501), (403, 4503), (414, 4500)])
def test_statuses_that_are_final_are(status: int, code: int) -> None:
    @virtual
    async def test() -> None:
        async with polling() as (feed, reader, web):
            await answer(web.request, status, {}, "no\n")
            assert feed.state == "closed"
            with pytest.raises(Refused, match="no") as refused:
                await reader.task
            assert (refused.value.code, refused.value.reason) == (code, "no")

    test()


@pytest.mark.parametrize("status", [200, 404, 408, 429, 500, 502, 503])
def test_a_status_of_somebody_elses_is_no_end(status: int) -> None:
    @virtual
    async def test() -> None:
        async with polling() as (feed, _, web):
            await answer(web.request, status, {}, "<html>")
            assert feed.state == "waiting"

    test()


@virtual
async def test_retry_after_wins() -> None:
    async with polling() as (_, _, web):
        await answer(web.request, 503, {"Retry-After": "7"}, "full")
        waited, _ = await until_next(web)
        assert waited == pytest.approx(7, abs=0.02)
        web.fails = refusal(503, {"Retry-After": "9"})
        await answer(web.request, 503, {}, "full")
        await until_next(web)
        asked = len(web.requests)
        waited, _ = await until_next(web)
        assert waited == pytest.approx(9, abs=0.02)
        assert len(web.requests) == asked


@virtual
async def test_retry_after_wins_where_a_session_of_ones_own_raises_for_each_status() -> None:
    web = Web()
    web.fails = refusal(503, {"Retry-After": "9"}, aiohttp.ClientResponseError)
    async with reading(web):
        waited, _ = await until_next(web)
        assert waited == pytest.approx(9, abs=0.02)
        assert web.requests == []


@pytest.mark.parametrize(
    "failure",
    [
        refusal(400, None, aiohttp.ClientResponseError, f"{EDGE}?key=secret"),
        aiohttp.InvalidUrlRedirectClientError("http://edge.example:0/?key=secret", "port"),
    ],
)
def test_no_query_of_a_url_is_in_the_log(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    @virtual
    async def test() -> None:
        web = Web()
        web.fails = failure
        async with reading(web, f"{EDGE}?key=secret") as (feed, _):
            web.request.fail(failure)
            await settled()
            assert feed.state == "waiting"
            assert len(caplog.records) == 2
            assert "secret" not in caplog.text

    test()


async def _polled_until_a_look(web: Web) -> float:
    """Answer with a post every five seconds until a WebSocket is tried; return after how many seconds it was."""
    begun, sockets = asyncio.get_running_loop().time(), len(web.sockets)
    while len(web.sockets) == sockets:
        await answer(web.request, 200, {"Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true"}, [created(1)])
        await after(5)
    return asyncio.get_running_loop().time() - begun


@virtual
async def test_who_polls_looks_after_half_a_minute_whether_a_websocket_can_be_had_and_less_often_each_time() -> None:
    """After one was had it is half a minute again: an edge that is just starting refuses it, and answers a poll."""
    async with polling() as (_, _, web):
        looks = [await _polled_until_a_look(web) for _ in range(7)]
        assert looks == pytest.approx([30, 60, 120, 240, 480, 600, 600], abs=11)
        web.fails = None
        await _polled_until_a_look(web)
        web.socket.say(welcome("c0"))
        await settled()
        web.fails = refusal(404)
        web.socket.cut()
        await after(2)
        assert await _polled_until_a_look(web) == pytest.approx(30, abs=11)


@virtual
async def test_who_wants_to_poll_goes_on_with_it() -> None:
    async with polling(transports=["long-polling"]) as (_, _, web):
        for _ in range(100):
            await answer(web.request, 200, {"Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true"}, [created(1)])
            await after(30)
        assert web.sockets == []


@virtual
async def test_answers_without_a_wait_do_not_make_it_ask_without_end() -> None:
    async with polling() as (_, _, web):
        headers = {"Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true"}
        await answer(web.request, 200, headers, [])
        await answer(web.request, 204, headers)
        assert len(web.requests) == 2
        await after(1)
        assert len(web.requests) == 3


@virtual
async def test_pages_that_do_not_move_do_not_make_it_ask_without_end() -> None:
    async with polling(cursor="c0") as (_, _, web):
        await answer(web.request, 200, {"Stream-Next-Offset": "c1"}, [])
        assert len(web.requests) == 2
        await answer(web.request, 200, {"Stream-Next-Offset": "c1"}, [])
        assert len(web.requests) == 2
        await after(1)
        await answer(web.request, 200, {"Stream-Next-Offset": "c1", **UP_TO_DATE}, [])
        assert len(web.requests) == 4


@virtual
async def test_a_poll_that_nobody_answers_ends() -> None:
    async with polling(transports=["long-polling"]) as (feed, _, web):
        await after(20.1)
        assert (feed.state, len(web.requests)) == ("waiting", 1)
        await after(1)
        await answer(web.request, 200, {"Stream-Next-Offset": "c0", "Stream-Up-To-Date": "true"}, [])
        await after(74.9)
        assert len(web.requests) == 3
        await after(1.2)
        assert len(web.requests) == 4


# --- With an edge, and aiohttp's own WebSockets ---


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
async def test_with_an_edge_it_shows_what_is_published(transport: client.Transport) -> None:
    async with serving() as edge, connect(f"http://127.0.0.1:{edge.port}/", transports=[transport]) as feed:
        reader = Reader(feed)
        await until(lambda: feed.state == "live")
        edge.feed.publish(1, 2)
        edge.feed.publish(3)
        await until(lambda: len(reader.items) == 3)
        assert reader.ids == [1, 2, 3]
        async with connect(f"ws://127.0.0.1:{edge.port}/", cursor=reader.items[0].cursor) as other:
            assert [await anext(other) for _ in range(2)] == reader.items[1:]


class _Two(AbstractResolver):
    """A name with two addresses: one where nobody answers, and one where an edge listens."""

    def __init__(self, *ports: int) -> None:
        self.ports = ports
        self.asked = asyncio.Event()

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_INET) -> list[ResolveResult]:  # noqa: ARG002
        self.asked.set()
        return [
            ResolveResult(hostname=host, host="127.0.0.1", port=each, family=socket.AF_INET, proto=0, flags=0)
            for each in self.ports
        ]

    async def close(self) -> None:
        """Nothing is open."""


async def test_it_is_closed_in_whatever_turn_of_a_connect_to_a_name_with_two_addresses() -> None:
    """Some of these meet aiohappyeyeballs when it ends its slower attempt, and swallows a cancellation."""
    async with serving() as edge:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as silent, socket.socket() as first:
            # Its backlog is full: whoever comes after this one waits.
            first.connect(silent.getsockname())
            for turns in range(40):
                resolver = _Two(silent.getsockname()[1], edge.port)
                connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, happy_eyeballs_delay=1e-9)
                async with (
                    asyncio.timeout(20),
                    aiohttp.ClientSession(connector=connector) as session,
                    connect("http://edge.example/", session=session) as feed,
                ):
                    await resolver.asked.wait()
                    for _ in range(turns):
                        await asyncio.sleep(0)
                assert feed.state == "closed"


async def test_with_an_edge_a_refusal_and_an_invalid_cursor_are_understood() -> None:
    async with serving() as edge:
        async with connect(f"http://127.0.0.1:{edge.port}/?author=x") as feed:
            with pytest.raises(Refused) as refused:
                await anext(feed)
            assert refused.value.code == 4500
        async with connect(f"http://127.0.0.1:{edge.port}/", cursor="nonsense") as feed:
            item = await anext(feed)
            assert isinstance(item, Gap)
            assert item.reason == "invalid"
