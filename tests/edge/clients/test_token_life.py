"""From a token's first second to its last, on every transport: what clients are told, and how they go on."""

import asyncio
import contextlib
import json
import time
from collections.abc import Mapping
from typing import Any

import aiohttp
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from edge.access.bearers import Bearers, Given
from edge.access.grant import LEEWAY_SECONDS
from edge.access.keys import Keys, secrets_of
from edge.access.tokens import Rules
from edge.wire.handshake import SUBPROTOCOL
from streams.contract import Publication
from tests.edge.kit.edge import PAGING, Edge, posts, serving
from tests.edge.kit.records import publication
from tests.edge.kit.sign_in import MemorySignIn, granted
from tests.edge.kit.streams import listening_to
from tests.edge.kit.tokens import SECRET, signed

FOR_GOOD = 3600.0
SOON = 3 - LEEWAY_SECONDS
"""The age of a token that is still taken, and not for long; a busy machine has time to connect with it."""


def by_secret() -> Bearers:
    """Sign in whoever has a token of the tests' own."""
    return Bearers(Given(Keys(secrets_of(SECRET))), Rules())


def token(seconds: float, *authors: int, subject: str = "7") -> str:
    """Make a token that expires in so many seconds, for these authors or everybody."""
    claims: dict[str, Any] = {"sub": subject, "exp": time.time() + seconds}
    return signed({**claims, "postcast": {"authors": authors}} if authors else claims)


def bearer(text: str) -> tuple[tuple[str, str], ...]:
    """Return the header that a token comes in."""
    return (("Authorization", f"Bearer {text}"),)


async def received(client: ClientConnection) -> Any:
    """Receive a message."""
    return json.loads(await client.recv())


async def answer(client: ClientConnection, action: str, payload: Mapping[str, object]) -> Any:
    """Ask, and return the answer; posts may come before it."""
    await client.send(json.dumps({"action": action, "id": "me", "payload": payload}))
    while True:
        message = await received(client)
        if message.get("id") == "me":
            return message


async def closing(client: ClientConnection) -> tuple[list[Any], int, str]:
    """Return all messages up to the close, its code, and why."""
    messages: list[Any] = []
    try:
        while True:
            messages.append(await received(client))
    except ConnectionClosed as closed:
        return (messages, 1006, "") if closed.rcvd is None else (messages, closed.rcvd.code, closed.rcvd.reason)


def by(author: int, number: int) -> Publication:
    """Make a post."""
    return publication(number, author=author)


async def test_a_v1_client_is_told_and_closed_and_goes_on_with_another_token() -> None:
    """4501 without a time to come back, since it is not to come back with that token; its cursor is still good."""
    async with serving(sign_in=by_secret()) as edge:
        old = token(SOON)
        async with edge.connect("", SUBPROTOCOL, headers=bearer(old)) as client:
            welcome = (await received(client))["payload"]
            edge.feed.publish(1)
            messages, code, reason = await closing(client)
            assert (code, reason) == (4501, "the token has run out")
            told = {message["action"]: message for message in messages}
            assert (len(messages), set(told)) == (2, {"created", "expiring"})
            assert told["expiring"]["payload"]["expires_at"] == welcome["expires_at"]
        edge.feed.publish(2)
        query = f"?cursor={told['created']['cursor']}"
        async with edge.connect(query, SUBPROTOCOL, headers=bearer(token(FOR_GOOD))) as client:
            assert (await received(client))["payload"]["recovered"] is True
            assert await posts(client, 1) == [2]
        async with edge.connect(query, SUBPROTOCOL, headers=bearer(old)) as client:
            assert (await closing(client))[:2] == ([], 4501)
        assert edge.closes["server", "4501"] == 1


async def test_a_plain_client_is_told_nothing_but_the_close() -> None:
    async with serving(sign_in=by_secret()) as edge, edge.connect(headers=bearer(token(SOON))) as client:
        edge.feed.publish(1)
        assert (await closing(client))[:2] == ([{"action": "created", "payload": {"id": 1}}], 4501)


