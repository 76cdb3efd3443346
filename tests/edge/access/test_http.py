"""What is left to aiohttp, and what of it is relied upon: these fail when it changes."""

import asyncio
import re
from pathlib import Path

import pytest
from aiohttp import web
from websockets.frames import Opcode

import edge
from edge.wire.allowance import EARLY
from tests.edge.kit.edge import serving
from tests.edge.kit.listening import listening
from tests.edge.kit.pair import connecting, masked
from tests.edge.kit.records import frames
from tests.strict import Handshake

ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 13\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: "
    b"Stream-Next-Offset, Stream-Up-To-Date, Stream-Cursor, ETag, Retry-After\r\n\r\nBad Request.\n"
)


def test_one_private_name_of_aiohttps_is_relied_upon() -> None:
    """Its own slot: another release that has none of that name keeps early data elsewhere, if at all."""
    assert "_message_tail" in web.RequestHandler.__slots__
    [path] = edge.__path__
    sources = {file: file.read_text("utf-8") for file in Path(path).rglob("*.py")}
    leaning = [file.name for file, text in sources.items() if re.search(r"aiohttp\._|http\w*\._|request\._", text)]
    assert leaning == []
    private = re.findall(r"self\.(_\w+)", sources[Path(path) / "access" / "http.py"])
    assert private == ["_message_tail"]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /?\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"BREW / HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nA\x00: b\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_without_a_traceback(
    request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """With the same few bytes for each, and nothing about what runs here."""
    async with serving() as served, connecting(served) as peer:
        await peer.send(request_bytes)
        assert await peer.read_all() == ANSWER
    assert caplog.records == []


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/metrics", "/nothing"])
async def test_no_answer_says_what_runs_here(path: str) -> None:
    async with serving() as served:
        _, _, headers = await served.get(path)
        assert "Server" not in headers


@pytest.mark.parametrize("path", [b"/", b"/posts", b"/nothing"])
async def test_no_answer_says_back_what_was_expected(path: bytes) -> None:
    async with serving() as served, connecting(served) as peer:
        await peer.send(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: a-secret\r\n\r\n" % path)
        answer = await peer.read_all()
        assert answer.startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
        assert answer.endswith(b"\r\n\r\nNothing is expected here but 100-continue.\n")


async def test_a_fault_of_ours_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    """It is the one that is."""

    async def fail(_: web.Request) -> web.Response:
        raise ZeroDivisionError

    application = web.Application()
    application.router.add_get("/", fail)
    async with listening(application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\n")
    assert [record.levelname for record in caplog.records] == ["ERROR"]


@pytest.mark.parametrize(
    "early",
    [
        b"\x89",
        masked(Opcode.TEXT, b"x") * 2000,
        # A frame whose payload is cut where a request's head would end; then a head that is none, and many pings.
        b"\x82\xfe\x03\xe8mask" + b"x" * 96 + b"\r\n\r\n" + b"\x8a\xff" + (1 << 62).to_bytes(8) + b"mask",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=["a byte", "frames", "frames cut as a head", "another request", "an empty head"],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_nothing_may_be_sent_before_the_answer(early: bytes, at_once: bool) -> None:
    """RFC 6455 §4.1; and none of it is read, by whatever parser: what follows is dropped."""
    async with serving() as served, connecting(served) as peer:
        served.feed.pending.append(b'{"window":0,"publications":[]}')
        await peer.send(Handshake().request + (early if at_once else b""))
        await served.feed.asked.wait()
        if not at_once:
            await peer.send(early)
            await asyncio.sleep(0.02)
        served.feed.catch_up()
        await peer.read_head()
        await peer.send(masked(Opcode.PING) * 500)
        [close] = frames(await peer.read_all())
        assert close.data == EARLY.disconnect.code.to_bytes(2) + EARLY.disconnect.reason.encode()
        peer.leave()
        await served.hub.deserted.wait()
        assert served.gate.limited == {"early": 1}
        assert served.closes == {("server", "1008"): 1}


async def test_early_data_beyond_a_heads_size_is_refused_as_a_head() -> None:
    """And nothing follows that answer, though the request before it was whole."""
    async with serving() as served, connecting(served) as peer:
        served.feed.pending.append(b'{"window":0,"publications":[]}')
        await peer.send(Handshake().request)
        await served.feed.asked.wait()
        await peer.send(masked(Opcode.TEXT, b"x") * 3000)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 431 ")
        served.feed.catch_up()
        await asyncio.sleep(0.02)
        assert len(served.hub) == 0
        peer.leave()
        while served.gate.census.connections:
            await asyncio.sleep(0)


async def test_requests_before_the_one_for_a_websocket_are_answered_first() -> None:
    """In one read; nothing of that is early."""
    async with serving() as served, connecting(served) as peer:
        handshake = Handshake()
        await peer.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + handshake.request)
        for _ in range(2):
            assert (await peer.read_head()).startswith(b"HTTP/1.1 200 ")
            assert await peer.read(24) == b"The event loop answers.\n"
        handshake.accept(await peer.read_head())
