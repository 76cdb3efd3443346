"""The strict reader lets a server's frames pass, and nothing else."""

import zlib

import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

from tests.edge.kit.listening import listening
from tests.edge.kit.records import frames
from tests.strict import Broken, Handshake, Reader, StrictConnection

GOOD = b"".join(
    Frame(opcode, payload).serialize(mask=False)
    for opcode, payload in [
        (Opcode.TEXT, b""),
        (Opcode.TEXT, "ä".encode() * 62 + b"."),
        (Opcode.TEXT, b"x" * 126),
        (Opcode.PING, b""),
        (Opcode.TEXT, b"x" * 65_535),
        (Opcode.PONG, b"x" * 125),
        (Opcode.TEXT, b"x" * 65_536),
        (Opcode.CLOSE, b"\x0f\xa8" + b"x" * 123),
    ]
)


@pytest.mark.parametrize("cut", [1, 7, len(GOOD)])
def test_what_a_server_may_send_passes_however_it_is_cut(cut: int) -> None:
    reader = Reader()
    received = [frame for at in range(0, len(GOOD), cut) for frame in reader.feed(GOOD[at : at + cut])]
    reader.end()
    assert b"".join(frame.serialize(mask=False) for frame in received) == GOOD
    assert reader.close is not None
    assert reader.close.code == 4008


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x81\x81\0\0\0\0x", id="masked"),
        pytest.param(b"\xc1\x01x", id="RSV1"),
        pytest.param(b"\xa1\x01x", id="RSV2"),
        pytest.param(b"\x91\x01x", id="RSV3"),
        pytest.param(b"\x83\x00", id="reserved data opcode"),
        pytest.param(b"\x8b\x00", id="reserved control opcode"),
        pytest.param(b"\x82\x00", id="binary"),
        pytest.param(b"\x01\x01x", id="a first fragment"),
        pytest.param(b"\x80\x01x", id="a continuation"),
        pytest.param(b"\x09\x00", id="fragmented ping"),
        pytest.param(b"\x89\x7e\x00\x7e" + b"x" * 126, id="long ping"),
        pytest.param(b"\x81\x7e\x00\x7d" + b"x" * 125, id="125 as 16 bits"),
        pytest.param(b"\x81\x7f" + (125).to_bytes(8) + b"x" * 125, id="125 as 64 bits"),
        pytest.param(b"\x81\x7f" + (65_535).to_bytes(8) + b"x" * 65_535, id="65,535 as 64 bits"),
        pytest.param(b"\x81\x7f" + (1 << 63).to_bytes(8), id="more than 63 bits"),
        pytest.param(b"\x81\x02\xc3\x28", id="no UTF-8"),
        pytest.param(b"\x81\x03\xed\xa0\x80", id="a surrogate"),
        pytest.param(b"\x88\x01\x03", id="half a close code"),
        pytest.param(b"\x88\x02" + (1005).to_bytes(2), id="close 1005"),
        pytest.param(b"\x88\x02" + (1006).to_bytes(2), id="close 1006"),
        pytest.param(b"\x88\x02" + (1010).to_bytes(2), id="close 1010, the client's"),
        pytest.param(b"\x88\x02" + (1100).to_bytes(2), id="close 1100"),
        pytest.param(b"\x88\x02" + (5000).to_bytes(2), id="close 5000"),
        pytest.param(b"\x88\x03\x03\xe8\xff", id="a reason that is no UTF-8"),
        pytest.param(b"\x88\x02\x03\xe8\x89\x00", id="a ping after the close"),
        pytest.param(b"\x88\x02\x03\xe8\x81", id="half a frame after the close"),
        pytest.param(b"\x81", id="half a header"),
        pytest.param(b"\x81\x02x", id="half a payload"),
    ],
)
def test_what_a_server_may_not_send_is_refused(sent: bytes) -> None:
    """Also when it is only the end of the connection that makes it wrong."""
    with pytest.raises(Broken):
        frames(b"\x81\x00" + sent)


def deflated(payload: bytes) -> bytes:
    """Compress a message alone (RFC 7692 §7.2.1)."""
    deflate = zlib.compressobj(wbits=-15)
    return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_what_was_negotiated_passes_and_its_text_is_checked() -> None:
    """RFC 7692: RSV1 on a message, not on a control frame; the length is that on the wire."""
    agreed = PerMessageDeflate(False, False, 15, 15)
    for payload in (b"x" * 70_000, b"y" * 70_000):
        data = deflated(payload)
        [frame] = Reader([agreed]).feed(bytes([0xC1, len(data)]) + data)
        assert bytes(frame.data) == payload
    bad = deflated(b"\xff")
    for sent in (b"\xc9\x00", bytes([0xC1, len(bad)]) + bad, b"\xc1\x7e\x00\x04abcd", b"\xc1\x02\xff\xff"):
        with pytest.raises(Broken):
            Reader([agreed]).feed(sent)


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="no 101"),
        pytest.param(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            id="the answer to another key",
        ),
    ],
)
def test_a_handshake_that_is_none_is_refused(head: bytes) -> None:
    with pytest.raises(Broken):
        Handshake().accept(head)


async def test_a_library_that_lets_it_pass_fails_at_its_close() -> None:
    """Also when the frame comes in the segment of the 101."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        assert request.transport is not None
        request.transport.write(b"\x81\x7e\x00\x02ab")
        async for _ in websocket:
            pass
        return websocket

    application = web.Application()
    application.router.add_get("/", handle)
    async with listening(application) as port:
        client = await connect(f"ws://127.0.0.1:{port}/", create_connection=StrictConnection)
        assert await client.recv() == "ab"
        with pytest.raises(Broken):
            await client.close()
