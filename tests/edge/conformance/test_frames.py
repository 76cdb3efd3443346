"""RFC 6455, what a client may send: each rule, and the close code that breaking it must get."""

import struct
from typing import Final, NamedTuple

import pytest
from websockets.frames import Opcode

from tests.edge.kit.conversation import Heard, converse, masked
from tests.edge.kit.edge import MAX_MESSAGE_BYTES, serving

TEXT, BINARY, CONT, CLOSE, PING = (
    int(one) for one in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.CLOSE, Opcode.PING)
)
MORE: Final = 0x00
"""The first byte of a frame that does not end its message."""
EURO: Final = "€".encode()
FAR: Final = 4_000
"""How far behind an error may be: beyond what any buffer takes at a time would be no other case."""


class Rule(NamedTuple):
    """What is sent, and what must be heard."""

    section: str
    name: str
    sent: bytes
    code: int | None
    pongs: tuple[bytes, ...] = ()


def sized(length_bytes: bytes, payload: bytes, first_byte: int = 0x81) -> bytes:
    """Make a text frame whose length is written as told; a mask of zeros changes nothing."""
    return bytes([first_byte]) + length_bytes + bytes(4) + payload


def close(code: int, reason: bytes = b"") -> bytes:
    return masked(CLOSE, struct.pack("!H", code) + reason)


