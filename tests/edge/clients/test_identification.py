"""Who a client is, on each transport: with clients on loopback, and with tokens that only a double knows."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from multidict import CIMultiDict, MultiDict
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from edge.access.bearers import Bearers, Given
from edge.access.grant import Grant, TokenRefused
from edge.access.keys import Keys, secrets_of
from edge.access.sign_in import ANYBODY, Demands, NobodySignsIn, Outcome, SignIn
from edge.access.tokens import MAX_BYTES, Rules
from edge.clients.identification import Identification
from edge.fanout.deadlines import Patience
from edge.feed.postings import Postings
from edge.feed.selection import Selection, Selections
from edge.wire.handshake import Rejected
from tests.edge.kit.edge import Edge, posts, serving
from tests.edge.kit.records import publication
from tests.edge.kit.sign_in import REFUSED, MemorySignIn, granted
from tests.edge.kit.streams import Listener, ids, listening_to
from tests.edge.kit.tokens import SECRET, signed
from tests.events import Event

FULL = Rejected(503, "Full.", 1.0, why="filters")
BEARER = {"Authorization": "Bearer good"}
BAD = {"Authorization": "Bearer bad"}
PAGE = "/posts?offset=-1"


@dataclass
class Asked:
    """A request, as far as it matters."""

    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    query: MultiDict[str] = field(default_factory=MultiDict)


def bearing(token: str) -> Asked:
    """Make a request with a token."""
    return Asked(CIMultiDict(Authorization=f"Bearer {token}"))


class Desk:
    """Where clients sign in."""

    def __init__(self, sign_in: SignIn, demands: Demands = ANYBODY, limit: int = 10) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.selections = Selections(limit)
        self.grant = Identification(
            sign_in, demands, outcomes=self.outcomes, selections=self.selections, full=FULL
        ).grant


async def test_what_becomes_of_a_client_is_said_and_counted() -> None:
    """A refusal for good is a 401, one for now a 503; where a token is demanded none is a 401 too."""
    later = TokenRefused("The keys cannot be had now.", "key", 7.0)
    desk = Desk(MemorySignIn({"good": granted("7"), "later": later}))
    assert await desk.grant(bearing("good")) == granted("7")
    assert await desk.grant(bearing("bad")) == Rejected(401, REFUSED.sentence, why="token")
    assert await desk.grant(bearing("later")) == Rejected(503, later.sentence, 7.0, why="keys")
    assert await desk.grant(Asked()) is None
    assert desk.outcomes == {"granted": 1, "signature": 1, "key": 1}
    closed = Desk(MemorySignIn(), Demands(required=True))
    refused = await closed.grant(Asked())
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.why) == (401, "anonymous")
    assert closed.outcomes == {"anonymous": 1}


async def test_where_nobody_can_sign_in_a_token_is_refused_all_the_same() -> None:
    """A client that means to be somebody is never served as nobody."""
    refused = await Desk(NobodySignsIn()).grant(bearing("good"))
    assert isinstance(refused, Rejected)
    assert (refused.status, refused.why) == (401, "token")


async def test_several_tokens_are_refused_before_one_is_looked_at() -> None:
    sign_in = MemorySignIn({"good": granted("7")})
    asked = Asked(CIMultiDict([("Authorization", "Bearer good"), ("Authorization", "Bearer good")]))
    refused = await Desk(sign_in).grant(asked)
    assert isinstance(refused, Rejected)
    assert (refused.status, sign_in.asked) == (400, [])


async def test_a_url_is_looked_at_only_where_it_may_have_a_token() -> None:
    sign_in = MemorySignIn({"good": granted("7")})
    asked = Asked(query=MultiDict(token="good"))
    assert await Desk(sign_in).grant(asked) is None
    assert await Desk(sign_in, Demands(in_query=True)).grant(asked) == granted("7")


async def test_a_key_that_has_to_be_fetched_is_waited_for() -> None:
    sign_in = MemorySignIn()
    sign_in.fetched["late"] = granted("7")
    waiting = asyncio.ensure_future(Desk(sign_in).grant(bearing("late")))
    await sign_in.awaited.wait()
    sign_in.fetch()
    assert await waiting == granted("7")


async def test_equal_claims_are_one_object_and_have_to_find_room() -> None:
    """A token of 8 KiB has some thousand authors, and many clients may have one."""
    desk = Desk(MemorySignIn({"a": granted("7", 1, 2), "b": granted("8", 2, 1), "c": granted("9", *range(20))}))
    one, other = await desk.grant(bearing("a")), await desk.grant(bearing("b"))
    assert isinstance(one, Grant)
    assert isinstance(other, Grant)
    assert isinstance(one.claim, Selection)
    assert one.claim is other.claim
    assert await desk.grant(bearing("c")) == FULL


CLOSED = Demands(required=True)


async def status(edge: Edge, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str | None]:
    """Ask by HTTP; return the status and what is said of signing in."""
    code, _, told = await edge.get(path, headers)
    return code, told.get("WWW-Authenticate")


async def closed(edge: Edge, *offered: str, headers: Sequence[tuple[str, str]] = ()) -> tuple[int | None, str]:
    """Be refused on a WebSocket, or before there is one: the code or status, and why."""
    try:
        async with edge.connect("", *offered, headers=headers) as client:
            await client.wait_closed()
            return client.close_code, client.close_reason or ""
    except InvalidStatus as refused:
        return refused.response.status_code, refused.response.headers.get("WWW-Authenticate", "")


async def test_a_bad_token_is_refused_on_every_transport() -> None:
    """By the status where that is seen, by 4501 where it is not; never served as nobody."""
    async with serving(sign_in=MemorySignIn({"good": granted()})) as edge:
        told = 'Bearer error="invalid_token"'
        for path in ("/events", PAGE, "/posts", "/posts?offset=now&live=long-poll"):
            assert await status(edge, path, BAD) == (401, told)
        assert await closed(edge, headers=list(BAD.items())) == (401, told)
        assert await closed(edge, "postcast.v1", headers=list(BAD.items())) == (4501, REFUSED.sentence)
        assert await closed(edge, "postcast.v1", "postcast.token.bad") == (4501, REFUSED.sentence)
        assert (await closed(edge, "postcast.token.good"))[0] == 400
        assert edge.around.refusals["http", "token"] == 6
        assert edge.around.refusals["websocket", "token"] == 2


def token_of(size: int) -> str:
    """Make a good token of so many bytes."""
    tokens = (signed({"sub": "7", "x": "y" * (size * 3 // 4 - 200 + more)}, header={"x": "y" * pad})
              for more in range(200) for pad in range(3))  # fmt: skip
    return next(token for token in tokens if len(token) == size)


async def test_a_token_of_8_kib_is_read_in_each_place_and_a_longer_one_is_refused_as_such() -> None:
    """Also where the line holds more than the token. A page would see a 400 as 1006, and come back for ever."""
    long, longer = token_of(MAX_BYTES), token_of(MAX_BYTES + 1)
    why = f"The token has more than {MAX_BYTES} bytes."
    async with serving(sign_in=Bearers(Given(Keys(secrets_of(SECRET))), Rules()), demands=CLOSED) as edge:
        edge.feed.publish(1)
        for ways in (["postcast.v1"], ["postcast.v1", f"postcast.token.{long}"]):
            headers = [] if len(ways) > 1 else [("Authorization", f"Bearer {long}")]
            async with edge.connect("?history=1", *ways, headers=headers) as client:
                assert await posts(client, 1) == [1]
        assert (await edge.get(PAGE, {"Authorization": f"Bearer {long}"}))[0] == 200
        assert (await edge.get(PAGE, {"Authorization": f"Bearer {longer}"}))[:2] == (401, f"{why}\n")
        assert await closed(edge, "postcast.v1", headers=[("Authorization", f"Bearer {longer}")]) == (4501, why)
        assert await closed(edge, "postcast.v1", f"postcast.token.{longer}") == (4501, why)


async def test_where_a_token_is_demanded_none_is_refused_on_every_transport() -> None:
    async with serving(sign_in=MemorySignIn({"good": granted()}), demands=CLOSED) as edge:
        for path in ("/events", PAGE):
            assert await status(edge, path) == (401, "Bearer")
        assert await closed(edge) == (401, "Bearer")
        assert (await closed(edge, "postcast.v1"))[0] == 4501
        edge.feed.publish(1)
        assert (await status(edge, PAGE, BEARER))[0] == 200
        async with listening_to(edge, "/events", "Authorization: Bearer good") as client:
            assert client.status == 200
        async with edge.connect("?history=1", "postcast.v1", "postcast.token.good") as client:
            assert await posts(client, 1) == [1]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_a_head_is_refused_as_its_answer_would_be(method: str) -> None:
    async with serving(sign_in=MemorySignIn(), demands=CLOSED) as edge:
        for target in ("/events", "/posts"):
            async with listening_to(edge, target, method=method) as client:
                assert client.status == 401


async def test_the_token_is_not_said_again() -> None:
    """The answer agrees to postcast.v1: proxies log what answers say, and pages show it."""
    async with serving(sign_in=MemorySignIn({"good": granted()})) as edge:
        async with edge.connect("", "postcast.v1", "postcast.token.good") as client:
            assert client.subprotocol == "postcast.v1"
            assert client.response is not None
            assert "good" not in str(client.response.headers)
        async with edge.connect("", "postcast.token.bad", "postcast.v1") as client:
            assert client.response is not None
            assert "token" not in str(client.response.headers)


def ours(*authors: int | None) -> list[Any]:
    """Make posts 1, 2, 3 … by these authors."""
    return [publication(number, author=author) for number, author in enumerate(authors, 1)]


BEATING = Patience(ping=20, dead=60, stalled=600, heartbeat=0.02)
"""So that a client that is shown nothing hears how far it is all the same."""


async def shown(edge: Edge, client: ClientConnection) -> list[int]:
    """Return which posts a v1 client is sent up to the log's end."""
    received: list[int] = []
    end = str(edge.log.cursor_at(edge.log.head))
    while True:
        message = json.loads(await client.recv())
        if message["action"] == "created":
            received.append(message["payload"]["id"])
        elif message.get("cursor") == end and message["action"] == "heartbeat":
            return received


