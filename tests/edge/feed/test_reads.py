"""Joined reads, within their room."""

from edge.feed.position import Position
from edge.feed.reads import Chunk, Reading, Reads, Wanted
from edge.wire.websocket_encodings import PLAIN


def wanted(position: int) -> Wanted:
    """Name a read from there."""
    return Wanted(Position(position), Reading(PLAIN), 100)


def chunk(data: bytes) -> Chunk:
    """Make one."""
    return Chunk(data, Position(9), 1)


def test_what_is_remembered_costs_at_most_the_room() -> None:
    """What finds none displaces the others, or is not remembered where it is too large by itself."""
    reads, one, two = Reads(room=100), chunk(b"a" * 60), chunk(b"b" * 50)
    reads.keep(wanted(1), one)
    assert (reads.get(wanted(1)), reads.get(wanted(2)), reads.size) == (one, None, 60)
    reads.keep(wanted(2), two)
    assert (reads.get(wanted(1)), reads.get(wanted(2)), reads.size) == (None, two, 50)
    reads.keep(wanted(3), chunk(b"c" * 101))
    assert (reads.get(wanted(3)), reads.size <= 100) == (None, True)


def test_what_is_shared_counts_once() -> None:
    """Reads of a whole record give the same object, whatever their limits."""
    reads, data = Reads(room=100), bytes(60)
    for position in range(50):
        reads.keep(wanted(position), chunk(data))
        assert (reads.get(wanted(position)), reads.size) == (chunk(data), 60)


def test_all_are_forgotten_at_once() -> None:
    """A read holds only while the log stays as it is."""
    reads = Reads(room=100)
    reads.keep(wanted(1), chunk(b"a"))
    reads.clear()
    assert (reads.get(wanted(1)), reads.size) == (None, 0)
