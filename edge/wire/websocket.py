"""Reads what a client sends over its WebSocket: bytes in, events out (RFC 6455, RFC 7692).

Laws:

* Bytes cut anywhere give the same events, and each byte is parsed once.
* A :class:`Close` or a :class:`Violation` is the last event: bytes behind it are not read.
* The limits are inside. A frame is counted before its payload is kept; nothing beyond a limit is kept, inflated or
  answered.
* Between two messages only numbers are kept.

The rules are those for what a client sends: every frame is masked (§5.1), lengths are as short as they can be (§5.2),
control frames are whole and short (§5.5), text is UTF-8 and known not to be as early as possible (§8.1). Compressed
messages stand alone, since the answer to the client's offer asks for that (:mod:`edge.wire.deflate`).
"""

from typing import Final

from edge.wire.allowance import BYTES, SIZE, Allowance, Traffic
from edge.wire.deflate import NotDeflate, TooLong, inflated
from edge.wire.events import (
    MASK_BYTES,
    Broken,
    Event,
    Message,
    Ping,
    Pong,
    TooBig,
    broken,
    close_of,
    no_utf8,
    rest_of_text,
    unmasked,
)
from edge.wire.frame_heads import CLOSE, FIN, OPCODE, PING, PONG, RSV1, TEXT, head_of

SKIPPED: Final = 4
"""How many times as long as the limit a message may be that is read and not kept."""


class Reader:
    """Reads what one client sends; ``is_deflated`` when compression was agreed on. Times are in seconds.

    With ``skips_large`` a message beyond the limit is read and not kept, up to ``SKIPPED`` times the limit, and is a
    :class:`TooBig`.
    """

    __slots__ = (
        "_allowance",
        "_is_deflated",
        "_is_large",
        "_is_last",
        "_is_over",
        "_left",
        "_limit",
        "_mask",
        "_message",
        "_most",
        "_opcode",
        "_partial",
        "_unread",
    )

    def __init__(self, traffic: Traffic, *, is_deflated: bool, skips_large: bool = False) -> None:
        self._limit = traffic.message_bytes
        self._most = SKIPPED * self._limit if skips_large else self._limit
        self._allowance = Allowance(traffic, message_bytes=self._most)
        # Whether the message that is coming is beyond the limit already.
        self._is_large = False
        self._is_deflated = is_deflated
        self._is_over = False
        # A frame's head, or a control frame, of which some bytes have come.
        self._unread = b""
        # The data frame whose payload is coming: how many bytes are left, their mask, and whether it ends its message.
        self._left = 0
        self._mask = b""
        self._is_last = False
        # The message of which some has come: its opcode (with RSV1 when compressed), its bytes, and the bytes of a
        # character at its end that is not complete.
        self._opcode = 0
        self._message: bytearray | None = None
        self._partial = b""

    def feed(self, data: bytes, now: float) -> list[Event]:
        """Read received bytes; return the events that they complete."""
        events: list[Event] = []
        if self._is_over:
            return events
        within = self._allowance.receive(len(data), now)
        unread = self._unread + data[:within]
        try:
            done = self._read(unread, events, now)
        except Broken as broken:
            self._is_over = True
            events.append(broken.violation)
        if within < len(data) and not self._is_over:
            self._is_over = True
            events.append(BYTES)
        self._unread = b"" if self._is_over else unread[done:]
        return events

    def drop(self, size: int, now: float) -> bool:
        """Count bytes that are not read any more; return False when they exceed the limit on bytes."""
        return self._allowance.receive(size, now) == size

    def _read(self, data: bytes, events: list[Event], now: float) -> int:
        """Read the frames in ``data``; return how many bytes need not be kept."""
        at, end = 0, len(data)
        while not self._is_over:
            if self._left:
                if at == end:
                    break
                piece = data[at : at + self._left]
                at += len(piece)
                self._left -= len(piece)
                self._take(piece)
                if self._left:
                    break
                self._end_frame(events, now)
                continue
            head = head_of(data, at, is_deflated=self._is_deflated, is_message_open=self._message is not None)
            if head is None:
                break
            begin, length = head
            if data[at] & OPCODE >= CLOSE:
                if end - begin < length:
                    break
                payload = unmasked(data[begin : begin + length], data[begin - MASK_BYTES : begin])
                self._count(data[at] & OPCODE, length, now)
                self._control(data[at] & OPCODE, payload, events)
                at = begin + length
            else:
                self._begin_frame(data[at], length, now)
                self._mask = data[begin - MASK_BYTES : begin]
                self._left = length
                at = begin
                if not length:
                    self._end_frame(events, now)
        return at

    def _count(self, opcode: int, length: int, now: float) -> None:
        violation = self._allowance.frame(opcode, length, now)
        if violation is not None:
            raise Broken(violation)

    def _begin_frame(self, first: int, length: int, now: float) -> None:
        self._count(first & OPCODE, length, now)
        self._is_last = bool(first & FIN)
        if self._message is None:
            self._opcode = first & (OPCODE | RSV1)
            self._message = bytearray()
            self._is_large = False

    def _take(self, piece: bytes) -> None:
        """Append a piece of a data frame's payload to its message."""
        assert self._message is not None  # noqa: S101 - a data frame was begun; told to the type checker
        plain = unmasked(piece, self._mask)
        turn = len(piece) % MASK_BYTES
        self._mask = self._mask[turn:] + self._mask[:turn]
        if self._opcode == TEXT:
            self._partial = rest_of_text(self._partial + plain)
        if not self._is_large and len(self._message) + len(plain) > self._limit:
            self._is_large = True
            self._message.clear()
        if not self._is_large:
            self._message += plain

    def _end_frame(self, events: list[Event], now: float) -> None:
        if not self._is_last:
            return
        assert self._message is not None  # noqa: S101 - as above
        message, partial = bytes(self._message), self._partial
        is_text = self._opcode & OPCODE == TEXT
        self._message, self._partial, self._mask = None, b"", b""
        if self._opcode & RSV1 and not self._is_large:
            message = self._inflated(message)
            # A few bytes may inflate to many, which cost as much as if they had come as they are.
            if self._allowance.receive(len(message), now) < len(message):
                raise Broken(BYTES)
            partial = rest_of_text(message) if is_text else b""
        if partial:
            raise no_utf8()
        is_large = self._is_large or len(message) > self._limit
        events.append(TooBig(is_text) if is_large else Message(message, is_text))

    def _inflated(self, message: bytes) -> bytes:
        try:
            return inflated(message, self._most)
        except TooLong:
            raise Broken(SIZE) from None
        except NotDeflate:
            raise broken("the message cannot be inflated") from None

    def _control(self, opcode: int, payload: bytes, events: list[Event]) -> None:
        if opcode == PING:
            events.append(Ping(payload))
        elif opcode == PONG:
            events.append(Pong(payload))
        else:
            events.append(close_of(payload))
            self._is_over = True
