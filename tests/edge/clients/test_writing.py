"""One write for each: nothing is lost of what a socket does not take, and nobody waits for another."""

import asyncio

from edge.clients.writing import write_each
from edge.wire.frames import text_frame
from tests.edge.kit.edge import serving
from tests.edge.kit.pair import MANY, paired

SMALL = text_frame(b"small")


async def test_several_are_written_to_at_once_and_what_one_cannot_take_is_left() -> None:
    """Who takes it all is not named; the rest goes out by the transport, which says so, and no frame is cut."""
    async with serving() as edge, paired(edge) as (one, its_peer), paired(edge) as (other, other_peer):
        assert write_each([one.key, other.key], SMALL) == []
        await other_peer.read(7)
        sent = 1
        while not (short := write_each([one.key, other.key], MANY)):
            await other_peer.read(len(MANY))
            sent += 1
        assert {key for key, _ in short} == {one.key, other.key}
        for key, rest in short:
            assert MANY.endswith(rest)
            {one.key: one, other.key: other}[key].write(rest)
        assert one.is_held.is_set()
        assert other.is_held.is_set()
        assert await its_peer.read(len(MANY) * sent + 7) == SMALL + MANY * sent
        assert await other_peer.read(len(MANY)) == MANY
        await asyncio.gather(one.is_drained.wait(), other.is_drained.wait())


async def test_who_has_gone_does_not_keep_the_others_from_it() -> None:
    """Until the transport has found out, its socket is written to like the others."""
    async with serving() as edge, paired(edge) as (gone, its_peer), paired(edge) as (here, peer):
        its_peer.leave()
        short: list[tuple[int, bytes]] = []
        while not short:
            short = write_each([here.key, gone.key, here.key], SMALL)
            assert await peer.read(14) == SMALL * 2
        assert short == [(gone.key, SMALL)]
        assert not gone.write(short[0][1])
        await gone.is_lost.wait()
