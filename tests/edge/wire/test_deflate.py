"""Compression: what is agreed about it, and what comes of it."""

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wire.deflate import BadHeader, NotDeflate, TooLong, agreement, deflated, inflated

ANSWER = "permessage-deflate; client_no_context_takeover"
TAIL = b"\x00\x00\xff\xff"

# What is agreed.


@pytest.mark.parametrize(
    ("header", "answer"),
    [
        # As browsers, Node's ws, aiohttp and websockets offer it.
        ("permessage-deflate; client_max_window_bits", ANSWER),
        ("permessage-deflate", ANSWER),
        # What speaks of the client's side alone is no matter to us.
        ("permessage-deflate; client_max_window_bits=8", ANSWER),
        ("permessage-deflate; client_no_context_takeover; client_max_window_bits=15", ANSWER),
        # The whole window is no limit, but who accepts the parameter has to say it (RFC 7692 §7.1.2.1).
        ("permessage-deflate; server_max_window_bits=15", f"{ANSWER}; server_max_window_bits=15"),
        ('permessage-deflate; server_max_window_bits="15"', f"{ANSWER}; server_max_window_bits=15"),
        ('permessage-deflate; server_max_window_bits="1\\5"', f"{ANSWER}; server_max_window_bits=15"),
        # The first that can be accepted is, whatever stands before it.
        ("permessage-deflate; server_no_context_takeover, permessage-deflate", ANSWER),
        ("x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=10, permessage-deflate; a=b", None),
        ("x-webkit-deflate-frame, permessage-deflate; a=b, permessage-deflate; client_max_window_bits", ANSWER),
        ('other; a="x" ; b=y; c, permessage-deflate', ANSWER),
        # Space may stand around everything, and an element of a list may be empty.
        ("  ,,\t permessage-deflate ;client_max_window_bits = 10 ,", ANSWER),
        # Nothing to accept.
        ("", None),
        (" , ", None),
        ("permessage-bzip2", None),
        ("Permessage-Deflate", None),
        # It would be other bytes for this client.
        ("permessage-deflate; server_no_context_takeover", None),
        ("permessage-deflate; server_max_window_bits=14", None),
        ("permessage-deflate; server_max_window_bits=8", None),
    ],
)
def test_the_first_acceptable_offer_is_accepted(header: str, answer: str | None) -> None:
    """Acceptable is what leaves our side as it is for everybody else (RFC 7692 §5.1 and §7.1)."""
    assert agreement(header) == answer


@pytest.mark.parametrize(
    "parameters",
    [
        "unknown",
        "unknown=1",
        "client_no_context_takeover=1",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=010",
        "client_max_window_bits=ten",
        "server_max_window_bits",
        "server_max_window_bits=16",
        "server_max_window_bits=015",
        "server_max_window_bits=15; server_max_window_bits=15",
        "server_no_context_takeover=1",
        "Client_no_context_takeover",
    ],
)
def test_an_offer_that_breaks_a_rule_is_declined(parameters: str) -> None:
    """RFC 7692 §7.1: a parameter that is unknown, there twice, or has a value that it cannot have."""
    assert agreement(f"permessage-deflate; {parameters}") is None
    assert agreement(f"permessage-deflate; {parameters}, permessage-deflate") == ANSWER


@pytest.mark.parametrize(
    "header",
    [
        ";",
        "a b",
        "a;",
        "a; =1",
        "a; b=",
        'a; b="',
        'a; b=""',
        'a; b="x y"',
        'a; b="x" y',
        "a=1",
        "a; b=1=2",
        "a/b",
        "a\n",
        "permessage-deflate, a;",
        "permessage-deflate\u00e9",
    ],
)
def test_what_is_no_list_of_extensions_fails_the_handshake(header: str) -> None:
    """RFC 6455 §9.1: also where it would follow something acceptable, or be declined."""
    with pytest.raises(BadHeader):
        agreement(header)


@given(st.text(alphabet='ab,;="\\ \t', max_size=30))
def test_every_header_is_read_or_refused(header: str) -> None:
    """There is no third case, and nothing is agreed that was not offered."""
    try:
        assert agreement(header) is None
    except BadHeader:
        assert header.strip(" \t,")


# What we send.


