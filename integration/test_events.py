"""Server-Sent Events with readers that are not ours, behind nginx as it is by default, while edges come and go."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from integration import event_sources, firefox, npm, topics
from integration.bench.posts import FIRST_ID, feed_record
from integration.clients import connect
from integration.conftest import Install
from integration.event_sources import KINDS, listening
from integration.ports import free_port
from integration.proxies import nginx
from integration.system import Process, System

_PROTOCOL: Final = Path(__file__).parents[1] / "docs/protocol.md"
# Nothing but where to go: HTTP/1.0 to the edges, and buffering on.
_NGINX: Final = """
    upstream edges {{
        server 127.0.0.1:{one};
        server 127.0.0.1:{other};
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://edges;
        }}
    }}
"""


class Site(NamedTuple):
    """Two edges behind nginx, and the posts that were shown."""

    system: System
    edges: tuple[Process, Process]
    origin: str
    shown: list[int]
    ids: Iterator[int]

    async def show(self, number: int) -> None:
        """Show so many posts, one a record."""
        ids = [next(self.ids) for _ in range(number)]
        self.shown.extend(ids)
        await topics.write(self.system.environment["KAFKA_URL"], self.system.feed, [feed_record([id_]) for id_ in ids])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm.install(tmp_path_factory.mktemp("npm"), event_sources.EVENTSOURCE, firefox.PUPPETEER)


@pytest.fixture
async def site(install: Install) -> AsyncIterator[Site]:
    """Start two edges whose feed no worker writes, behind nginx."""
    system = install(DRAIN_SECONDS=2, HEARTBEAT_SECONDS=1)
    await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
    edges = system.edge(), system.edge()
    for edge in edges:
        await asyncio.to_thread(edge.until_ready)
    port = free_port()
    with nginx(_NGINX.format(one=edges[0].port, other=edges[1].port, port=port), port=port):
        yield Site(system, edges, f"http://127.0.0.1:{port}", [], count(FIRST_ID))


@asynccontextmanager
async def _listening(kind: str, folder: Path, site: Site) -> AsyncIterator[event_sources.Source]:
    async with listening(kind, folder, site.origin) as source:
        await source.until(lambda: bool(source.of("welcome")), "a welcome")
        yield source


async def _until_shown(source: event_sources.Source, site: Site) -> None:
    await source.until(lambda: len(source.ids) >= len(site.shown), f"{len(site.shown)} posts")
    assert source.ids == site.shown


def _start(process: Process) -> None:
    process.start().until_ready()


def _begun(metrics: str) -> list[str]:
    return [line for line in metrics.splitlines() if line.startswith("process_start_time_seconds ")]


def _until_nginx_asks(site: Site, edge: Process) -> None:
    """Wait until nginx sends requests there again: after an edge has refused a connection it does not, for 10 s."""
    port = int(site.origin.rpartition(":")[2])
    mine = _begun(edge.ask("/metrics")[1])
    edge.until(lambda: _begun(edge.ask("/metrics", port)[1]) == mine, "is asked by nginx")


async def _edge_of(site: Site) -> Process:
    """Return the edge that the reader is connected to."""
    connected = [edge for edge in site.edges if await asyncio.to_thread(edge.connections, "events")]
    assert len(connected) == 1
    return connected[0]


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_is_lost_twice_or_out_of_order_while_edges_come_and_go(
    site: Site, folder: Path, kind: str
) -> None:
    """By what EventSource does by itself: its edge is drained and started again, and then the next one killed."""
    async with _listening(kind, folder, site) as source:
        await site.show(3)
        # While the stream goes on: nginx keeps nothing back.
        await _until_shown(source, site)
        assert source.of("end") == []

        drained = await _edge_of(site)
        stopping = asyncio.create_task(asyncio.to_thread(drained.terminate))
        await site.show(2)
        assert await stopping == 0
        await site.show(2)
        await _until_shown(source, site)
        # One that comes back to the edge that stops is refused for now, and comes back again.
        first, *others = [each.payload["code"] for each in source.of("end")]
        assert (first, set(others) - {4001}) == (1001, set())
        await asyncio.to_thread(_start, drained)
        await asyncio.to_thread(_until_nginx_asks, site, drained)

        killed = await _edge_of(site)
        assert killed is not drained
        killed.kill()
        await site.show(2)
        await _until_shown(source, site)
        assert await _edge_of(site) is drained
        assert [each.payload["recovered"] for each in source.of("welcome")] == [True] * 3


@pytest.mark.parametrize("kind", KINDS)
async def test_every_event_moves_the_position(site: Site, folder: Path, kind: str) -> None:
    """What the reader would come back with is what the message says, and what any other client would come with."""
    async with _listening(kind, folder, site) as source, await connect(site.edges[1].websocket, asks=True) as client:
        await client.until_welcome()
        await site.show(3)
        await _until_shown(source, site)
        await client.until_shown(3)
        [welcome] = source.of("welcome")
        assert welcome.last_event_id == welcome.payload["cursor"]
        cursors = [each["cursor"] for each in client.messages]
        assert [each.last_event_id for each in source.of("message")] == cursors
        # A record that shows nothing: only a heartbeat says that it was passed.
        await topics.write(site.system.environment["KAFKA_URL"], site.system.feed, [feed_record(site.shown[-1:])])
        await source.until(lambda: source.heard[-1].last_event_id > cursors[-1], "a position behind the repeat")
        assert source.heard[-1].type == "heartbeat"
        resumed = f"?cursor={source.of('message')[0].last_event_id}"
        async with listening(kind, folder, site.origin, resumed) as other:
            await other.until(lambda: bool(other.of("caught_up")), "all that there is")
            # The edge that nginx has sent it to may be a record behind.
            await other.until(lambda: len(other.ids) >= len(site.shown) - 1, "the posts behind the first")
            assert other.ids == site.shown[1:]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reader_comes_back_by_itself_to_an_edge_that_was_away(site: Site, folder: Path, kind: str) -> None:
    """Without anything between them: connections are refused meanwhile, which is no answer to give up after."""
    edge = site.edges[0]
    direct = site._replace(origin=f"http://127.0.0.1:{edge.port}")
    async with _listening(kind, folder, direct) as source:
        await site.show(2)
        await _until_shown(source, site)
        for end in (edge.terminate, edge.kill):
            await asyncio.to_thread(end)
            await site.show(2)
            await asyncio.to_thread(_start, edge)
            await _until_shown(source, site)
        assert [each.payload["recovered"] for each in source.of("welcome")] == [True] * 3


def _as_the_protocol_has_it(origin: str) -> str:
    """Return the script of docs/protocol.md, with notes of what it shows and of each stream that it asks for."""
    text = _PROTOCOL.read_text("utf-8")
    [script] = re.findall(r"^```js\n(let newest.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert "https://posts.example" in script
    return f"""(() => {{
        globalThis.shown = [];
        globalThis.asked = [];
        globalThis.show = (post) => shown.push(post.id);
        globalThis.somethingWasMissed = () => shown.push("missed");
        globalThis.EventSource = class extends EventSource {{
            constructor(url) {{ super(url); asked.push(url); }}
        }};
        {script.replace("https://posts.example", origin)}
    }})()"""


@pytest.mark.parametrize("kind", ["chromium", "firefox"])
async def test_the_protocols_script_comes_back_from_a_proxy_that_finds_no_edge(
    site: Site, folder: Path, kind: str
) -> None:
    """After a 502 an EventSource gives up; the next one begins at the position of the last."""
    async with event_sources.opened(kind, folder, site.origin) as page:

        async def until(expression: str) -> None:
            async with asyncio.timeout(90):
                while not await page.evaluate(expression):
                    await asyncio.sleep(0.05)

        await page.evaluate(_as_the_protocol_has_it(site.origin))
        await site.show(3)
        await until("shown.length === 3")
        for edge in site.edges:
            edge.kill()
        await site.show(2)
        await until("asked.length >= 2")
        for edge in site.edges:
            await asyncio.to_thread(_start, edge)
        await until("shown.length >= 5")
        assert await page.evaluate("shown") == site.shown
        assert [parse_qs(urlsplit(url).query).keys() for url in await page.evaluate("asked")][:2] == [
            {"history"}, {"cursor"}
        ]  # fmt: skip