async def streamed(edge: Edge, stream: Listener) -> list[int]:
    """Return which posts a stream of events has up to the log's end."""
    end = str(edge.log.cursor_at(edge.log.head))
    events: list[Event] = []
    while not events or events[-1].type != "heartbeat" or events[-1].last_event_id != end:
        events += await stream.events(1)
    return ids(events)


@pytest.mark.parametrize(
    ("token", "query", "expected"),
    [
        ("all", "", [1, 2, 3, 4]),
        ("all", "author=7", [1, 3]),
        ("some", "", [1, 2, 3]),
        ("some", "author=7,5", [1, 3]),
        ("some", "author=5", []),
        ("some", "author=", [1, 2, 3]),
        ("none", "", []),
        ("none", "author=7", []),
    ],
)
async def test_a_filter_only_narrows_what_a_token_allows(token: str, query: str, expected: list[int]) -> None:
    """Live and from memory, on a WebSocket, as events and as pages."""
    grants = {"all": granted("1"), "some": granted("1", 7, 9), "none": granted("1", all_authors=False)}
    bearer = ("Authorization", f"Bearer {token}")
    async with serving(sign_in=MemorySignIn(grants), patience=BEATING) as edge:
        async with edge.connect(f"?{query}", "postcast.v1", headers=[bearer]) as live:
            edge.feed.publish(*ours(7, 9, 7, None))
            assert await shown(edge, live) == expected
        async with edge.connect(f"?history=9&{query}", "postcast.v1", f"postcast.token.{token}") as later:
            assert await shown(edge, later) == expected
        async with listening_to(edge, f"/events?history=9&{query}", ": ".join(bearer)) as stream:
            assert await streamed(edge, stream) == expected
        code, text, told = await edge.get(f"{PAGE}&{query}", dict([bearer]))
        assert (code, [each["payload"]["id"] for each in json.loads(text)]) == (200, expected)
        assert told["Cache-Control"] == "private, no-store"