@given(st.lists(st.binary(max_size=2000), max_size=20))
def test_a_stream_is_read_message_by_message(messages: list[bytes]) -> None:
    """By a receiver that puts back the tail of each (RFC 7692 §7.2.2), and needs none of the following ones."""
    receiver = zlib.decompressobj(-15)
    assert [receiver.decompress(payload + TAIL) for payload in deflated(messages)] == messages


@given(st.lists(st.binary(max_size=200)), st.lists(st.binary(max_size=200)))
def test_a_stream_refers_to_nothing_before_it(earlier: list[bytes], messages: list[bytes]) -> None:
    """Whatever else a receiver has got, and however much of it."""
    receiver = zlib.decompressobj(-15)
    for payload in deflated(earlier):
        receiver.decompress(payload + TAIL)
    assert [receiver.decompress(payload + TAIL) for payload in deflated(messages)] == messages


# What clients send.


def payload_of(message: bytes) -> bytes:
    (payload,) = deflated([message])
    return payload


@given(st.binary(max_size=5000))
def test_a_message_is_inflated_up_to_the_limit(message: bytes) -> None:
    """One byte more than the limit is too much."""
    assert inflated(payload_of(message), len(message)) == message
    if message:
        with pytest.raises(TooLong):
            inflated(payload_of(message), len(message) - 1)


def test_a_message_may_end_with_a_final_block() -> None:
    """RFC 7692 §7.2.3.4: some compressors can flush in no other way."""
    compressor = zlib.compressobj(wbits=-15)
    assert inflated(compressor.compress(b"hello") + compressor.flush() + b"\x00", 5) == b"hello"


def test_the_rfcs_own_examples() -> None:
    """RFC 7692 §7.2.3: in one block, in two, without compression."""
    for payload in ("f248cdc9c90700", "f248050000 00ffff cac9c90700", "000500faff48656c6c6f00"):
        assert inflated(bytes.fromhex(payload), 5) == b"Hello"


@pytest.mark.parametrize("data", [b"\xff", b"\x06", b"hello"])
def test_what_cannot_be_inflated_is_no_message(data: bytes) -> None:
    """A client that marks it as compressed has made a mistake."""
    with pytest.raises(NotDeflate):
        inflated(data, 1000)


def test_a_bomb_is_left_at_the_limit() -> None:
    """What inflates to a thousand times its size is not inflated any further than is needed to know that."""
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(b"\x00" * (1 << 26)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert len(bomb) < 1 << 17
    tracemalloc.start()
    try:
        with pytest.raises(TooLong):
            inflated(bomb, 1 << 16)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_client_may_end_its_stream_within_a_message() -> None:
    """RFC 7692 §7.2.3.4 and §7.2.3.5: the last block is marked as the last, more may follow, and refer back."""
    hello = bytes.fromhex("f348cdc9c90700")
    assert inflated(hello + b"\0", 5) == inflated(hello, 5) == b"Hello"
    assert inflated(hello * 3 + b"\0", 15) == b"Hello" * 3
    compressor = zlib.compressobj(wbits=-15, zdict=b"Hello")
    back = compressor.compress(b"HelloHello") + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert inflated(hello + back.removesuffix(TAIL), 15) == b"Hello" * 3


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"\xf3", id="within a block"),
        pytest.param(bytes.fromhex("f348cdc9"), id="within a longer one"),
        pytest.param(b"\x00\x05\x00\xfa\xffHel", id="within a stored block"),
        pytest.param(bytes.fromhex("f348cdc9c90700") * 17, id="more streams than anybody makes"),
        pytest.param(bytes.fromhex("f348cdc9c90700") + b"\xff\xff", id="something else behind the stream"),
    ],
)
def test_a_message_ends_where_a_block_does(payload: bytes) -> None:
    with pytest.raises(NotDeflate):
        inflated(payload, 1000)


def test_a_message_that_is_cut_off_is_no_message() -> None:
    """Of this one no beginning is whole blocks; of some messages there is one that is, and nobody can tell."""
    (payload,) = deflated([b"a message of some words, of which some come again in the message"])
    for end in range(1, len(payload)):
        with pytest.raises(NotDeflate):
            inflated(payload[:end], 1000)


def test_an_empty_payload_is_an_empty_message() -> None:
    assert inflated(b"", 0) == b""
