"""How a client comes back: where to, from where on, and after how long."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from integration.faults.sight import Acknowledged, Breach, Filtered, Reborn, Shown, Told, Welcomed
from integration.faults.transports import Later, Transport
from integration.faults.viewer import Viewer
from tests.streams.virtual import virtual

WELCOME = Welcomed("c0", is_recovered=True)
AT_ONCE = Later(0)


class Scripted(Transport):
    """A transport whose connections tell what they are given; the last one stays."""

    name = "scripted"

    def __init__(self, *connections: Sequence[Told | Exception]) -> None:
        self.asked: list[tuple[str, str | None, frozenset[int] | None]] = []
        """The edges that were asked, from where on, and for whom."""
        self.is_aborted = False
        self.is_used_up = asyncio.Event()
        self.stays = False
        """Whether each connection stays, and not only the last one."""
        self._connections = list(connections)

    @asynccontextmanager
    async def connect(self, edge: str, cursor: str | None, authors: frozenset[int] | None) -> AsyncIterator["Scripted"]:
        """Connect to an edge."""
        self.asked.append((edge, cursor, authors))
        yield self

    async def told(self) -> AsyncIterator[Told]:
        """Yield one connection's worth."""
        for step in self._connections.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step
        if not self._connections:
            self.is_used_up.set()
        if self.stays or not self._connections:
            await asyncio.Event().wait()

    def abort(self) -> None:
        """Be gone without a word."""
        self.is_aborted = True


def viewer(transport: Scripted, *edges: str, authors: frozenset[int] | None = None) -> Viewer:
    return Viewer("a", transport, edges, dice=random.Random(0), authors=authors)  # noqa: S311 - no secret


async def watched(viewer: Viewer, transport: Scripted) -> None:
    """Watch until the transport has told all."""
    watching = asyncio.create_task(viewer.run())
    await transport.is_used_up.wait()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_it_comes_back_to_the_next_edge_from_where_it_was() -> None:
    transport = Scripted([WELCOME, Shown(7, "c1"), AT_ONCE], [Welcomed("c1", is_recovered=True), AT_ONCE], [])
    a = viewer(transport, "one", "other")
    await watched(a, transport)
    assert transport.asked == [("one", None, None), ("other", "c1", None), ("one", "c1", None)]
    assert [stretch.begins for stretch in a.view.stretches] == ["first", "resumed"]
    assert a.promises_all


async def test_what_is_against_the_protocol_is_noted_and_the_client_comes_back() -> None:
    transport = Scripted([WELCOME, Breach("an event has no id")], [WELCOME])
    a = viewer(transport, "one")
    await watched(a, transport)
    assert a.view.breaches == ["a: an event has no id"]
    assert a.is_there


async def test_it_is_not_there_while_it_cannot_connect() -> None:
    transport = Scripted([WELCOME, ConnectionResetError()], [])
    a = viewer(transport, "one")
    await watched(a, transport)
    assert not a.is_there


async def test_a_time_out_of_the_transports_is_a_lost_connection_and_not_a_leave() -> None:
    transport = Scripted([WELCOME, TimeoutError()], [WELCOME])
    a = viewer(transport, "one")
    await watched(a, transport)
    assert a.view.breaches == []
    assert not transport.is_aborted


async def test_it_comes_back_when_it_was_told_to() -> None:
    transport = Scripted([WELCOME, Later(0.5)], [WELCOME])
    a = viewer(transport, "one")
    await watched(a, transport)
    [absence] = a.view.absences
    assert absence.end - absence.begin > 0.4


async def test_it_comes_back_with_what_it_asked_for_last() -> None:
    transport = Scripted([WELCOME, Filtered(frozenset({2}), "c3"), AT_ONCE], [])
    a = viewer(transport, "one", authors=frozenset({1}))
    await watched(a, transport)
    assert transport.asked == [("one", None, frozenset({1})), ("one", "c3", frozenset({2}))]


async def test_a_gap_takes_its_promise_from_it() -> None:
    transport = Scripted([WELCOME, Welcomed("c9", is_recovered=False)])
    a = viewer(transport, "one")
    await watched(a, transport)
    assert not a.promises_all


async def test_who_has_its_place_kept_brings_none_and_is_there_once_it_is_kept() -> None:
    transport = Scripted(
        [Reborn(), WELCOME, Shown(7, "c1"), AT_ONCE], [Reborn(), WELCOME, Acknowledged("c1"), AT_ONCE], [WELCOME]
    )
    transport.device = "phone"
    a = viewer(transport, "one", "other")
    assert not a.is_there
    await watched(a, transport)
    assert [cursor for _, cursor, _ in transport.asked] == [None, None, None]
    assert [stretch.again for stretch in a.view.stretches] == [frozenset(), frozenset({7}), None]
    assert a.is_there


@virtual
async def test_who_can_come_back_leaves_and_who_cannot_stays() -> None:
    before: list[Told | Exception] = [Reborn(), WELCOME, Shown(7, "c1")]
    kept: list[Told | Exception] = [*before, Acknowledged("c0")]
    for told, leaves in ((before, False), (kept, False), ([*kept, Acknowledged("c1")], True)):
        transport = Scripted(told, *([before] * 20))
        transport.stays = True
        transport.device = "phone"
        a = Viewer("a", transport, ["one"], dice=random.Random(0), away=(0.0, 0.0))  # noqa: S311 - no secret
        watching = asyncio.create_task(a.run())
        await asyncio.sleep(20)
        assert (len(transport.asked) > 1) == leaves
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


@virtual
async def test_every_other_life_waits_for_what_it_has_seen_to_be_kept_and_the_others_do_not() -> None:
    before: list[Told | Exception] = [Reborn(), WELCOME, Shown(7, "c1")]
    transport = Scripted([*before, Acknowledged("c1")], before, [*before, Acknowledged("c0")], before)
    transport.stays = True
    transport.device = "phone"
    a = Viewer("a", transport, ["one"], dice=random.Random(0), away=(0.0, 0.0))  # noqa: S311 - no secret
    watching = asyncio.create_task(a.run())
    await asyncio.sleep(60)
    # The third stays, since what was said in the first life does not count for it.
    assert len(transport.asked) == 3
    assert len(a.returns) == 2
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


async def test_it_is_to_have_seen_what_it_asks_for() -> None:
    transport = Scripted([WELCOME, Shown(8, "c1")])
    a = viewer(transport, "one", authors=frozenset({1}))
    await watched(a, transport)
    # Of these 8 and 16 are by author 1.
    assert a.has_seen(range(1, 16))
    assert not a.has_seen([16])