async def test_a_plain_client_may_have_a_token_too() -> None:
    """A token says what is seen, and not the form."""
    async with (
        serving(sign_in=MemorySignIn({"good": granted("1", 7)})) as edge,
        edge.connect(headers=list(BEARER.items())) as client,
    ):
        edge.feed.publish(*ours(9, 7))
        assert json.loads(await client.recv()) == {"action": "created", "payload": {"id": 2}}


async def test_a_filter_by_message_narrows_what_a_token_allows() -> None:
    """And everything is all that is allowed."""
    async with (
        serving(sign_in=MemorySignIn({"good": granted("1", 7, 9)}), patience=BEATING) as edge,
        edge.connect("?author=7", "postcast.v1", headers=list(BEARER.items())) as client,
    ):
        for round_, (authors, expected) in enumerate((([9, 5], [2]), ([], [1, 2]), ([5], []))):
            await client.send(json.dumps({"action": "filter", "payload": {"authors": authors}}))
            while json.loads(await client.recv())["action"] != "filtered":
                pass
            edge.feed.publish(*(publication(each.id + 10 * round_, author=each.author) for each in ours(7, 9, 5)))
            assert [number % 10 for number in await shown(edge, client)] == expected


async def test_by_whatever_defect_nobody_sees_what_their_token_does_not_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read is counted before it is sent: one that is restricted is closed with 1011, and others go on."""
    bearer = ("Authorization", "Bearer good")
    async with serving(sign_in=MemorySignIn({"good": granted("1", 7)})) as edge:
        monkeypatch.setattr(Postings, "find", lambda _self, _kept, _selection, begin, end: range(begin, end))
        async with (
            edge.connect("", "postcast.v1", headers=[bearer]) as restricted,
            listening_to(edge, "/events", ": ".join(bearer)) as stream,
            edge.connect("?author=7") as filtered,
            edge.connect() as plain,
        ):
            edge.feed.publish(*ours(9, 7))
            assert json.loads(await restricted.recv())["action"] == "welcome"
            with pytest.raises(ConnectionClosedError, match=r"1011 .* the server has a fault; connect again"):
                await restricted.recv()
            assert [event.type for event in await stream.rest()] == ["welcome", "end"]
            assert await posts(plain, 2) == await posts(filtered, 2) == [1, 2]
        assert edge.hub.delivery.mismatches == 2
        with capture_logs():
            code, text, _ = await edge.get(PAGE, dict([bearer]))
        assert (code, "payload" in text) == (500, False)
