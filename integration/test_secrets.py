"""No token and no secret stands in anything that an edge says: logs, metrics, errors, answers, frames, the status.

A real edge with its log at ``debug`` is shown tokens in every way, good ones and all kinds of bad ones, through every
transport and refusal, and is drained, killed, and started with settings that are wrong. What it has said is searched.
"""

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from websockets.frames import Opcode

from integration import tokens, topics
from integration.conftest import Install
from integration.fed import Feed
from integration.ports import free_port
from integration.secrets_found import Secret, found
from integration.system import Process, System
from tests.edge.kit.conversation import masked
from tests.strict import Handshake

AUDIENCE: Final = "live.example"
_ANSWER_SECONDS: Final = 10.0
PASSWORD: Final = secrets.token_hex(16)
"""Opens a database that is away."""
API_KEY: Final = secrets.token_hex(16)
"""Stands in the URL of an issuer that is away."""


class Said:
    """What an edge was shown, and all that it said."""

    def __init__(self, edge: Process) -> None:
        self.edge = edge
        self.secrets: list[Secret] = []
        self.texts: list[tuple[str, str]] = []
        self.statuses: set[int] = set()
        self.actions: set[str] = set()
        self.codes: set[int] = set()
        self._subjects = iter(range(10_000))

    def token(self, name: str, **claims: Any) -> str:
        """Make a good token of a new subject, unless the claims say otherwise, and look for it from now on."""
        claims = {"aud": AUDIENCE, "nonce": secrets.token_hex(16), "subject": f"s{next(self._subjects)}", **claims}
        return self.shown(name, tokens.token(**claims))

    def shown(self, name: str, token: str) -> str:
        """Look for a token from now on."""
        self.secrets.append(Secret(name, token, is_token=True))
        return token

    async def ask(self, name: str, head: bytes, after: bytes = b"", *, wait: float = 2.0) -> bytes:
        """Send a request, and what follows its answer; keep all that comes within a moment of silence or to the end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.edge.port)
        answer = b""
        try:
            writer.write(head)
            with contextlib.suppress(TimeoutError, ConnectionError):
                async with asyncio.timeout(_ANSWER_SECONDS):
                    answer = await reader.readuntil(b"\r\n\r\n")
            writer.write(after)
            with contextlib.suppress(TimeoutError, ConnectionError):
                while data := await asyncio.wait_for(reader.read(1 << 16), wait):
                    answer += data
        except asyncio.IncompleteReadError as error:
            answer += error.partial
        finally:
            writer.close()
        self.texts.append((name, answer.decode("latin-1")))
        if answer.startswith(b"HTTP/1.1 "):
            self.statuses.add(int(answer[9:12]))
        return answer

    async def watch(self, name: str, headers: str = "", query: str = "", said: list[bytes] | None = None) -> None:
        """Open a WebSocket, say something, and keep what is answered."""
        handshake = Handshake(f"/{query}")
        head = handshake.request.removesuffix(b"\r\n") + headers.encode("latin-1") + b"\r\n"
        answer = await self.ask(name, head, b"".join(said or []))
        start, end, rest = answer.partition(b"\r\n\r\n")
        if not start.startswith(b"HTTP/1.1 101"):
            return
        # Its subprotocol was put in by hand: the strict client knows nothing of it, and reads the frames alone.
        reader = handshake.accept(
            b"\r\n".join(line for line in start.split(b"\r\n") if not line.startswith(b"Sec-WebSocket-Protocol")) + end
        )
        for frame in reader.feed(rest):
            if frame.opcode is Opcode.TEXT:
                message = json.loads(bytes(frame.data))
                code = message.get("payload", {}).get("code", "")
                self.actions.add(f"{message['action']} {code}".strip())
        if reader.close is not None:
            self.codes.add(reader.close.code)

    def look(self) -> None:
        """Keep what everybody may ask for."""
        for path in ("/metrics", "/readyz", "/livez", "/status.json", "/"):
            _, text = self.edge.ask(path)
            self.texts.append((path, text))

    def log(self) -> str:
        """Return all of its log."""
        return self.edge.log.read_text("utf-8", "replace")


def in_header(token: str) -> str:
    """Make the header for programs."""
    return f"Authorization: Bearer {token}\r\n"


def in_protocol(token: str) -> str:
    """Make the header for browsers."""
    return f"Sec-WebSocket-Protocol: postcast.v1, postcast.token.{token}\r\n"


def request(path: str, headers: str = "", method: str = "GET") -> bytes:
    """Make a request that is the last on its connection."""
    return f"{method} {path} HTTP/1.1\r\nHost: live.example\r\nConnection: close\r\n{headers}\r\n".encode("latin-1")


def bad_tokens(said: Said) -> Iterator[tuple[str, str]]:
    """Make one of each kind."""
    key = {"sub": "alice", "aud": AUDIENCE, "nonce": secrets.token_hex(16)}
    yield "expired", said.token("expired", seconds=-3600)
    yield "early", said.token("early", nbf=4_000_000_000)
    yield "another audience", said.token("another audience", aud="elsewhere.example")
    yield "another secret", said.token("another secret", secret=secrets.token_hex(32))
    yield "refresh", said.token("refresh", type="refresh")
    yield "no signature", said.shown("no signature", jwt.encode(key, "", "none"))
    yield "another algorithm", said.shown("another algorithm", jwt.encode(key, tokens.SECRET * 2, "HS512"))
    yield "a claim of another form", said.token("a claim of another form", postcast={"authors": ["7"]})
    yield "a name of a path", said.shown("path", jwt.encode(key, tokens.SECRET, "HS256", {"kid": "../../etc/passwd"}))
    yield "no subject", said.shown("no subject", jwt.encode({"nonce": key["nonce"]}, tokens.SECRET, "HS256"))
    rsa = generate_private_key(65537, 2048)
    yield (
        "a key that cannot be had",
        said.shown("a key that cannot be had", jwt.encode(key, rsa, "RS256", {"kid": "1"})),
    )
    yield "no token at all", said.shown("no token at all", f"x.{secrets.token_hex(20)}.y")
    yield "cut off", said.token("cut off").rpartition(".")[0]
    yield "too long", said.token("too long", more="x" * 9000)


@pytest.fixture
def system(install: Install) -> System:
    system = install(
        JWT_SECRET_KEY=tokens.SECRET,
        JWT_AUDIENCE=AUDIENCE,
        JWT_JWKS_URL=f"http://127.0.0.1:9/keys?key={API_KEY}",
        POSITIONS_URL=f"postgres://edge:{PASSWORD}@127.0.0.1:9/positions",
        TOKEN_IN_QUERY="true",
        LOG_LEVEL="debug",
        HEARTBEAT_SECONDS=1,
        LONG_POLL_SECONDS=1,
        DRAIN_SECONDS=1,
    )
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    return system


async def _all_ways(said: Said, name: str, token: str) -> None:
    """Show a token in each way to each transport, all at once."""
    ways = (("header", in_header(token), ""), ("subprotocol", in_protocol(token), ""), ("query", "", f"token={token}"))
    wishes = ("history=0", "author=x", "cursor=no&history=1", "device=!", "device=phone")
    requests = [("GET", path) for path in ("/events", "/posts", "/status.json", "/page/none.js", "/")]
    requests += [("HEAD", "/posts"), ("POST", "/posts")]
    watched = (
        said.watch(f"{name}, {way}, {wish}", headers, f"?{query}&{wish}")
        for way, headers, query in ways
        for wish in wishes
    )
    asked = (
        said.ask(f"{name}, {way}, {method} {path}", request(f"{path}?{query}", headers, method))
        for way, headers, query in ways
        for method, path in requests
    )
    await asyncio.gather(*watched, *asked)


async def _while_it_cannot_be_understood(said: Said) -> None:
    """Show a token in what is no request."""
    token = said.token("in what is no request")
    version = "Sec-WebSocket-Version: 13\r\n"
    upgrade = "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    unread = (
        ("no method", f"{token} / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("no version", f"GET /?token={token} HTTP/9\r\n\r\n"),
        ("no header", f"GET / HTTP/1.1\r\nHost: x\r\n{token}\r\n\r\n"),
        ("a control character", f"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\x01\r\n\r\n"),
        ("two hosts", f"GET / HTTP/1.1\r\nHost: x\r\nHost: {token}\r\n\r\n"),
        ("no length", f"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: {token}\r\n\r\n"),
        ("an expectation", f"GET / HTTP/1.1\r\nHost: x\r\nExpect: {token}\r\n\r\n"),
        ("too long a URL", f"GET /?author={'1' * 9000}&token={token} HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("too large a head", f"GET / HTTP/1.1\r\nHost: x\r\nX: {'y' * 17000}\r\nAuthorization: Bearer {token}\r\n\r\n"),
        (
            "an old WebSocket",
            f"{upgrade}Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: {token}\r\n{in_header(token)}\r\n",
        ),
        (
            "an extension",
            f"{upgrade}{version}Sec-WebSocket-Key: {'A' * 22}==\r\nSec-WebSocket-Extensions: {token}; =\r\n\r\n",
        ),
        ("not to its end", f"GET / HTTP/1.1\r\nHost: x\r\n{in_header(token)}"),
    )
    await asyncio.gather(*(said.ask(name, head.encode("latin-1"), wait=2.0) for name, head in unread))


async def _in_messages(said: Said, good: str) -> None:
    """Renew a token well and badly, and say tokens where none belongs."""

    def text(**members: Any) -> bytes:
        return masked(Opcode.TEXT, json.dumps(members).encode())

    again = said.token("renewal", subject="alice")
    other = said.token("renewal of another", subject="bob")
    bad = said.token("bad renewal", subject="alice", secret=secrets.token_hex(32))
    stray = said.token("where none belongs")
    ask = [
        text(action="token", id=1, payload={"token": again}),
        text(action="token", id=2, payload={"token": other}),
        text(action="token", id=3, payload={"token": bad}),
        text(action="token", id=4, payload={"token": [stray]}),
        text(action="ack", id=5, payload={"cursor": stray}),
        text(action="filter", id=6, payload={"authors": [stray]}),
        text(action=stray, id=7),
        masked(Opcode.TEXT, stray.encode()),
        masked(Opcode.TEXT, b'{"action":"token","payload":{"token":"' + stray.encode() + b"x" * 70_000 + b'"}}'),
    ]
    await said.watch("messages", in_protocol(good), "", ask)
    await said.watch("a close", in_protocol(good), "", [masked(Opcode.CLOSE, b"\x03\xe8" + stray.encode()[:120])])
    await said.watch("too many errors", in_protocol(good), "", [text(action=stray)] * 12)
    await said.watch("a broken frame", in_protocol(good), "", [b"\xff" + stray.encode()])
    await said.watch("no text", in_protocol(good), "", [masked(Opcode.TEXT, b"\xff" + stray.encode())])
    await said.watch("too large", in_protocol(good), "", [masked(Opcode.TEXT, stray.encode() * 1500)])


async def _each(said: Said) -> AsyncIterator[str]:
    """Do it all, and say what was done."""
    good = said.token("good", subject="alice")
    await _all_ways(said, "good", good)
    yield "good tokens"
    for name, token in bad_tokens(said):
        await _all_ways(said, name, token)
    yield "bad tokens"
    await _while_it_cannot_be_understood(said)
    yield "what is no request"
    await _in_messages(said, good)
    yield "messages"


async def _while_it_is_full(system: System) -> Said:
    """Show tokens to an edge that takes nobody else for now."""
    edge = system.edge(MAX_CONNECTIONS_PER_ADDRESS=1, ADMIN_PORT=free_port())
    said = Said(await asyncio.to_thread(edge.until_ready))
    token = said.token("while it is full")
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    writer.write(Handshake().request)
    await reader.readuntil(b"\r\n\r\n")
    # Of many at once it answers a few.
    await said.watch("full, subprotocol", in_protocol(token), "?history=0")
    await said.watch("full, header", in_header(token), "?history=0")
    for path in ("/events", "/posts"):
        await said.ask(f"full, {path}", request(f"{path}?token={token}"))
    writer.close()
    return said


async def test_no_token_and_no_secret_is_said_anywhere(system: System) -> None:
    edge = await asyncio.to_thread(system.edge(MAX_CONNECTIONS_PER_SUBJECT=2, HANDSHAKE_SECONDS=1).until_ready)
    said, feed = Said(edge), Feed(system)
    said.secrets += [Secret("the key", tokens.SECRET), Secret("password", PASSWORD), Secret("API key", API_KEY)]
    await feed.show(3)
    async for _ in _each(said):
        await feed.show(1)
        await asyncio.to_thread(said.look)
    # It is drained while clients are there, and killed while others are.
    good = said.token("good, while it ends", subject="carol")
    watching = [asyncio.create_task(said.watch("drain", in_protocol(good))) for _ in range(3)]
    await asyncio.sleep(0)
    assert await asyncio.to_thread(edge.terminate) == 0
    await asyncio.gather(*watching)
    await asyncio.to_thread(edge.start().until_ready)
    watching = [asyncio.create_task(said.watch("kill", in_protocol(good)))]
    edge.kill()
    await asyncio.gather(*watching, return_exceptions=True)
    full = await _while_it_is_full(system)
    # All of it has happened.
    assert {101, 200, 400, 401, 404, 405, 414, 426, 429, 431, 503} <= said.statuses
    assert 429 in full.statuses
    assert ({4500, 4501} <= said.codes, full.codes) == (True, {4001})
    assert {"authorized", "error wrong_subject", "error token_refused", "error too_big"} <= said.actions
    log = said.log()
    assert '"event": "session.opened"' in log
    assert found([*said.secrets, *full.secrets], [*said.texts, *full.texts, ("the log", log + full.log())]) == []


async def test_settings_that_are_wrong_are_told_without_the_secret(system: System) -> None:
    """The process ends with a sentence, and shows nothing of what it was given."""
    key = secrets.token_hex(32)
    public = (
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    )
    for variables in (
        {"JWT_SECRET_KEY": f" {key}"},
        {"JWT_SECRET_KEY": f"{key},"},
        {"JWT_SECRET_KEY": key, "JWT_SECRET_KEY_FILE": "/nowhere"},
        {"JWT_SECRET_KEY": f"{key},{public}"},
        {"JWT_SECRET_KEY": key, "AUTH_REQUIRED": key},
    ):
        edge = system.edge(**variables)
        assert await asyncio.to_thread(edge.until_ended, 60) != 0
        assert found([Secret("the key", key)], [("the log", edge.log.read_text())]) == []


def test_a_secret_is_found_however_it_is_written() -> None:
    token = tokens.token(nonce=secrets.token_hex(8))
    secret, (_, payload, signature) = Secret("t", token, is_token=True), token.split(".")
    for said in (token, f"Bearer {token}", payload, signature, token[:-1], token[len(token) // 2 :], f"%20{signature}"):
        assert found([secret], [("log", f"… {said} …")])
    assert found([Secret("k", "a/b+c d" * 5)], [("log", f"x={'a%2Fb%2Bc%20d' * 5}&")])
    assert not found([secret], [("log", tokens.token("bob"))])
