"""Messages as frames, in each of the WebSocket's encodings."""

import random
from itertools import product

import pytest

from edge.wire.encoding import Encoding, Message
from edge.wire.messages import message, welcome, with_cursor
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED, ENCODINGS, PLAIN, PLAIN_DEFLATED, encoding_for
from tests.edge.kit.records import frames, messages, publication, text_of

DEFLATED = pytest.mark.parametrize("encoding", [PLAIN_DEFLATED, CURSOR_DEFLATED])


def texts(count: int, length: int = 300) -> list[Message]:
    """Make posts with texts as people write them: words that come again, in another order."""
    chance = random.Random(1)  # noqa: S311 - any words will do
    words = ["window", "feed", "post", "client", "edge", "record", "worker", "broker", "cursor", "frame"]
    made = [publication(n, text=" ".join(chance.choices(words, k=length // 6))) for n in range(count)]
    return [Message(message(one), f"token-{n}", 5000 * n) for n, one in enumerate(made)]


def plain(encoding: Encoding, some: list[Message]) -> list[bytes]:
    """Frame them as text."""
    return text_of(encoding).each(some)


def test_there_is_an_encoding_for_whatever_is_asked_for_and_agreed() -> None:
    """With cursors or without, compressed or not; each has a name of its own in the log."""
    made = [encoding_for(has_cursor=asks, is_deflated=agreed) for agreed, asks in product((False, True), repeat=2)]
    assert made == list(ENCODINGS) == [PLAIN, CURSOR, PLAIN_DEFLATED, CURSOR_DEFLATED]
    assert [(one.name, one.has_cursor, one.stream_bytes > 0) for one in made] == [
        ("plain", False, False),
        ("cursor", True, False),
        ("plain_deflated", False, True),
        ("cursor_deflated", True, True),
    ]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_is_encoded_are_the_messages_in_order(encoding: Encoding) -> None:
    """With their cursors where the encoding has them; one piece for each, as a stream and by themselves."""
    some = [*texts(9), *texts(1, 3)]
    expected = [with_cursor(*one) if encoding.has_cursor else one.text for one in some]
    stream, each = encoding.stream(some), encoding.each(some)
    assert [bytes(frame.data) for frame in frames(b"".join(stream), encoding)] == expected
    assert [bytes(frame.data) for piece in each for frame in frames(piece, encoding)] == expected
    assert (len(stream), len(each)) == (10, 10)


@DEFLATED
def test_a_window_of_five_posts_takes_half_the_bytes(encoding: Encoding) -> None:
    """Of its plain encoding; and the more posts, the less."""
    parts = []
    for count in (5, 10, 50):
        some = texts(count)
        parts.append(len(b"".join(encoding.stream(some))) / len(b"".join(plain(encoding, some))))
    assert parts[0] < 0.52
    assert parts == sorted(parts, reverse=True)


def test_every_compressed_frame_is_marked() -> None:
    """RSV1, and no other reserved bit (RFC 7692 §6)."""
    compressed = PLAIN_DEFLATED.stream(texts(5))
    assert [one[0] for one in compressed] == [0xC1] * 5
    assert [(one.fin, one.rsv2, one.rsv3) for one in frames(b"".join(compressed), PLAIN_DEFLATED)] == [
        (True, False, False)
    ] * 5


@DEFLATED
def test_messages_that_stand_alone_are_read_without_each_other(encoding: Encoding) -> None:
    """Each one is compressed where it gains from that, and text where it does not."""
    some = [*texts(15), Message(message(publication(1)), "token" * 7)]
    alone, text = encoding.each(some), plain(encoding, some)
    assert [messages(one, encoding) for one in alone] == [messages(one) for one in text]
    assert [one[0] for one in alone[:15]] == [0xC1] * 15
    assert (alone[15] == text[15]) or len(alone[15]) < 0.9 * len(text[15])
    assert (alone[15] == text[15]) == (encoding is PLAIN_DEFLATED)


def test_a_stream_that_would_gain_too_little_is_sent_as_text() -> None:
    """It is decided by what came out: a short post alone gains nothing, two of them do."""
    assert PLAIN_DEFLATED.stream(texts(1, 0)) == PLAIN.each(texts(1, 0))
    assert PLAIN_DEFLATED.stream(texts(2, 0)) != PLAIN.each(texts(2, 0))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_notice_is_text(encoding: Encoding) -> None:
    """Compressed, it would come between the messages of a stream."""
    told = welcome("c", session="s", heartbeat=25, gap="expired")
    (frame,) = frames(encoding.notice(told))
    assert bytes(frame.data) == told.text
