"""The log: one shared place for all that clients are still to get."""

import random
import zlib
from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.feed.log import Appended, Log
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume, before, parse
from edge.feed.reads import Reading
from edge.wire.encoding import Encoding, Message, Notice
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED, ENCODINGS, PLAIN, PLAIN_DEFLATED
from streams.contract import Millis, Offset
from tests.edge.kit.records import at, cursor, everything, ids, log_of, messages, publication, record, text_of

EACH = pytest.mark.parametrize("encoding", list(ENCODINGS))

posts = st.lists(st.builds(publication, st.integers(1, 8), text=st.text(max_size=40)), max_size=4)
values = st.one_of(posts.map(lambda some: record(*some)), st.just(b"no record"))
feeds = st.lists(values, max_size=12)


def resumed(log: Log, token: str) -> Resume | Ahead | Gap:
    """Resume from a token, as another process would get it."""
    cursor = parse(token)
    assert isinstance(cursor, Cursor)
    return log.resume(cursor)


# Appending.


def test_a_record_shows_its_posts_in_order() -> None:
    """What was appended is read, in order and whole."""
    log = log_of(record(3, 1), record(2))
    assert ids(everything(log, 0)) == [3, 1, 2]
    assert (log.tail, log.head, log.next_offset) == (at(0, 0), at(1, 1), 2)


def test_a_repeat_is_not_shown() -> None:
    """Law 2, across records and within one."""
    log = log_of(record(1, 2))
    assert log.append(Offset(1), record(2, 3, 3)) == Appended(shown=1, repeats=2)
    assert ids(everything(log, 0)) == [1, 2, 3]


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", record(1).replace(b'"id":1}', b'"id":"\xff"}')])
def test_what_is_no_record_shows_nothing_and_the_feed_goes_on(value: bytes) -> None:
    """Also where only a payload is not UTF-8: a browser would close the connection over it."""
    log = log_of(record(1))
    appended = log.append(Offset(1), value)
    assert isinstance(appended, Appended)
    assert (appended.shown, appended.repeats) == (0, 0)
    assert appended.error
    assert log.append(Offset(2), record(2)) == Appended(shown=1)
    assert ids(everything(log, 0)) == [1, 2]


@pytest.mark.parametrize("offset", [0, 3, 9])
def test_a_jump_is_a_gap(offset: int) -> None:
    """Law 12: offsets are contiguous, or the log says so and stays as it was."""
    log = log_of(record(1), record(2))
    assert log.append(Offset(offset), record(3)) == Gap("interrupted")
    assert (log.next_offset, ids(everything(log, 0))) == (2, [1, 2])


def test_the_newest_record_read_again_must_be_the_same() -> None:
    """After Kafka was away: a topic made anew has another record there."""
    log = log_of(record(1))
    assert log.append(Offset(0), record(1)) == Appended()
    assert log.append(Offset(0), record(2)) == Gap("recreated")
    assert ids(everything(log, 0)) == [1]


def test_records_before_the_first_offered_are_only_remembered() -> None:
    """Law 2 at the start: their posts are not shown, but count for what is a repeat."""
    log = Log(limit=1 << 20, reach=10)
    log.begin(Offset(5), Offset(7))
    assert log.append(Offset(5), record(1)) == Appended(shown=0)
    assert log.cursor_at(log.head) == before(Offset(7))
    assert log.append(Offset(6), record(2)) == Appended(shown=0)
    assert log.cursor_at(log.head) == cursor(6, 1, record(2))
    assert log.append(Offset(6), record(2)) == Appended()
    assert log.append(Offset(7), record(1, 2, 3)) == Appended(shown=1, repeats=2)
    assert ids(everything(log, 0)) == [3]