async def test_a_client_brings_another_token_and_goes_on() -> None:
    """Longer than the old one, and with what that one allows: nothing behind the answer is another's."""
    old = bearer(token(SOON))
    async with (
        serving(sign_in=by_secret()) as edge,
        edge.connect("", SUBPROTOCOL, headers=old) as client,
        edge.connect("", SUBPROTOCOL, headers=old) as other,
    ):
        await received(client)
        edge.feed.publish(by(1, 1), by(2, 2))
        assert await posts(client, 2) == [1, 2]
        told = await answer(client, "token", {"token": token(FOR_GOOD, 2)})
        assert (told["action"], set(told["payload"])) == ("authorized", {"expires_at"})
        edge.feed.publish(by(1, 3), by(2, 4))
        assert await posts(client, 1) == [4]
        assert (await closing(other))[1] == 4501
        edge.feed.publish(by(1, 5), by(2, 6))
        assert await posts(client, 1) == [6]


async def test_what_is_not_taken_is_an_error_and_the_old_token_stays_until_its_end() -> None:
    brought = {
        token(FOR_GOOD, subject="8"): "wrong_subject",
        token(-LEEWAY_SECONDS - 1): "token_refused",
        signed({"sub": "7"}, "another secret, which is long enough, too"): "token_refused",
        "no token at all": "token_refused",
        "": "token_refused",
    }

    async def bring(client: ClientConnection, text: str, code: str) -> None:
        told = await answer(client, "token", {"token": text})
        assert (told["action"], told["payload"]["code"]) == ("error", code)
        assert not text or text not in str(told)

    async with serving(sign_in=by_secret()) as edge, contextlib.AsyncExitStack() as stack:
        old = bearer(token(SOON, 1))
        clients = [
            await stack.enter_async_context(edge.connect("", SUBPROTOCOL, headers=old)) for _ in range(len(brought))
        ]
        await asyncio.gather(*(bring(client, *each) for client, each in zip(clients, brought.items(), strict=True)))
        edge.feed.publish(by(2, 1), by(1, 2))
        for client in clients:
            messages, code, _ = await closing(client)
            assert [each["payload"]["id"] for each in messages if each["action"] == "created"] == [2]
            assert code == 4501


async def test_a_client_without_a_token_cannot_sign_in_on_its_connection() -> None:
    async with serving(sign_in=by_secret()) as edge, edge.connect("", SUBPROTOCOL) as client:
        assert "expires_at" not in (await received(client))["payload"]
        told = await answer(client, "token", {"token": token(FOR_GOOD)})
        assert told["payload"]["code"] == "wrong_subject"


async def test_posts_go_on_while_the_key_of_a_token_is_fetched() -> None:
    """And what was asked for behind it is answered behind it."""
    sign_in = MemorySignIn({"old": granted("7")})
    sign_in.fetched["new"] = granted("7", 2)
    async with serving(sign_in=sign_in) as edge, edge.connect("", SUBPROTOCOL, headers=bearer("old")) as client:
        await received(client)
        for action, payload in (("token", {"token": "new"}), ("filter", {"authors": [1, 2]})):
            await client.send(json.dumps({"action": action, "payload": payload}))
        await sign_in.awaited.wait()
        edge.feed.publish(by(1, 1))
        assert (await received(client))["payload"]["id"] == 1
        sign_in.fetch()
        assert [(await received(client))["action"] for _ in range(2)] == ["authorized", "filtered"]
        edge.feed.publish(by(1, 2), by(2, 3))
        assert await posts(client, 1) == [3]


