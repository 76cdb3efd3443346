"""Compression of messages: permessage-deflate (RFC 7692), shared by all clients.

Laws:

* One stream, one compressor: the messages of a stream are compressed one after the other, by a
  compressor that begins with the first. So no message refers back to anything before the stream,
  and whoever was sent the messages before it in the stream can read it, whatever else it was sent
  earlier. It is the same bytes for everybody.
* Nothing is agreed about our side that would make it other bytes for some: an offer that limits
  the server's window, or forbids it to refer back to earlier messages, is declined.
* What a client sends is inflated by itself and no further than a limit. Each of its messages
  stands alone (we ask for that), so nothing is kept for it between them.

This module knows neither frames nor clients.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

# What a flush ends with, and what is cut off and put back (RFC 7692 §7.2.1 and §7.2.2).
_TAIL: Final = b"\x00\x00\xff\xff"
# What follows a message when it is inflated: what was cut off, and an empty block that is the last (RFC 1951 §3.2.3). A
# message that ends within a block takes it for data, and so does not come to an end.
_END: Final = _TAIL + b"\x03\x00"
# How many streams a message may be made of, each of which costs some 10 µs. Nobody is known to make more than one.
_STREAMS: Final = 16
_WINDOW_BYTES: Final = 1 << zlib.MAX_WBITS
# Without a header and a checksum (RFC 1951), with the largest window that there is.
_RAW: Final = -zlib.MAX_WBITS
# Decision 0011 has the table: level 6 gains 1 % of the plain size for 1.3 times the time, and takes more than 20 ms
# for the largest message that there can be.
_LEVEL: Final = 3


def deflated(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Compress the messages of one stream, in order."""
    stream = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
    for message in messages:
        yield (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)


class TooLong(ValueError):
    """The message inflates to more than it may."""


class NotDeflate(ValueError):
    """The message is marked as compressed, and is not."""


def inflated(data: bytes | bytearray, limit: int) -> bytes:
    """Inflate one message, up to ``limit`` bytes of it; raises :class:`TooLong` and :class:`NotDeflate`."""
    if not data:
        # Not to the letter: an empty message is a zero byte (RFC 7692 §7.2.3.6). Nothing else can be meant.
        return b""
    message, unread = b"", bytes(data) + _END
    for _ in range(_STREAMS):
        stream = zlib.decompressobj(_RAW, zdict=message[-_WINDOW_BYTES:])
        try:
            message += stream.decompress(unread, limit + 1 - len(message))
        except zlib.error as error:
            raise NotDeflate from error
        if len(message) > limit:
            raise TooLong
        if not stream.eof:
            break
        # The client may have ended its stream itself (RFC 7692 §7.2.3.4); what refers back then refers to all of it.
        unread = stream.unused_data
        if unread in (b"", _END):
            return message
    raise NotDeflate


class BadHeader(ValueError):
    """Sec-WebSocket-Extensions is not written as RFC 6455 §9.1 says."""


# A token (RFC 7230 §3.2.6). A quoted value must be a token once it is unquoted (RFC 6455 §9.1).
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_NAME: Final = re.compile(rf"[ \t]*({_WORD})[ \t]*")
_VALUE: Final = re.compile(rf'[ \t]*(?:({_WORD})|"((?:[^"\\]|\\.)*)")[ \t]*')
_EMPTY: Final = re.compile(r"[ \t]*(?=,|$)")

_WINDOW_BITS: Final = {str(bits) for bits in range(8, 16)}
"""RFC 7692 §7.1.2: a decimal integer without leading zeroes, from 8 to 15."""

Offer = tuple[str, list[tuple[str, str | None]]]
"""An extension's name, and its parameters with their values, in order."""


# All clients of a library offer the same.
@lru_cache(maxsize=64)
def agreement(header: str) -> str | None:
    """Return what to answer to the extensions that a client offers, or None when nothing is agreed.

    ``header`` is Sec-WebSocket-Extensions, several of them joined with commas; raises :class:`BadHeader`.
    The first offer that can be accepted is (RFC 7692 §5).
    """
    offers = list(_offers(header))
    return next(filter(None, map(_answer, offers)), None)


def _answer(offer: Offer) -> str | None:
    name, given = offer
    parameters = dict(given)
    if name != "permessage-deflate" or len(parameters) != len(given):
        return None
    # RFC 7692 §7.1.1.2: the client's messages then stand alone, whether it has offered that or not.
    answer = "permessage-deflate; client_no_context_takeover"
    for parameter, value in given:
        match parameter:
            case "client_no_context_takeover" if value is None:
                pass
            case "client_max_window_bits" if value is None or value in _WINDOW_BITS:
                pass
            case "server_max_window_bits" if value == "15":
                # RFC 7692 §7.1.2.1: who accepts it says so. It is no limit.
                answer += "; server_max_window_bits=15"
            case _:
                return None
    return answer


def _offers(header: str) -> Iterator[Offer]:
    # An element of a list may be empty (RFC 7230 §7).
    at = 0
    while at < len(header):
        if (empty := _EMPTY.match(header, at)) is None:
            name, at = _matched(_NAME, header, at)
            parameters: list[tuple[str, str | None]] = []
            while header[at : at + 1] == ";":
                parameter, at = _matched(_NAME, header, at + 1)
                value = None
                if header[at : at + 1] == "=":
                    value, at = _matched(_VALUE, header, at + 1)
                parameters.append((parameter, value))
            yield name, parameters
        else:
            at = empty.end()
        if header[at : at + 1] not in {"", ","}:
            raise BadHeader
        at += 1


def _matched(pattern: re.Pattern[str], header: str, at: int) -> tuple[str, int]:
    if (match := pattern.match(header, at)) is None:
        raise BadHeader
    text = match[1]
    if text is None:
        text = re.sub(r"\\(.)", r"\1", match[2])
        if re.fullmatch(_WORD, text) is None:
            raise BadHeader
    return text, match.end()