def test_records_are_offered_as_soon_as_what_came_before_them_is_too_old_for_repeats() -> None:
    """On a slow feed that is earlier than ``reach`` records after the first; what is known is known then, too."""
    log = Log(limit=1 << 20, reach=10, age=Millis(100))
    log.begin(Offset(5), Offset(15), Offset(5))
    assert log.append(Offset(5), record(1), Millis(1000)) == Appended(shown=0)
    assert log.append(Offset(6), record(2), Millis(1100)) == Appended(shown=0)
    assert not log.shows_what_comes
    assert log.append(Offset(7), record(2, 1, 3), Millis(1101)) == Appended(shown=2, repeats=1)
    assert (log.offer_from, log.shows_what_comes, log.start) == (7, True, at(6, 1))
    assert ids(everything(log, log.tail)) == [1, 3]
    assert log.resume(cursor(6, 1, record(2))) == Resume(at(6, 1))
    assert log.resume(cursor(5, 1, record(1))) == Gap("expired")


@given(feeds, st.integers(0, 4), st.integers(0, 12))
def test_every_log_decides_alike(feed: list[bytes], reach: int, first: int) -> None:
    """A log that begins ``reach`` records before what it offers shows what one shows that read everything."""
    full, late = log_of(*feed, reach=reach), Log(limit=1 << 20, reach=reach)
    offer_from = Offset(min(first, len(feed)))
    read_from = Offset(max(0, offer_from - reach))
    late.begin(read_from, offer_from)
    for offset in range(read_from, len(feed)):
        late.append(Offset(offset), feed[offset])
    assert everything(late, late.tail, CURSOR) == everything(full, full.position_at(offer_from), CURSOR)


# Reading.


@EACH
@given(feed=feeds, limit=st.integers(1, 400))
def test_any_limit_gives_the_same_feed(feed: list[bytes], limit: int, encoding: Encoding) -> None:
    """However little is taken at a time, it is the same feed, and every piece is whole frames within the limit."""
    log = log_of(*feed)
    whole = everything(log, 0, text_of(encoding))
    pieces, position = [], log.tail
    while position < log.head:
        chunk = log.read(position, Reading(encoding), limit)
        assert len(messages(chunk.data, encoding)) == chunk.posts
        assert len(chunk.data) <= limit or chunk.posts == 1
        assert chunk.position > position
        pieces.append(chunk.data)
        position = chunk.position
    assert messages(b"".join(pieces), encoding) == messages(whole)
    assert encoding.stream_bytes or b"".join(pieces) == whole


def test_a_read_takes_as_much_as_fits() -> None:
    """Whole records are joined, the last one in part; one frame more would be too much."""
    log = log_of(record(1, 2), record(3, 4), record(5))
    length = len(log.read(Position(0), Reading(PLAIN), 1).data)
    assert [ids(log.read(Position(0), Reading(PLAIN), length * n + 1).data) for n in (1, 3, 4, 9)] == [
        [1],
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 2, 3, 4, 5],
    ]
    assert ids(log.read(at(0, 1), Reading(PLAIN), length * 2).data) == [2, 3]
    assert log.read(log.head, Reading(PLAIN), 100).data == b""


def test_a_record_that_does_not_fit_any_more_waits() -> None:
    """The limit holds across records of different sizes."""
    log = log_of(record(1), record(publication(2, text="x" * 500)))
    assert [ids(log.read(place, Reading(PLAIN), 300).data) for place in (at(0, 0), at(0, 1))] == [[1], [2]]


def test_a_read_at_the_head_is_joined_once_for_all() -> None:
    """Law 10: clients at one position are sent the same object; a new record is seen at once all the same."""
    log = log_of(record(1), record(2))
    first = log.read(Position(0), Reading(PLAIN), 1000)
    assert log.read(Position(0), Reading(PLAIN), 1000) is first
    for limit in range(100):
        log.read(Position(0), Reading(PLAIN), limit)
    assert log.read(Position(0), Reading(PLAIN), 1000) == first
    log.append(Offset(2), record(3))
    assert ids(log.read(Position(0), Reading(PLAIN), 1000).data) == [1, 2, 3]


# Compressed.