async def test_a_client_that_leaves_while_a_key_is_fetched_is_nobodys_fault() -> None:
    sign_in = MemorySignIn({"old": granted("7")})
    sign_in.fetched["new"] = granted("7", 2)
    async with serving(sign_in=sign_in) as edge:
        async with edge.connect("", SUBPROTOCOL, headers=bearer("old")) as client:
            await client.send(json.dumps({"action": "token", "payload": {"token": "new"}}))
            await sign_in.awaited.wait()
        await edge.hub.deserted.wait()
        assert len(edge.around.bearers) == 1
        sign_in.fetch()
        while len(edge.around.bearers):
            await asyncio.sleep(0)


async def test_a_drain_waits_for_no_key() -> None:
    """The client takes its token elsewhere."""
    sign_in = MemorySignIn({"old": granted("7")})
    sign_in.fetched["new"] = granted("7", 2)
    async with serving(sign_in=sign_in) as edge, edge.connect("", SUBPROTOCOL, headers=bearer("old")) as client:
        await client.send(json.dumps({"action": "token", "payload": {"token": "new"}}))
        await sign_in.awaited.wait()
        (messages, code, _), _ = await asyncio.gather(closing(client), edge.server.drain(1))
        assert ([message["action"] for message in messages], code) == (["welcome"], 1001)
        sign_in.fetch()
        while len(edge.around.bearers):
            await asyncio.sleep(0)


async def test_an_event_stream_says_the_same_and_its_client_is_refused_unless_it_has_another_token() -> None:
    """``EventSource`` comes back by itself: 401 is what ends that."""
    async with serving(sign_in=by_secret()) as edge:
        old = f"Authorization: Bearer {token(SOON)}"
        async with listening_to(edge, "/events", old) as client:
            [welcome] = await client.events(1)
            edge.feed.publish(1)
            first, second = await client.events(2)
            expiring = first if first.type == "expiring" else second
            assert expiring.message["payload"] == {"expires_at": welcome.message["payload"]["expires_at"]}
            [end] = await client.rest()
            assert end.message["payload"] == {"code": 4501, "reason": "the token has run out"}
            newest = end.last_event_id
            # Each event has the place where it stands: to whichever comes first, the welcome's, and then the post's.
            assert first.last_event_id in (welcome.last_event_id, newest)
            assert second.last_event_id == newest == str(edge.log.cursor_at(edge.log.head))
            assert client.reader.retry is not None
            assert client.reader.retry >= 1000
        edge.feed.publish(2)
        async with listening_to(edge, "/events", old, f"Last-Event-ID: {newest}") as client:
            assert client.status == 401
        fresh = f"Authorization: Bearer {token(FOR_GOOD)}"
        async with listening_to(edge, "/events", fresh, f"Last-Event-ID: {newest}") as client:
            welcome, post = await client.events(2)
            assert (welcome.message["payload"]["recovered"], post.message["payload"]["id"]) == (True, 2)


async def ask(edge: Edge, query: str, text: str) -> tuple[int, Mapping[str, str], bytes]:
    """Ask for posts."""
    url, headers = f"http://127.0.0.1:{edge.port}/posts{query}", dict(bearer(text))
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, response.headers, await response.read()


async def test_a_long_poll_ends_with_its_token_and_goes_on_with_another() -> None:
    """At once, where it would wait for 25 s."""
    async with serving(sign_in=by_secret(), paging=PAGING) as edge:
        edge.feed.publish(1)
        old = token(SOON)
        began = edge.loop.time()
        status, headers, _ = await ask(edge, "?offset=now&live=long-poll", old)
        assert (status, headers["Stream-Up-To-Date"]) == (204, "true")
        assert edge.loop.time() - began < 20
        edge.feed.publish(2)
        query = f"?offset={headers['Stream-Next-Offset']}&live=long-poll"
        assert (await ask(edge, query, old))[0] == 401
        status, _, body = await ask(edge, query, token(FOR_GOOD))
        assert (status, [message["payload"]["id"] for message in json.loads(body)]) == (200, [2])
