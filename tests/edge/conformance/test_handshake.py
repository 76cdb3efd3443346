"""RFC 6455 §4.2: each rule for a client's opening handshake, and the status that breaking it must get.

``DEVIATIONS`` says what the edge does otherwise: see test_conformance.
"""

import asyncio
import http.client
from collections.abc import Sequence
from io import BytesIO
from typing import Final, NamedTuple

import pytest
from websockets.client import ClientProtocol
from websockets.frames import Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from edge.page import live_page
from edge.wire.allowance import EARLY
from tests.edge.kit.conversation import masked
from tests.edge.kit.edge import Edge, serving
from tests.edge.kit.records import frames

KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="
REQUIRED: Final = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


class Answer(NamedTuple):
    """A status, and the subprotocol of a 101."""

    status: int
    subprotocol: str | None = None


class Rule(NamedTuple):
    """A request, by what it changes or adds, and what must come back."""

    section: str
    name: str
    changes: Sequence[tuple[str, str | None]]
    answer: Answer
    line: str = "GET / HTTP/1.1"


OPEN: Final = Answer(101)
BAD: Final = Answer(400)
PAGE: Final = Answer(200)
OTHER_VERSION: Final = Answer(426)

RULES: Final = [
    Rule("4.2.1", "a handshake", [], OPEN),
    # Method, target and version of HTTP.
    Rule("4.2.1", "with a query", [], OPEN, "GET /?unknown=1 HTTP/1.1"),
    Rule("4.2.1", "for an absolute URI", [], OPEN, "GET http://localhost/ HTTP/1.1"),
    Rule("4.2.1", "for another path", [], Answer(404), "GET /ws HTTP/1.1"),
    Rule("4.2.1", "with HEAD", [], PAGE, "HEAD / HTTP/1.1"),
    *[
        Rule("4.2.1", f"with {method}", [("Content-Length", "0")], Answer(405), f"{method} / HTTP/1.1")
        for method in ("POST", "PUT", "DELETE")
    ],
    # It is answered as a browser's question before a request to another origin.
    Rule("4.2.1", "with OPTIONS", [("Content-Length", "0")], Answer(204), "OPTIONS / HTTP/1.1"),
    Rule("4.2.1", "in HTTP/1.0", [], PAGE, "GET / HTTP/1.0"),
    Rule("4.2.1", "in HTTP/2.0 without its framing", [], PAGE, "GET / HTTP/2.0"),
    Rule("4.2.1", "in no version of HTTP", [], BAD, "GET / HTTP/1.2"),
    # Host.
    Rule("4.2.1", "without a host", [("Host", None)], BAD),
    Rule("4.2.1", "with two hosts", [("Host", "localhost"), ("Host", "other")], BAD),
    # Upgrade.
    Rule("4.2.1", "with Upgrade in another case", [("upgrade", "WebSocket")], OPEN),
    Rule("4.2.1", "with WebSocket in a list", [("Upgrade", "h2c, websocket")], OPEN),
    Rule("4.2.1", "with two headers Upgrade", [("Upgrade", "websocket"), ("Upgrade", "h2c")], OPEN),
    Rule("4.2.1", "without Upgrade", [("Upgrade", None)], PAGE),
    Rule("4.2.1", "with Upgrade to something else", [("Upgrade", "h2c")], PAGE),
    Rule("4.2.1", "with Upgrade to what only contains it", [("Upgrade", "notwebsocket")], PAGE),
    # Connection.
    Rule("4.2.1", "with Connection in another case", [("connection", "UPGRADE")], OPEN),
    Rule("4.2.1", "with Upgrade in a list of Connection's", [("Connection", "keep-alive,Upgrade")], OPEN),
    Rule("4.2.1", "with two headers Connection", [("Connection", "keep-alive"), ("Connection", "upgrade")], OPEN),
    Rule("4.2.1", "without Connection", [("Connection", None)], BAD),
    Rule("4.2.1", "with another Connection", [("Connection", "keep-alive")], BAD),
    # Key.
    Rule("4.2.1", "without a key", [("Sec-WebSocket-Key", None)], BAD),
    *[
        Rule("4.2.1", f"with {name}", [("Sec-WebSocket-Key", key)], BAD)
        for name, key in (
            ("an empty key", ""),
            ("a key of 15 bytes", "dGhlIHNhbXBsZSBub25j"),
            ("a key of 18 bytes", "dGhlIHNhbXBsZSBub25jZSE="),
            ("a key without padding", "dGhlIHNhbXBsZSBub25jZQ"),
            ("a key that is no base64", "!!!!!!!!!!!!!!!!!!!!!!=="),
            ("a key in base64url", "_-hlIHNhbXBsZSBub25jZQ=="),
            ("a key with a space in it", "dGhl IHNhbXBsZSBub25jZQ=="),
            ("a key that is no ASCII", "éGhlIHNhbXBsZSBub25jZQ=="),
        )
    ],
    Rule("11.3.1", "with two keys", [("Sec-WebSocket-Key", KEY), ("Sec-WebSocket-Key", KEY)], BAD),
    # Version.
    Rule("4.4", "without a version", [("Sec-WebSocket-Version", None)], OTHER_VERSION),
    *[
        Rule("4.4", f"with version {version}", [("Sec-WebSocket-Version", version)], OTHER_VERSION)
        for version in ("0", "7", "8", "12", "14", "013", "255", "x", "13, 8")
    ],
    Rule("11.3.5", "with two versions", [("Sec-WebSocket-Version", "13")] * 2, OTHER_VERSION),
    # Subprotocols and extensions.
    Rule("4.2.2", "with ours", [("Sec-WebSocket-Protocol", "postcast.v1")], Answer(101, "postcast.v1")),
    Rule(
        "4.2.2", "with ours among others", [("Sec-WebSocket-Protocol", "chat,postcast.v1")], Answer(101, "postcast.v1")
    ),
    Rule("4.2.2", "with others", [("Sec-WebSocket-Protocol", "chat, superchat")], OPEN),
    Rule("4.2.2", "with ours in another case", [("Sec-WebSocket-Protocol", "Postcast.V1")], OPEN),
    Rule(
        "11.3.4",
        "with ours in a second header",
        [("Sec-WebSocket-Protocol", "chat"), ("Sec-WebSocket-Protocol", "postcast.v1")],
        Answer(101, "postcast.v1"),
    ),
    Rule("9.1", "with an extension that nobody knows", [("Sec-WebSocket-Extensions", "x-none; a=1")], OPEN),
    Rule("4.2.1", "with other headers", [("Origin", "https://other.example"), ("Cookie", "a=b"), ("X-A", "")], OPEN),
]