# Words in no order, long enough that posts of a record and of the next ones repeat stretches of each other.
WORDS = " ".join(random.Random(3).choices([f"word{n}" for n in range(200)], k=20_000))  # noqa: S311 - any words will do
lengths = st.lists(st.lists(st.integers(0, 6000), max_size=40), min_size=1, max_size=5)


class Receiver:
    """A client by the letter of RFC 7692 §7.2.2: one zlib context, with the whole window, for all that it is sent."""

    def __init__(self) -> None:
        self.context = zlib.decompressobj(-15)
        self.texts: list[bytes] = []
        self.compressed = 0

    def receive(self, data: bytes) -> None:
        """Take whole frames of text apart."""
        while data:
            first, length, rest = data[0], data[1], data[2:]
            if length > 125:
                size = 2 if length == 126 else 8
                length, rest = int.from_bytes(rest[:size]), rest[size:]
            payload, data = rest[:length], rest[length:]
            assert (first, len(payload)) in {(0x81, length), (0xC1, length)}
            self.compressed += first == 0xC1
            self.texts.append(self.context.decompress(payload + b"\x00\x00\xff\xff") if first == 0xC1 else payload)


@settings(max_examples=50)
@given(feed=lengths, encoding=st.sampled_from([PLAIN_DEFLATED, CURSOR_DEFLATED]), data=st.data())
def test_whoever_joins_anywhere_and_is_cut_anywhere_reads_what_plain_clients_read(
    feed: list[list[int]], encoding: Encoding, data: st.DataObject
) -> None:
    """Every byte, by receivers that keep their context: at any position, in the middle of a record, behind or not."""
    log, made, clients = log_of(limit=1 << 24), count(1), list[tuple[Position, Receiver, list[Position]]]()
    for offset, posts_ in enumerate(feed):
        numbers = [next(made) for _ in posts_]
        some = [publication(n, text=WORDS[7 * n : 7 * n + size]) for n, size in zip(numbers, posts_, strict=True)]
        log.append(Offset(offset), record(*some))
        joined = log.back(log.head, data.draw(st.integers(0, sum(map(len, feed[: offset + 1])))))
        clients.append((joined, Receiver(), [joined]))
        is_last = offset == len(feed) - 1
        for _, receiver, place in clients:
            reads = data.draw(st.integers(0, 3))
            limit = data.draw(st.sampled_from([1, 1000, 5000, 20_000, 65_536]))
            while place[0] < log.head and (is_last or reads > 0):
                chunk = log.read(place[0], Reading(encoding), limit)
                receiver.receive(chunk.data)
                place[0], reads = chunk.position, reads - 1
    for joined, receiver, _ in clients:
        plain = Receiver()
        plain.receive(everything(log, joined, text_of(encoding)))
        assert receiver.texts == plain.texts


def test_who_begins_in_the_middle_of_a_stream_gets_the_rest_of_it_as_messages_that_stand_alone() -> None:
    """It has not seen what the rest refers to; from the next stream on it gets what everybody gets."""
    log = log_of(*(record(*(publication(n, text=WORDS[:200]) for n in range(k, k + 20))) for k in (0, 20)))
    shared, rest = everything(log, at(0, 20), PLAIN_DEFLATED), everything(log, at(0, 7), PLAIN_DEFLATED)
    assert rest.endswith(shared)
    alone = rest.removesuffix(shared)
    assert [number for frame in raw_frames(alone) for number in ids(frame, PLAIN_DEFLATED)] == list(range(7, 20))
    assert len(shared) * 13 / 20 < len(alone) < 0.8 * len(everything(log, at(0, 7))) * 13 / 33


def raw_frames(data: bytes) -> Iterator[bytes]:
    """Cut what was sent into its frames, all of which are of medium length."""
    while data:
        length = 4 + int.from_bytes(data[2:4])
        yield data[:length]
        data = data[length:]


