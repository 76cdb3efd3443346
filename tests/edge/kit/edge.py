"""An edge on loopback; only the feed is a double."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, NamedTuple

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from edge.access.entrance import Gate
from edge.access.returns import Returns
from edge.access.sign_in import ANYBODY, Demands, NobodySignsIn, SignIn
from edge.admin import Admin
from edge.clients.event_requests import EventRequests
from edge.clients.link import Surroundings
from edge.clients.post_waiters import Waiters
from edge.clients.posts import posts_of
from edge.clients.reception import Reception
from edge.clients.websocket import WebSocket
from edge.clients.websocket_requests import WebSocketRequests
from edge.clients.writing import write_each
from edge.fanout.deadlines import Patience
from edge.fanout.hub import Hub
from edge.feed.audience import Audience
from edge.feed.foreign import foreign
from edge.feed.log import Log
from edge.feed.paging import Extent
from edge.feed.position import Reason
from edge.feed.selection import Selections
from edge.feed.topic import Readers
from edge.page import live_page
from edge.positions.keeper import Keeper
from edge.positions.store import Store
from edge.server import Server
from edge.status import Facts, Status
from edge.telemetry import Metrics, TurnTimes
from streams.contract import Millis, Offset, Publication
from tests.edge.kit.listening import gate, listening
from tests.edge.kit.old import Gone
from tests.edge.kit.records import record
from tests.strict import StrictConnection

MAX_MESSAGE_BYTES = 65536
PATIENCE = Patience(ping=20, dead=60, stalled=600)


class Paging(NamedTuple):
    """How pages are made, and for how long a long poll waits."""

    extent: Extent = Extent(1 << 20, 100)
    room: int = 1 << 24
    patience: float = 25


PAGING = Paging()


class MemoryFeed:
    """A feed that this process writes itself; its ``pending`` records are not read yet."""

    def __init__(self, log: Log, hub: Readers) -> None:
        self.log = log
        self.hub = hub
        self.trouble: str | None = None
        self.unready: str | None = None
        self.records = self.repeats = self.undecodable = self.lag = self.reconnects = self.dropped = 0
        self.lag_seconds = 0.0
        self.gaps: dict[Reason, int] = {}
        self.pending: list[bytes] = []
        self.unseen = 0
        """How many records the broker that is asked does not know of: it leads no more."""
        self.confirms = True
        self.asked = asyncio.Event()
        self.read = asyncio.Event()

    def publish(self, *posts: int | Publication) -> None:
        """Write a record that is read at once."""
        assert self.log.next_offset is not None
        self.log.append(self.log.next_offset, record(*posts))
        self.hub.publish()

    def catch_up(self) -> None:
        """Read what is pending."""
        for value in self.pending:
            assert self.log.next_offset is not None
            self.log.append(self.log.next_offset, value)
        self.pending.clear()
        self.hub.publish()
        self.read.set()

    async def end(self) -> Offset | None:
        """Say where it ends, pending records included."""
        self.asked.set()
        if self.trouble is not None or self.log.next_offset is None:
            return None
        return Offset(self.log.next_offset + len(self.pending))

    async def confirmed_end(self) -> Offset | None:
        """Say where it ends, by the word of a majority if there is one."""
        if not self.confirms or (end := await self.end()) is None:
            return None
        return Offset(end + self.unseen)

    async def reached(self, offset: Offset) -> None:
        """Wait until it was caught up with."""
        while self.log.next_offset is None or self.log.next_offset < offset:
            self.read.clear()
            await self.read.wait()


class Edge:
    """An edge without Kafka."""

    def __init__(
        self,
        join_seconds: float = 5,
        websocket: type[WebSocket] = WebSocket,
        *,
        compression: bool = True,
        through: Gate | None = None,
        patience: Patience = PATIENCE,
        max_authors: int = 1000,
        join_rate: float = 0,
        paging: Paging = PAGING,
        sign_in: SignIn | None = None,
        demands: Demands = ANYBODY,
        store: Store | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.gate = through or gate()
        self.admin_gate = gate()
        self.log = Log(limit=1 << 20, reach=1000)
        self.log.begin(Offset(0), Offset(0))
        self.hub = Hub(self.log, write_bytes=1 << 16, write_each=write_each, patience=patience, loop=self.loop)
        self.waiters = Waiters(self.log, self.loop, self.hub.filters)
        self.feed = MemoryFeed(self.log, Audience(self.hub, self.waiters))
        is_foreign = partial(foreign, log=self.log, feed=self.feed)
        self.keeper = None if store is None else Keeper(store, seconds=0.1, foreign=is_foreign)
        self.around = Surroundings(
            self.hub,
            self.gate,
            Returns(join_rate),
            selections=Selections(max_authors),
            sign_in=sign_in or NobodySignsIn(),
            demands=demands,
            positions=self.keeper,
        )
        self.closes = self.around.closes
        self.old = Gone()
        self.unready: str | None = None
        """Why new clients had better go elsewhere, though the feed is followed."""
        self.reception = Reception(
            log=self.log,
            feed=self.feed,
            old=self.old,
            join_seconds=join_seconds,
            heartbeat=patience.heartbeat,
            around=self.around,
        )
        self.websockets = WebSocketRequests(
            self.reception,
            self.around,
            compression=compression,
            websocket=websocket,
        )
        self.posts = posts_of(
            self.reception,
            log=self.log,
            old=self.old,
            waiters=self.waiters,
            extent=paging.extent,
            room=paging.room,
            join_seconds=join_seconds,
            poll_seconds=paging.patience,
            stalled_seconds=patience.stalled,
            refusals=self.around.refusals,
            share=lambda: 0.5,
        )
        self.events = EventRequests(self.reception, self.around, share=lambda: 0.5)
        self.server = Server(
            self.reception,
            self.websockets,
            log=self.log,
            hub=self.hub,
            page=live_page(),
            status=Status(Facts("0", Millis(5000))),
            posts=self.posts,
            unready=lambda: self.unready,
            transports=self.events.routes(),
        )
        metrics = Metrics(
            self.log,
            self.feed,
            self.around,
            TurnTimes(),
            replays=self.old,
            admin=self.admin_gate,
            output=self.feed,
            posts=self.posts,
            positions=self.keeper,
        )
        self.admin = Admin(self.server.readiness, metrics.registry())
        self.port = 0

    def connect(
        self,
        query: str = "",
        *offered: str,
        compression: str | None = None,
        offers: Sequence[str] = (),
        forwarded_for: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> connect:
        """Connect a client, through a proxy if it was forwarded for somebody.

        It offers these subprotocols, and compression as its library does or as ``offers`` say.
        """
        headers = [*headers, *(("Sec-WebSocket-Extensions", offer) for offer in offers)]
        if forwarded_for is not None:
            headers.append(("X-Forwarded-For", forwarded_for))
        return connect(
            f"ws://127.0.0.1:{self.port}/{query}",
            subprotocols=[Subprotocol(one) for one in offered] or None,
            compression=compression,
            additional_headers=headers,
            create_connection=StrictConnection,
        )

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, Any]:
        """Ask as a browser does."""
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession() as browser, browser.get(url, headers=headers) as response:
            return response.status, await response.text(), response.headers


@asynccontextmanager
async def _storing(edge: Edge) -> AsyncIterator[None]:
    if edge.keeper is None:
        yield
        return
    storing = asyncio.create_task(edge.keeper.run())
    try:
        yield
        await edge.keeper.drain(5)
    finally:
        storing.cancel()
        with suppress(asyncio.CancelledError):
            await storing


@asynccontextmanager
async def serving(
    join_seconds: float = 5,
    *,
    compression: bool = True,
    through: Gate | None = None,
    patience: Patience = PATIENCE,
    max_authors: int = 1000,
    join_rate: float = 0,
    paging: Paging = PAGING,
    sign_in: SignIn | None = None,
    demands: Demands = ANYBODY,
    store: Store | None = None,
) -> AsyncIterator[Edge]:
    """Serve meanwhile; positions go to the store, if there is one."""
    edge = Edge(
        join_seconds,
        compression=compression,
        through=through,
        patience=patience,
        max_authors=max_authors,
        join_rate=join_rate,
        paging=paging,
        sign_in=sign_in,
        demands=demands,
        store=store,
    )
    async with (
        _storing(edge),
        listening(edge.server.application(edge.admin.routes()), edge.gate) as edge.port,
        asyncio.timeout(30),
    ):
        yield edge
        await edge.server.drain(5)


async def posts(client: ClientConnection, count: int) -> list[int]:
    """Receive some posts, and whatever comes before the last of them."""
    received: list[int] = []
    while len(received) < count:
        message = json.loads(await client.recv())
        if message["action"] == "created":
            received.append(message["payload"]["id"])
    return received
