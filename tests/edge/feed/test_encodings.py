"""What was made of records, within its room."""

import pytest

from edge.feed.encodings import Encodings, Room, Stretch, divided, stretch_of
from edge.feed.position import before
from edge.feed.record import Record
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import CURSOR, ENCODINGS, PLAIN, PLAIN_DEFLATED
from streams.contract import Offset
from tests.edge.kit.records import messages, publication

ROOM = 10_000


def record_of(posts: int, length: int = 300, offset: int = 0) -> Record:
    """Make a record that shows so many posts."""
    some = [publication(n, text="x" * length) for n in range(posts)]
    return Record(Offset(offset), b"stampsta", before(Offset(offset)).position, some, range(posts))


def use(encodings: Encodings, record: Record, encoding: Encoding = PLAIN) -> bool:
    """Get what a client needs that begins with a record; tell whether it was made now."""
    stretch = stretch_of(record, encoding, 0)
    if encodings.get(stretch) is not None:
        return False
    encodings.make(stretch, record)
    return True


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_made_is_kept(encoding: Encoding) -> None:
    """It is the same object for everybody, and counted with what keeping it costs."""
    encodings, record = Encodings(ROOM), record_of(5)
    stretch = stretch_of(record, encoding, 0)
    assert (encodings.get(stretch), encodings.size) == (None, 0)
    made = encodings.make(stretch, record)
    assert [post["payload"]["id"] for post in messages(made.bytes, encoding)] == list(range(5))
    assert encodings.get(stretch) is made
    assert (encodings.made, encodings.evicted, encodings.size > made.size) == (1, 0, True)


def test_a_client_in_the_middle_of_a_stream_gets_what_is_encoded_by_itself() -> None:
    """A compressed record is divided into streams; where each message is encoded by itself there is no middle."""
    record = record_of(300)
    first, other = stretch_of(record, PLAIN_DEFLATED, 0), stretch_of(record, PLAIN_DEFLATED, 1)
    assert first == Stretch(Offset(0), PLAIN_DEFLATED, 0, first.end, is_stream=True)
    assert other == first._replace(is_stream=False)
    following = stretch_of(record, PLAIN_DEFLATED, first.end)
    assert (following.begin, following.is_stream) == (first.end, True)
    assert [stretch_of(record, CURSOR, post).is_stream for post in (0, 1)] == [False, False]


def test_the_order_of_use_decides_which_goes_first() -> None:
    """Not that of making: what many clients read stays."""
    encodings = Encodings(ROOM)
    records = [record_of(10, offset=offset) for offset in range(4)]
    made = [use(encodings, records[n]) for n in (0, 1, 0, 2, 0, 3, 0, 1, 2)]
    assert made == [True, True, False, True, False, True, False, True, True]
    assert (encodings.made, encodings.evicted) == (6, 4)


def test_encodings_of_a_record_are_apart() -> None:
    """Each has a part of the room of its own."""
    encodings, record = Encodings(1 << 20), record_of(10)
    assert [use(encodings, record, encoding) for encoding in (*ENCODINGS, *ENCODINGS)] == [True] * 4 + [False] * 4


def test_what_has_no_room_is_made_and_not_kept() -> None:
    """It pushes nothing out."""
    encodings = Encodings(ROOM)
    use(encodings, record_of(5))
    size = encodings.size
    assert use(encodings, record_of(100, offset=1), CURSOR)
    assert (encodings.size, use(encodings, record_of(5))) == (size, False)


def test_room_can_become_smaller() -> None:
    """The longest unused go first, as many as have to; none is left where there is no room."""
    encodings = Encodings(ROOM)
    for offset in range(3):
        use(encodings, record_of(5, offset=offset))
    each = encodings.size // 3
    encodings.fit(each * 2)
    assert (encodings.size <= each * 2, encodings.evicted) == (True, 1)
    encodings.fit(0)
    assert (encodings.size, encodings.evicted) == (0, 3)
    encodings.clear(ROOM)
    use(encodings, record_of(5))
    assert (encodings.made, encodings.evicted) == (4, 3)


def test_a_log_is_divided_among_records_and_what_is_made_of_them() -> None:
    """A quarter of what the table of repeats leaves, which is three quarters of all at least."""
    assert divided(1000, 0) == Room(750, 1000)
    assert divided(1000, 200) == Room(600, 800)
    assert divided(1000, 900) == Room(563, 750)