def test_a_stream_is_not_cut_where_something_else_can_be_sent_first() -> None:
    """The rest would be dearer; where it does not fit into any write its beginning is compressed all the same."""
    log = log_of(*(record(*range(20 * n, 20 * n + 20)) for n in range(3)))
    streams = [log.read(log.position_at(Offset(n)), Reading(PLAIN_DEFLATED), 1).position for n in range(3)]
    assert streams == [at(0, 1), at(1, 1), at(2, 1)]
    length = len(log.read(at(1, 20), Reading(PLAIN_DEFLATED), 1 << 16).data)
    assert log.read(Position(0), Reading(PLAIN_DEFLATED), length * 2 + length // 2).position == at(1, 20)
    cut = log.read(Position(0), Reading(PLAIN_DEFLATED), length // 2)
    receiver = Receiver()
    receiver.receive(cut.data)
    assert 0 < receiver.compressed == cut.posts < 20


class Counting:
    """An encoding that notes how many bytes of messages it was given, by each call."""

    name, has_cursor, stream_bytes = "counting", False, PLAIN_DEFLATED.stream_bytes

    def __init__(self) -> None:
        self.encoded: list[int] = []

    def each(self, messages: Sequence[Message]) -> list[bytes]:
        self.encoded.append(sum(len(one.text) for one in messages))
        return [one.text for one in messages]

    stream = each

    def notice(self, notice: Notice) -> bytes:
        return PLAIN_DEFLATED.notice(notice)


@pytest.mark.parametrize("size", [50, 400, 5000, 15_000])
@pytest.mark.parametrize("posts", [1, 50, 300])
def test_a_read_encodes_no_more_than_a_bounded_stretch(size: int, posts: int) -> None:
    """However the feed is cut into records: the loop waits meanwhile. What was encoded before costs nothing."""
    log, encoding = log_of(limit=1 << 27), Counting()
    for n in range(max(3, 200_000 // (size * posts))):
        some = [publication(posts * n + k, text="x" * size) for k in range(posts)]
        log.append(Offset(n), record(*some))
    position, reads = at(0, 1), 0
    while position < log.head:
        encoding.encoded.clear()
        position = log.read(position, Reading(encoding), 1 << 20).position
        whole = encoding.stream_bytes
        assert sum(encoding.encoded) <= whole if len(encoding.encoded) > 1 else whole + 16 * 1024
        reads += 1
    encoding.encoded.clear()
    again = log.read(at(0, 1), Reading(encoding), 1 << 26)
    assert (encoding.encoded, again.position, reads > 4) == ([], log.head, True)


def test_messages_too_large_to_compress_at_once_are_sent_as_they_are() -> None:
    """Within a stream, too: those around them are compressed, and refer to each other."""
    sizes = [300, 300, 200_000, 300, 17_000, 300]
    log = log_of(record(*(publication(n, text=WORDS[:size]) for n, size in enumerate(sizes))))
    receiver, plain = Receiver(), Receiver()
    receiver.receive(everything(log, 0, PLAIN_DEFLATED))
    plain.receive(everything(log, 0))
    assert (receiver.texts == plain.texts, receiver.compressed) == (True, 4)


def test_what_gains_nothing_is_the_plain_bytes() -> None:
    """As text, which any client can read."""
    log = log_of(record(1))
    assert log.read(Position(0), Reading(PLAIN_DEFLATED), 1000).data == log.read(Position(0), Reading(PLAIN), 1000).data


# The bound.


def test_the_oldest_records_go_first_and_whole() -> None:
    """Room is made for new records at the tail."""
    log = log_of(*(record(10 * n, 10 * n + 1) for n in range(100)), limit=30_000, reach=10)
    kept = ids(everything(log, log.tail))
    assert kept == [10 * n + i for n in range(100 - len(kept) // 2, 100) for i in (0, 1)]
    assert log.head == at(99, 2)
    assert 0 < log.size <= 30_000


def test_the_newest_record_stays_however_large() -> None:
    """Otherwise nobody would ever get it."""
    log = log_of(record(1), record(publication(2, text="x" * 10_000)), limit=1000)
    assert ids(everything(log, log.tail)) == [2]


@given(feeds, st.integers(1, 8000), st.data())
def test_the_bound_holds_whatever_is_read(feed: list[bytes], limit: int, data: st.DataObject) -> None:
    """Every encoding counts, none pushes out a record, and what is read is right all the same."""
    log, free = log_of(limit=limit), log_of(limit=1 << 20)
    newest = 0
    for offset, value in enumerate(feed):
        empty = log.size
        log.append(Offset(offset), value)
        free.append(Offset(offset), value)
        newest = max(newest, log.size - empty)
        tail = log.tail
        place = log.back(log.head, data.draw(st.integers(0, 50)))
        for encoding in ENCODINGS:
            assert messages(everything(log, place, encoding, 200), encoding) == messages(
                everything(free, place, text_of(encoding))
            )
        assert log.tail == tail
        table = log._repeats.size  # noqa: SLF001 - memory has no other face
        is_newest_alone = log.tail >= log.position_at(Offset(max(0, offset - 1)))
        assert log.size - max(0, table - limit // 4) <= limit or is_newest_alone


@EACH
def test_an_encoding_is_made_once_for_all(encoding: Encoding) -> None:
    """Law 9: it is kept and counted, and what is read of it is the same object for everybody."""
    log = log_of(record(*range(1, 20)))
    plain = log.size
    first = log.read(Position(0), Reading(encoding), 1 << 16).data
    kept = log.size
    assert kept > plain + len(first)
    for limit in range(1 << 16, (1 << 16) + 50):
        assert log.read(Position(0), Reading(encoding), limit).data is first
    assert log.size == kept


def test_joined_reads_count() -> None:
    """They are copies of what encodings are kept, and large where posts are."""
    log = log_of(*(record(publication(n, text="x" * 1000)) for n in range(100)), limit=400_000)
    everything(log, 0)
    plain = log.size
    one = log.read(Position(0), Reading(PLAIN), 3000).data
    assert log.size == plain + len(one)
    other = log.read(at(1, 1), Reading(PLAIN), 3000).data
    assert log.size == plain + len(one) + len(other)
    for offset in range(90):
        log.read(log.position_at(Offset(offset)), Reading(PLAIN), 5000)
        assert plain < log.size <= plain + 400_000 // 32
    log.append(Offset(100), record(100))
    assert log.size < plain + 2000


def test_encodings_have_a_part_of_the_room() -> None:
    """A log that is full keeps those of the newest records; records give way to records alone."""
    log, made = log_of(limit=100_000, reach=2), []
    for offset in range(100):
        log.append(Offset(offset), record(*range(100 * offset, 100 * offset + 50)))
        tail = log.tail
        made.append(log.read(log.position_at(Offset(offset)), Reading(CURSOR_DEFLATED), 1 << 16).data)
        assert (log.tail, log.size <= 100_000) == (tail, True)
    assert log.tail < log.position_at(Offset(97))
    # Nothing is made again: what is read is what was made then.
    again = [log.read(log.position_at(Offset(n)), Reading(CURSOR_DEFLATED), len(made[n])).data for n in (99, 98, 97)]
    assert [one is other for one, other in zip(again, reversed(made), strict=False)] == [True] * 3
    assert log.encodings.made == 100
    assert 50 < log.encodings.evicted < 97


def test_the_table_of_repeats_is_counted_and_records_give_way_to_it() -> None:
    """It is as long as a repeat may reach back, whatever the records."""
    short, long = (
        log_of(*(record(*range(9 * n, 9 * n + 9)) for n in range(60)), limit=100_000, reach=reach) for reach in (1, 10)
    )
    assert max(short.size, long.size) <= 100_000
    assert long.tail > short.tail


def test_a_table_of_repeats_as_large_as_the_log_leaves_records_their_part() -> None:
    """Records of thousands of posts, as after an outage, would otherwise leave nobody a place in the log."""
    short, long = (
        log_of(*(record(*range(9 * n, 9 * n + 9)) for n in range(90)), limit=100_000, reach=reach) for reach in (1, 90)
    )
    assert long.posts > 0.7 * short.posts


def test_what_was_made_and_evicted_is_counted_over_a_gap() -> None:
    """A counter never falls; what goes with its records was not evicted for room."""
    log = log_of(record(1))
    log.read(Position(0), Reading(CURSOR), 1 << 16)
    log.begin(Offset(9), Offset(9))
    assert (log.encodings.made, log.encodings.evicted, log.size) == (1, 0, 0)


# Cursors.


@EACH
def test_every_post_with_a_cursor_names_the_place_after_it(encoding: Encoding) -> None:
    """A client that resumes from a post's cursor gets what follows that post."""
    log = log_of(record(1, 2), record(2), record(1, 3))
    tokens = [message["cursor"] for message in messages(everything(log, 0, CURSOR))]
    found = [resumed(log, token) for token in tokens]
    assert found == [Resume(at(0, 1)), Resume(at(0, 2)), Resume(at(2, 2))]
    assert ids(everything(log, at(0, 1), encoding), encoding) == [2, 3]


@given(feeds, st.data())
def test_replay_and_live_are_the_uncut_feed(feed: list[bytes], data: st.DataObject) -> None:
    """Law 12: cut anywhere, go on at another edge, which learns the rest only later: nothing missed or doubled."""
    cut = data.draw(st.integers(0, len(feed)))
    first, second = log_of(*feed[:cut]), log_of(*feed[:cut])
    place = first.back(first.head, data.draw(st.integers(0, 50)))
    token = str(first.cursor_at(place))
    for offset in range(cut, len(feed)):
        second.append(Offset(offset), feed[offset])
    found = resumed(second, token)
    assert isinstance(found, Resume)
    seen = everything(first, 0)[: len(everything(first, 0)) - len(everything(first, place))]
    assert seen + everything(second, found.position) == everything(log_of(*feed), 0)


@given(feeds)
def test_the_head_has_a_cursor_of_all_that_was_read(feed: list[bytes]) -> None:
    """Also where the last records showed nothing: a client need not get them again."""
    log = log_of(*feed)
    named = [(offset, value) for offset, value in enumerate(feed) if _count(value)]
    last = named[-1] if named else None
    found = log.cursor_at(log.head)
    assert found == (before(Offset(len(feed))) if last is None else cursor(last[0], _count(last[1]), last[1]))
    assert log.resume(found) == Resume(log.head)


def _count(value: bytes) -> int:
    return value.count(b'"action"')


def test_a_cursor_before_the_first_post_replays_all_of_them() -> None:
    """There is a cursor while the feed is empty, and it is good on any edge."""
    token = str(log_of().cursor_at(Position(0)))
    assert resumed(log_of(), token) == Resume(Position(0))
    assert resumed(log_of(record(1)), token) == Resume(Position(0))


@pytest.mark.parametrize("offered_from", [2, 3])
def test_a_cursor_behind_which_only_repeats_were_forgotten_has_not_expired(offered_from: int) -> None:
    """Nothing was missed: the records 1 and 2 show nothing, whoever reads them."""
    values = [record(1, 2), record(2), record(1), record(3)]
    log = Log(limit=1 << 20, reach=1000)
    log.begin(Offset(0), Offset(offered_from))
    for offset, value in enumerate(values):
        log.append(Offset(offset), value)
    assert log.resume(cursor(0, 2, values[0])) == Resume(log.tail)
    assert log.resume(cursor(0, 1, values[0])) == Gap("expired")
    assert log.resume(cursor(0, 2, b"another")) == Gap("expired")
    assert ids(everything(log, log.tail)) == [3]


@pytest.mark.parametrize(("posts", "length"), [(0, 0), (1, 10), (100, 470), (200, 350), (400, 10), (400, 470)])
def test_what_a_record_will_displace_is_known_before(posts: int, length: int) -> None:
    """By an upper bound: the table of repeats grows with it, and so its posts displace more than itself takes."""
    log = Log(limit=8 << 20, reach=1000)
    log.begin(Offset(0), Offset(0))
    room = log.room()
    for number in range(120):
        first = number * posts + 1
        value = record(*(publication(first + post, text="x" * length, author=5) for post in range(posts)))
        most = log.kept.tail_after(log.room(value))
        log.append(Offset(number), value)
        assert log.tail <= most
    assert log.room() <= room


def test_a_cursor_behind_which_only_repeats_were_trimmed_has_not_expired() -> None:
    log = log_of(record(1), record(1), limit=3000)
    while log.tail == at(0, 0):
        assert log.resume(cursor(0, 1, record(1))) == Resume(at(0, 1))
        assert log.next_offset is not None
        log.append(log.next_offset, record(1))
    assert log.resume(cursor(0, 1, record(1))) == Resume(log.tail)


def test_a_cursor_of_what_is_forgotten_has_expired() -> None:
    """What was evicted, or read only to know repeats, cannot be replayed whole; what begins right after it can."""
    log = log_of(*(record(n) for n in range(100)), limit=10_000, reach=10)
    first = 100 - len(ids(everything(log, log.tail)))
    assert log.tail == at(first - 1, 1)
    assert log.resume(cursor(first - 1, 1, record(first - 1))) == Resume(log.tail)
    assert log.resume(cursor(first - 1, 1, b"another")) == Gap("expired")
    assert log.resume(before(Offset(first - 1))) == Gap("expired")
    assert log.resume(before(Offset(first))) == Resume(log.tail)
    assert log.resume(before(Offset(first + 1))) == Resume(at(first, 1))


def test_a_cursor_of_another_record_is_noticed() -> None:
    """A topic made anew, or a forged cursor: the offset is there, the record is not."""
    assert log_of(record(1)).resume(cursor(0, 1, record(2))) == Gap("recreated")


@pytest.mark.parametrize(
    ("beyond", "needed"),
    [
        (cursor(2, 1, b"record"), 3),
        (cursor(7, 1, b"record"), 8),
        (before(Offset(3)), 3),
        (before(Offset(2**64 - 1)), 2**64 - 1),
    ],
)
def test_a_cursor_beyond_what_was_read_says_how_far_to_read(beyond: Cursor, needed: int) -> None:
    """Another edge may be ahead of this one."""
    assert log_of(record(1), record(2)).resume(beyond) == Ahead(Offset(needed))


def test_a_log_that_has_not_begun_knows_no_cursor() -> None:
    """Not even that of an empty feed: nobody has said yet where this one begins."""
    assert Log(limit=1, reach=1).resume(before(Offset(0))) == Ahead(Offset(0))


def test_a_log_that_begins_anew_has_positions_of_its_own() -> None:
    """After a gap nobody is sent what came before it, and cursors from then on are good; positions may be smaller."""
    log = log_of(record(1), record(2))
    log.read(Position(0), Reading(CURSOR), 100)
    log.begin(Offset(0), Offset(1))
    assert (log.tail, log.head, log.start, log.next_offset, log.size) == (*[at(1, 0)] * 3, 0, 0)
    assert log.resume(log.cursor_at(log.head)) == Resume(log.head)
    joined_early = log.head
    assert log.read(joined_early, Reading(PLAIN), 100) == (b"", joined_early, 0)
    log.append(Offset(0), record(7))
    assert (log.tail, log.head, log.start) == (at(0, 1),) * 3
    assert log.read(joined_early, Reading(PLAIN), 100) == (b"", log.head, 0)
    log.append(Offset(1), record(1))
    assert ids(everything(log, log.tail)) == ids(everything(log, joined_early)) == [1]


def test_an_offset_has_a_position() -> None:
    """Law 9: the place before that record; what is gone is the tail, what is to come the head."""
    log = log_of(record(1, 2), record(2), record(3), first=10)
    found = [log.position_at(Offset(offset)) for offset in range(9, 15)]
    assert found == [at(10, 0), at(10, 0), at(10, 2), at(11, 1), at(12, 1), at(12, 1)]
    assert log_of(first=10).position_at(Offset(3)) == at(10, 0)


def test_so_many_posts_back_is_the_place_before_them() -> None:
    """They are counted as they are shown, across records that show nothing; no further than to the tail."""
    log = log_of(record(1, 2), record(2), b"no record", record(2, 3, 4, 4), record(1))
    assert log.head == at(4, 1)
    assert [log.back(log.head, posts) for posts in range(7)] == [
        at(4, 1),
        at(3, 2),
        at(0, 2),
        at(0, 1),
        at(0, 0),
        at(0, 0),
        at(0, 0),
    ]
    assert log.back(log.position_at(Offset(3)), 1) == at(0, 1)


@given(feeds, st.integers(0, 12), st.integers(0, 4), st.data())
def test_equal_positions_have_equal_tokens(feed: list[bytes], offer_from: int, reach: int, data: st.DataObject) -> None:
    """Of a welcome, of a post and of a client that resumed, here and on an edge with another history."""
    full, late = log_of(*feed, reach=reach), Log(limit=1 << 20, reach=reach)
    offered = Offset(min(offer_from, len(feed)))
    late.begin(Offset(max(0, offered - reach)), offered)
    for offset in range(max(0, offered - reach), len(feed)):
        late.append(Offset(offset), feed[offset])
    tokens: dict[int, set[str]] = {}
    for log in (full, late):
        for posts in range(30):
            place = log.back(log.head, posts)
            given_ = log.cursor_at(place)
            assert given_.position == place
            tokens.setdefault(place, set()).add(str(given_))
            for one in messages(everything(log, place, CURSOR, data.draw(st.integers(1, 300)))):
                cursor_ = parse(one["cursor"])
                assert isinstance(cursor_, Cursor)
                tokens.setdefault(cursor_.position, set()).add(one["cursor"])
                for edge in (full, late):
                    match edge.resume(cursor_):
                        case Resume(position):
                            assert str(edge.cursor_at(position)) == one["cursor"]
                        case Gap(reason):
                            assert (edge is late, reason) == (True, "expired")
    assert {len(some) for some in tokens.values()} <= {1}


def test_positions_are_in_the_order_of_offsets() -> None:
    """A later offset never has an earlier position."""
    log = log_of(*(record(*range(n)) for n in range(6)))
    found = [log.position_at(Offset(offset)) for offset in range(8)]
    assert all(one <= other for one, other in pairwise(found))


@pytest.mark.parametrize("later", [0, 1, 2, 3])
def test_a_place_without_a_publication_before_it_has_one_cursor_wherever_a_log_begins(later: int) -> None:
    """Behind a hole, or at the feed's beginning: records without posts are passed, and what is told is not smaller.

    A client that has the newest cursor by its order would else be sent back by another edge, or by a later message.
    """
    empty = [record()] * 3
    behind_hole, beginning = log_of(record(1), record(2)), log_of()
    behind_hole.skip_to(Offset(10))
    beginning.begin(Offset(10), Offset(10))
    other = log_of(*empty[later:], first=10 + later)
    for number, value in enumerate(empty, 10):
        for log in (behind_hole, beginning):
            before_it = log.head
            log.append(Offset(number), value)
            assert log.head > before_it
    logs = (behind_hole, beginning, other)
    heads = [log.cursor_at(log.head) for log in logs]
    assert heads == [before(Offset(13))] * 3
    for log in logs:
        assert log.resume(before(Offset(13))) == Resume(log.head)
        assert log.position_at(Offset(13)) == log.head
        assert log.read(log.position_at(Offset(10 + later)), Reading(PLAIN), 1000) == (b"", log.head, 0)
        log.append(Offset(13), record(7))
        assert ids(log.read(heads[0].position, Reading(PLAIN), 1000).data) == [7]
        # Who was told a smaller one earlier goes on there, too.
        if log is not other:
            assert log.resume(before(Offset(11))) == Resume(log.position_at(Offset(11)))
    assert len({str(log.cursor_at(log.head)) for log in logs}) == 1