RULES: Final = [
    # What is allowed: the connection goes on, or ends well.
    Rule("5.2", "text", masked(TEXT, EURO), None),
    Rule("5.2", "binary", masked(BINARY, b"\xff\x00"), None),
    Rule("5.2", "empty messages", masked(TEXT) + masked(BINARY), None),
    *[
        Rule("5.2", f"a length of {length}", masked(TEXT, b"x" * length), None)
        for length in (125, 126, 127, 65_535, MAX_MESSAGE_BYTES)
    ],
    Rule("5.2", "a message that is too big", masked(TEXT, b"x" * (MAX_MESSAGE_BYTES + 1)), 1009),
    Rule(
        "5.4",
        "a message that is too big in its second fragment",
        masked(TEXT, b"x" * MAX_MESSAGE_BYTES, first_byte=MORE) + masked(CONT, b"x"),
        1009,
    ),
    # Masking.
    Rule("5.1", "an unmasked text", b"\x81\x01x", 1002),
    Rule("5.1", "an unmasked ping", b"\x89\x01x", 1002),
    Rule("5.1", "an unmasked close", b"\x88\x02\x03\xe8", 1002),
    Rule("5.3", "a mask of zeros", sized(b"\x81", b"x"), None),
    # Reserved bits and opcodes.
    *[
        Rule(
            "5.2", f"RSV{bit} on {name}", masked(opcode, b"x" * (opcode != CLOSE), first_byte=0x80 | 0x80 >> bit), 1002
        )
        for bit in (1, 2, 3)
        for name, opcode in (("a text", TEXT), ("a ping", PING), ("a close", CLOSE))
    ],
    Rule("5.2", "RSV1 on a continuation", masked(TEXT, b"x", first_byte=MORE) + masked(CONT, first_byte=0xC0), 1002),
    *[
        Rule("5.2", f"opcode {opcode:X}", masked(opcode, b"x"), 1002)
        for opcode in (0x3, 0x4, 0x5, 0x6, 0x7, 0xB, 0xC, 0xD, 0xE, 0xF)
    ],
    Rule("5.2", "opcode 3 within a message", masked(TEXT, b"x", first_byte=MORE) + masked(0x3, b"x"), 1002),
    # Lengths.
    Rule("5.2", "125 in 16 bits", sized(b"\xfe" + struct.pack("!H", 125), b"x" * 125), 1002),
    Rule("5.2", "0 in 16 bits", sized(b"\xfe" + struct.pack("!H", 0), b""), 1002),
    Rule("5.2", "125 in 64 bits", sized(b"\xff" + struct.pack("!Q", 125), b"x" * 125), 1002),
    Rule("5.2", "65,535 in 64 bits", sized(b"\xff" + struct.pack("!Q", 65_535), b"x" * 65_535), 1002),
    Rule("5.2", "a length of 2⁶³−1", sized(b"\xff" + struct.pack("!Q", (1 << 63) - 1), b""), 1009),  # noqa: RUF001
    Rule("5.2", "a length whose highest bit is set", sized(b"\xff" + struct.pack("!Q", 1 << 63), b""), 1002),
    # Fragments.
    Rule("5.4", "fragments", masked(TEXT, b"a", first_byte=MORE) + masked(CONT, b"b"), None),
    Rule(
        "5.4",
        "empty fragments",
        masked(TEXT, first_byte=MORE) + masked(CONT, first_byte=MORE) + masked(CONT),
        None,
    ),
    Rule(
        "5.4",
        "pings within a message",
        masked(TEXT, b"a", first_byte=MORE)
        + masked(PING, b"1")
        + masked(CONT, b"b", first_byte=MORE)
        + masked(PING, b"2")
        + masked(CONT, b"c"),
        None,
        (b"1", b"2"),
    ),
    Rule("5.4", "a close within a message", masked(TEXT, b"a", first_byte=MORE) + close(1000), 1000),
    Rule("5.4", "a continuation of nothing", masked(CONT, b"x"), 1002),
    Rule("5.4", "a first continuation of nothing", masked(CONT, b"x", first_byte=MORE), 1002),
    Rule(
        "5.4",
        "a continuation after the last",
        masked(TEXT, b"a", first_byte=MORE) + masked(CONT, b"b") + masked(CONT, b"c"),
        1002,
    ),
    *[
        Rule("5.4", f"{name} within a message", masked(TEXT, b"a", first_byte=MORE) + frame, 1002)
        for name, frame in (
            ("a text", masked(TEXT, b"b")),
            ("a binary", masked(BINARY, b"b")),
            ("the first fragment of a text", masked(TEXT, b"b", first_byte=MORE)),
        )
    ],
    Rule(
        "5.4",
        "a text within a message that is empty so far",
        masked(TEXT, first_byte=MORE) + masked(TEXT, b"b"),
        1002,
    ),
    *[
        Rule("5.5", f"a fragmented {name}", masked(opcode, first_byte=MORE), 1002)
        for name, opcode in (("close", CLOSE), ("ping", PING), ("pong", 0xA))
    ],
    # Control frames.
    Rule("5.5", "a ping of 125 bytes", masked(PING, b"x" * 125), None, (b"x" * 125,)),
    Rule("5.5", "a ping of 126 bytes", masked(PING, b"x" * 126), 1002),
    Rule("5.5", "a pong of 126 bytes", masked(0xA, b"x" * 126), 1002),
    Rule("5.5", "a close of 126 bytes", close(1000, b"x" * 124), 1002),
    Rule(
        "5.5.2",
        "each ping is answered",
        b"".join(masked(PING, b"%d" % n) for n in range(9)),
        None,
        tuple(b"%d" % n for n in range(9)),
    ),
    Rule("5.5.2", "a ping without a payload", masked(PING), None, (b"",)),
    Rule("5.5.3", "a pong that nobody asked for", masked(0xA, b"x"), None),
    # UTF-8.
    Rule(
        "8.1",
        "a character split by fragments",
        masked(TEXT, EURO[:1], first_byte=MORE) + masked(CONT, EURO[1:2], first_byte=MORE) + masked(CONT, EURO[2:]),
        None,
    ),
    Rule("8.1", "the last code point", masked(TEXT, "\U0010ffff".encode()), None),
    *[
        Rule("8.1", f"no UTF-8: {name}", masked(TEXT, b"x" * before + wrong), 1007)
        for before in (0, FAR)
        for name, wrong in (
            (f"a lone continuation byte after {before}", b"\x80"),
            (f"an overlong slash after {before}", b"\xc0\xaf"),
            (f"a surrogate after {before}", b"\xed\xa0\x80"),
            (f"beyond the last code point after {before}", b"\xf4\x90\x80\x80"),
            (f"a character cut off after {before}", EURO[:2]),
        )
    ],
    Rule(
        "8.1", "no UTF-8 in a later fragment", masked(TEXT, b"x" * FAR, first_byte=MORE) + masked(CONT, b"\xff"), 1007
    ),
    Rule("8.1", "no UTF-8 in a message that does not end", masked(TEXT, b"\xff", first_byte=MORE), 1007),
    Rule("8.1", "bytes may be anything", masked(BINARY, b"\xff" * FAR), None),
    # Closing: a close is answered with its own code, or without one when it has none (1005).
    Rule("5.5.1", "a close without a code", masked(CLOSE), 1005),
    Rule("5.5.1", "a close and a reason", close(1000, b"x" * 120 + EURO), 1000),
    Rule("5.5.1", "nothing after a close", close(1000) + masked(PING, b"x") + masked(TEXT, b"\xff"), 1000),
    Rule("5.5.1", "half a code", masked(CLOSE, b"\x03"), 1002),
    Rule("5.5.1", "a reason that is no UTF-8", close(1000, b"\xff"), 1007),
    Rule("5.5.1", "a reason cut off within a character", close(1000, b"x" * 121 + EURO[:2]), 1007),
    *[
        Rule("7.4", f"close code {code}", close(code), code)
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
    ],
    # That an extension is missing only a client can say.
    Rule("7.4.1", "close code 1010", close(1010), 1000),
    *[
        Rule("7.4", f"close code {code}", close(code), 1002)
        for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    ],
]


def pieces(data: bytes) -> list[bytes]:
    """Cut into single bytes, or into a hundred pieces what is longer."""
    size = max(1, len(data) // 100)
    return [data[at : at + size] for at in range(0, len(data), size)]


def name_of(rule: Rule) -> str:
    return f"{rule.section} {rule.name}"


@pytest.mark.parametrize("rule", RULES, ids=name_of)
async def test_what_a_client_sends_is_answered_by_the_rules(rule: Rule) -> None:
    """However it is cut into segments."""
    must = Heard(rule.code, rule.pongs)
    async with serving() as edge:
        assert await converse(edge.port, [rule.sent]) == must
        assert await converse(edge.port, pieces(rule.sent)) == must
