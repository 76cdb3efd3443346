"""What a client may send: counted exactly, over any stretch of time."""

from dataclasses import replace
from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode

from edge.wire.allowance import (
    BURST_SECONDS,
    BYTES,
    EARLY,
    FRAGMENTS,
    MESSAGES,
    PINGS,
    SIZE,
    Allowance,
    Traffic,
    Violation,
)

TRAFFIC = Traffic(messages=2, bytes=1024, pings=4, message_bytes=10, fragments=3)
NOW = 1000.0


def frames(*opcodes: int, now: float = NOW) -> list[Violation | None]:
    """Feed a new client's allowance at one moment."""
    allowance = Allowance(TRAFFIC)
    return [allowance.frame(opcode, 0, now) for opcode in opcodes]


def test_ten_seconds_worth_of_messages_may_come_at_once() -> None:
    assert frames(*[Opcode.TEXT, Opcode.BINARY] * 10, Opcode.TEXT) == [None] * 20 + [MESSAGES]


def test_a_rate_that_is_no_round_fraction_is_counted_exactly_too() -> None:
    """However long the machine has been up: 30 thirds of a second are ten."""
    allowance = Allowance(replace(TRAFFIC, messages=3))
    assert [allowance.frame(Opcode.TEXT, 0, 1e8 / 3) for _ in range(31)] == [None] * 30 + [MESSAGES]


def test_pings_and_pongs_count_together_and_closes_not_at_all() -> None:
    assert frames(*[Opcode.PING, Opcode.PONG] * 20, Opcode.CLOSE, Opcode.PING) == [None] * 41 + [PINGS]


def test_a_message_is_one_message_in_however_many_fragments() -> None:
    """And each message has its own count of them; what belongs to none, the parser refuses."""
    message = [Opcode.TEXT, Opcode.CONT, Opcode.CONT]
    assert frames(*message * 20, Opcode.TEXT) == [None] * 60 + [MESSAGES]
    assert frames(*message, Opcode.CONT) == [None] * 3 + [FRAGMENTS]


def test_a_message_is_as_large_as_its_fragments_together() -> None:
    """Known from their headers, before a byte of the last one has come; what is between them does not count."""
    sent = [(Opcode.TEXT, 4), (Opcode.PING, 100), (Opcode.CONT, 6), (Opcode.BINARY, 10), (Opcode.CONT, 1)]
    allowance = Allowance(TRAFFIC)
    assert [allowance.frame(opcode, length, NOW) for opcode, length in sent] == [None] * 4 + [SIZE]
    assert Allowance(TRAFFIC).frame(Opcode.TEXT, 11, NOW) == SIZE


def test_opcodes_that_nobody_knows_count_as_pings() -> None:
    """The parser ends the session at the first; until it does they are not free."""
    assert frames(*[0xB] * 41)[-1] == PINGS


def test_a_rate_is_earned_again() -> None:
    """A client that has used up everything may go on at the rate, and after ten seconds has all again."""
    allowance = Allowance(TRAFFIC)
    assert [allowance.frame(Opcode.TEXT, 0, NOW) for _ in range(20)] == [None] * 20
    assert allowance.frame(Opcode.TEXT, 0, NOW + 0.5) is None
    assert [allowance.frame(Opcode.TEXT, 0, NOW + 11) for _ in range(21)] == [None] * 20 + [MESSAGES]


@given(
    chunks=st.lists(st.tuples(st.integers(0, 5000), st.floats(0, 5)), min_size=1), rate=st.sampled_from([64, 500, 4096])
)
@settings(deadline=None)  # no test asserts a speed
def test_no_stretch_of_time_sees_more_than_its_rate_and_one_burst(chunks: list[tuple[int, float]], rate: int) -> None:
    """Law: in t seconds at most rate * (t + burst); and nobody is refused who has sent less than a burst."""
    allowance = Allowance(replace(TRAFFIC, bytes=rate))
    instants = list(accumulate((pause for _, pause in chunks), initial=NOW))
    passed: list[tuple[float, int]] = []
    for instant, (size, _) in zip(instants[1:], chunks, strict=True):
        read = allowance.receive(size, instant)
        assert 0 <= read <= size
        if read < size:
            assert sum(size for _, size in passed) + size > rate * BURST_SECONDS * (1 - 1e-9)
        passed.append((instant, read))
        for begin, _ in passed:
            total = sum(size for at, size in passed if at >= begin)
            assert total <= rate * (instant - begin + BURST_SECONDS) * (1 + 1e-6)
        if read < size:
            break


def test_what_is_within_the_rate_is_told_to_the_byte() -> None:
    """1,024 bytes a second: ten seconds' worth, and no byte of what follows."""
    allowance = Allowance(TRAFFIC)
    assert [allowance.receive(size, NOW) for size in (10_000, 1000, 1000)] == [10_000, 240, 0]


def test_every_reason_fits_into_a_close_frame() -> None:
    """A control frame's payload is at most 125 bytes, two of them the code (RFC 6455 §5.5)."""
    for breach in (EARLY, MESSAGES, BYTES, PINGS, SIZE, FRAGMENTS):
        assert breach.disconnect.code == (1009 if breach is SIZE else 1008)
        assert len(breach.disconnect.reason.encode()) <= 123
