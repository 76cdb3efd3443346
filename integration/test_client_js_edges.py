"""The JavaScript client in Node, Chromium and Firefox: nothing lost, twice or out of order, whatever edges do."""

import asyncio
from pathlib import Path

import pytest

from integration import clients, firefox, npm, topics, viewers
from integration.conftest import Install
from integration.fed import Feed
from integration.ordeals import start_again, survive
from integration.ports import free_port
from integration.relay import relaying
from integration.system import Process, System


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return npm.install(tmp_path_factory.mktemp("npm"), viewers.WS, npm.NODE_22, firefox.PUPPETEER)


@pytest.fixture
def system(install: Install) -> System:
    """Two edges that say often that they live, and a feed that no worker writes. Pages are of the first one."""
    system = install(HEARTBEAT_SECONDS=1, LONG_POLL_SECONDS=2, DRAIN_SECONDS=2)
    asyncio.run(topics.create(system.environment["KAFKA_URL"], {system.feed: 1}))
    for edge in [system.edge(), system.edge()]:
        edge.until_ready()
    return system


@pytest.mark.parametrize("transport", ["websocket", "long-polling"])
@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_nothing_is_lost_twice_or_out_of_order_whatever_an_edge_does(
    system: System, folder: Path, kind: str, transport: str
) -> None:
    """It is killed, frozen, drained, and cut off, with posts before, meanwhile and afterwards."""
    feed, (origin, edge) = Feed(system), system.processes
    async with (
        relaying(edge.port) as relay,
        viewers.viewing(
            kind,
            folder,
            f"http://127.0.0.1:{origin.port}",
            f"http://127.0.0.1:{relay.port}/",
            {"transports": [transport]},
        ) as viewer,
    ):
        await survive(feed, viewer, edge, relay, notices_silence=transport == "websocket")


@pytest.mark.parametrize("kind", viewers.KINDS)
async def test_a_refusal_that_a_browser_could_not_see_is_seen(system: System, folder: Path, kind: str) -> None:
    """Nonsense is for good. A full edge is come back to when it asks for it."""
    origin = f"http://127.0.0.1:{system.processes[0].port}"
    async with viewers.viewing(kind, folder, origin, f"{origin}/?author=x", {}) as viewer:
        await viewer.until(lambda: viewer.state == "closed", "closed")
        assert viewer.code == 4500
    # Who asks whether it is ready is a client's address, too.
    full = system.edge(MAX_CONNECTIONS_PER_ADDRESS=1, ADMIN_PORT=free_port())
    await asyncio.to_thread(full.until_ready)
    async with (
        await clients.connect(full.websocket) as first,
        viewers.viewing(kind, folder, origin, full.websocket, {}) as viewer,
    ):
        await viewer.until(lambda: viewer.code == 4001, "told to come later")
        assert viewer.state == "waiting"
        await first.close()
        await viewer.until(lambda: viewer.state == "live", "live")


async def _until_one_is_connected(edge: Process) -> None:
    def is_so() -> bool:
        return edge.metric("postcast_edge_connections", transport="websocket") == 1

    await asyncio.to_thread(edge.until, is_so, "has one connection")


@pytest.mark.parametrize("kind", ["chromium", "firefox"])
async def test_tabs_share_one_connection_and_when_the_one_that_has_it_closes_another_goes_on(
    system: System, folder: Path, kind: str
) -> None:
    """The first tab is closed, the second closes its feed, and the edge is killed."""
    feed, (origin, edge) = Feed(system), system.processes
    options = {"shareTabs": True, "history": 20}
    async with viewers.windows(kind, folder) as new_page:
        pages = [await new_page() for _ in range(3)]
        tabs: list[viewers.Viewer] = []

        async def shown() -> None:
            await feed.show(2)
            for tab in tabs:
                await feed.until_shown(tab)
                assert tab.gaps == []

        for page in pages:
            tabs.append(await viewers.in_page(page, f"http://127.0.0.1:{origin.port}", edge.websocket, options))
            await shown()
        await _until_one_is_connected(edge)

        del tabs[0]
        await pages[0].close()
        await shown()
        await _until_one_is_connected(edge)

        edge.kill()
        await feed.show(2)
        await start_again(edge)
        await shown()
        await _until_one_is_connected(edge)

        del tabs[0]
        await pages[1].evaluate("feed.close()")
        await shown()
        await _until_one_is_connected(edge)
