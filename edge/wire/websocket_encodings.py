"""The WebSocket's encodings: with cursors or without, compressed or not.

A compressed encoding's stream is compressed as one (see :mod:`edge.wire.deflate`). Messages that gain too little by
it are framed as text, which a client can read beside compressed ones, wherever it began (RFC 7692 §6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.wire.deflate import deflated
from edge.wire.encoding import Message, Notice
from edge.wire.frames import deflated_frame, text_frame
from edge.wire.messages import with_cursor

# A larger message is sent uncompressed. A stream is at most as long as it should be and one message more: 48 KiB, which
# take 2 ms at most to compress, where 4 ms are allowed (decision 0011 has the table).
_LARGEST: Final = 16 * 1024
# As far as deflate can refer back (RFC 1951 §2): twice as long would save 1 % of the plain size (decision 0011), and be
# twice as long to compress at a time, and dearer for a client that begins in its middle.
_STREAM_BYTES: Final = 32 * 1024
# Compressed that is not smaller than this part of plain is not worth the time that the clients take to inflate it.
_GAIN: Final = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class WebSocketEncoding:
    """Messages as frames that a server sends; compressed where ``stream_bytes`` is not 0."""

    name: str
    has_cursor: bool
    stream_bytes: int = 0

    def each(self, messages: Sequence[Message]) -> list[bytes]:
        """Frame messages, each compressed alone where that gains something."""
        make = _smallest_frame if self.stream_bytes else text_frame
        return [make(text) for text in self._texts(messages)]

    def stream(self, messages: Sequence[Message]) -> list[bytes]:
        """Frame the messages of a stream, compressed where that gains something."""
        if not self.stream_bytes:
            return self.each(messages)
        texts = self._texts(messages)
        # What is not compressed may come between the messages of a stream: it is no part of it.
        small = [text for text in texts if len(text) <= _LARGEST]
        payloads = list(deflated(small))
        if sum(map(len, payloads)) >= _GAIN * sum(map(len, small)):
            return [text_frame(text) for text in texts]
        rest = iter(payloads)
        return [deflated_frame(next(rest)) if len(text) <= _LARGEST else text_frame(text) for text in texts]

    def notice(self, notice: Notice) -> bytes:
        """Frame a notice; it is never compressed, since it would come between the messages of a stream."""
        return text_frame(notice.text)

    def _texts(self, messages: Sequence[Message]) -> list[bytes]:
        if self.has_cursor:
            return [with_cursor(*message) for message in messages]
        return [message.text for message in messages]


PLAIN: Final = WebSocketEncoding("plain", has_cursor=False)
CURSOR: Final = WebSocketEncoding("cursor", has_cursor=True)
PLAIN_DEFLATED: Final = WebSocketEncoding("plain_deflated", has_cursor=False, stream_bytes=_STREAM_BYTES)
CURSOR_DEFLATED: Final = WebSocketEncoding("cursor_deflated", has_cursor=True, stream_bytes=_STREAM_BYTES)


ENCODINGS: Final = (PLAIN, CURSOR, PLAIN_DEFLATED, CURSOR_DEFLATED)


def encoding_for(*, has_cursor: bool, is_deflated: bool) -> WebSocketEncoding:
    """Return the encoding for what a client asks for and what was agreed about compression."""
    if is_deflated:
        return CURSOR_DEFLATED if has_cursor else PLAIN_DEFLATED
    return CURSOR if has_cursor else PLAIN


def _smallest_frame(text: bytes) -> bytes:
    if len(text) > _LARGEST:
        return text_frame(text)
    (payload,) = deflated([text])
    return deflated_frame(payload) if len(payload) < _GAIN * len(text) else text_frame(text)