DEVIATIONS: Final = {
    # Behind such a request aiohttp reads the next one, so that early data could not be told.
    "with WebSocket in a list": BAD,
}


def request_of(rule: Rule) -> tuple[bytes, str]:
    """Return the request's bytes and the key in it."""
    changed = {name.title() for name, _ in rule.changes}
    headers = [(name, value) for name, value in REQUIRED.items() if name.title() not in changed]
    headers += [(name, value) for name, value in rule.changes if value is not None]
    lines = [rule.line, *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode(), dict(headers).get("Sec-WebSocket-Key", "")


async def ask(edge: Edge, rule: Rule) -> tuple[Answer, http.client.HTTPMessage]:
    """Send a request; return the answer and all of its headers. A 101 must be right in every detail."""
    request, key = request_of(rule)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
    line, _, rest = head.partition(b"\r\n")
    status, headers = int(line.split()[1]), http.client.parse_headers(BytesIO(rest))
    if status != http.HTTPStatus.SWITCHING_PROTOCOLS:
        return Answer(status), headers
    client = ClientProtocol(
        parse_uri("ws://localhost/"), subprotocols=[Subprotocol(name) for name in ("chat", "postcast.v1")]
    )
    client.key = key
    client.receive_data(head)
    assert client.state is State.OPEN, client.handshake_exc
    return Answer(status, client.subprotocol), headers


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.section} {rule.name}")
async def test_a_handshake_is_answered_by_the_rules(rule: Rule) -> None:
    async with serving() as edge:
        answer, headers = await ask(edge, rule)
        assert "Server" not in headers
        assert answer == DEVIATIONS.get(rule.name, rule.answer)
        if answer == OTHER_VERSION:
            told = {name: headers[name] for name in ("Sec-WebSocket-Version", "Upgrade", "Connection")}
            assert told == {"Sec-WebSocket-Version": "13", "Upgrade": "websocket", "Connection": "Upgrade"}
        if answer == PAGE:
            assert headers["Content-Length"] == str(len(live_page()["/"].body))
        if answer.status != OPEN.status:
            assert len(edge.hub) == 0


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if rule.answer.status == 101], ids=lambda rule: f"{rule.section} {rule.name}"
)
async def test_whatever_the_handshake_is_nothing_may_come_behind_it(rule: Rule) -> None:
    """RFC 6455 §4.1; and aiohttp has not parsed it, or it would be gone and what follows be read from its middle."""
    request, _ = request_of(rule)
    async with serving() as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(request + masked(Opcode.PING, b"early"))
        if rule.name in DEVIATIONS:
            assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        else:
            await reader.readuntil(b"\r\n\r\n")
            # Behind a welcome, for who has asked for one.
            *_, close = frames(await reader.read())
            assert (close.opcode, close.data) == (Opcode.CLOSE, b"\x03\xf0" + EARLY.disconnect.reason.encode())
            assert edge.gate.limited == {"early": 1}
        writer.close()


async def test_a_broken_handshake_costs_no_question_to_kafka() -> None:
    """It is refused before anybody waits for the feed's end."""
    async with serving() as edge:
        edge.feed.trouble = "Kafka does not answer."
        answer, _ = await ask(edge, Rule("4.4", "version 8", [("Sec-WebSocket-Version", "8")], OTHER_VERSION))
        assert answer == OTHER_VERSION
        assert not edge.feed.asked.is_set()
