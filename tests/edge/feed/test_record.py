"""A record's posts, in each form."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.feed.position import Cursor, Position
from edge.feed.record import Frames, Record
from edge.wire.frames import Form
from streams.contract import Offset, Publication
from tests.edge.kit.records import frames, messages, publication


def record_of(*publications: Publication, shown: list[int] | None = None) -> Record:
    places = list(range(len(publications))) if shown is None else shown
    return Record(Offset(7), b"stampsta", Position(100), list(publications), places)


def texts(count: int, length: int = 300) -> list[Publication]:
    """Make posts with texts as people write them: words that come again, in another order."""
    chance = random.Random(1)  # noqa: S311 - any words will do
    words = ["window", "feed", "post", "client", "edge", "record", "worker", "broker", "cursor", "frame"]
    return [publication(n, text=" ".join(chance.choices(words, k=length // 6))) for n in range(count)]


def test_frames_are_found_by_their_number() -> None:
    """Joined, and apart again."""
    made = Frames([b"a", b"bc", b""])
    assert (made.joined, [made[n] for n in range(len(made))]) == (b"abc", [b"a", b"bc", b""])


def test_what_a_record_costs_is_more_than_its_bytes() -> None:
    """Also where it shows nothing: it is kept all the same."""
    sizes = [record_of(*texts(count)).size - len(record_of(*texts(count)).plain.joined) for count in (0, 1, 100)]
    assert sizes == sorted(set(sizes))
    assert sizes[0] > 0


@pytest.mark.parametrize("shown", [[], [1], [0, 2]])
def test_a_record_shows_what_it_is_told_to(shown: list[int]) -> None:
    """Each with the cursor of its own place among all publications."""
    record = record_of(publication(10), publication(11), publication(12), shown=shown)
    tokens = [str(Cursor(Offset(7), place + 1, b"stampsta")) for place in shown]
    assert messages(record.texts(Form.PLAIN).joined) == messages(record.plain.joined)
    assert [post["payload"]["id"] for post in messages(record.plain.joined)] == [10 + place for place in shown]
    assert [post["cursor"] for post in messages(record.texts(Form.CURSOR).joined)] == tokens


@pytest.mark.parametrize("form", [Form.PLAIN_DEFLATED, Form.CURSOR_DEFLATED])
def test_a_window_of_five_posts_takes_half_the_bytes(form: Form) -> None:
    """Of its plain form; and the more posts, the less."""
    parts = []
    for count in (5, 10, 50):
        record = record_of(*texts(count))
        compressed = record.stream(form, 0, count)
        assert compressed is not None
        assert messages(compressed.joined, form) == messages(record.texts(form.text).joined)
        parts.append(len(compressed.joined) / len(record.texts(form.text).joined))
    assert parts[0] < 0.52
    assert parts == sorted(parts, reverse=True)


def test_every_compressed_frame_is_marked() -> None:
    """RSV1, and no other reserved bit (RFC 7692 §6)."""
    compressed = record_of(*texts(5)).stream(Form.PLAIN_DEFLATED, 0, 5)
    assert compressed is not None
    assert [compressed[n][0] for n in range(5)] == [0xC1] * 5
    assert [(one.fin, one.rsv2, one.rsv3) for one in frames(compressed.joined, Form.PLAIN_DEFLATED)] == [
        (True, False, False)
    ] * 5


@pytest.mark.parametrize("form", [Form.PLAIN_DEFLATED, Form.CURSOR_DEFLATED])
def test_messages_that_stand_alone_are_read_without_each_other(form: Form) -> None:
    """Each one is compressed where it gains from that, and text where it does not."""
    record = record_of(*texts(20), publication(99, text=""))
    alone, plain = record.alone(form, 5, 21), record.texts(form.text)
    assert [messages(alone[n], form) for n in range(16)] == [messages(plain[5 + n]) for n in range(16)]
    assert [alone[n][0] for n in range(15)] == [0xC1] * 15
    assert alone[15] == plain[20] or len(alone[15]) < 0.9 * len(plain[20])
    assert (alone[15] == plain[20]) == (form is Form.PLAIN_DEFLATED)


def test_a_stream_that_would_gain_too_little_is_none() -> None:
    """It is decided by what came out: a short post alone gains nothing, two of them do."""
    assert record_of(publication(1)).stream(Form.PLAIN_DEFLATED, 0, 1) is None
    assert record_of(publication(1), publication(2)).stream(Form.PLAIN_DEFLATED, 0, 2) is not None


@given(st.lists(st.one_of(st.integers(0, 2000), st.integers(0, 100_000)), min_size=1, max_size=120))
def test_streams_divide_a_record(lengths: list[int]) -> None:
    """Every post is in exactly one, none is longer than 32 KiB and a post, and all know the same bounds."""
    record = record_of(*[publication(n, text="x" * length) for n, length in enumerate(lengths)])
    begin, bounds = 0, []
    while begin < len(lengths):
        bounds.append(record.stream_of(begin))
        assert {record.stream_of(index) for index in range(*bounds[-1])} == {bounds[-1]}
        assert (bounds[-1][0], bounds[-1][1] > begin) == (begin, True)
        begin = bounds[-1][1]
        ends = record.plain.ends
        assert ends[begin - 1] - ends[bounds[-1][0]] <= 32 * 1024
    assert begin == len(lengths)
