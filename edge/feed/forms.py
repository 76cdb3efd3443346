"""The forms of records that are made on demand, once for all, and kept within a limit.

Laws:

* What is kept never costs more than the room that there is; the oldest made go first, since they can
  be made again.
* A record's streams are compressed once each, and once more as messages that stand alone, when
  somebody begins in the middle of one.

This module knows neither the log nor its positions: a post is its place in its record.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from edge.feed.record import Frames, Record
from edge.wire.encoding import Encoding
from edge.wire.websocket_encodings import PLAIN
from streams.contract import Offset

# What a kept form costs beside its frames, counted as for a record.
_FORM_BYTES: Final = 400


class Run(NamedTuple):
    """Some frames of a record, ``frames[start:stop]``; where ``is_stream``, they refer back to ``frames[0]``."""

    frames: Frames
    start: int
    stop: int
    is_stream: bool


class _Key(NamedTuple):
    """What frames are kept under: all of a record as text, or a stream's, which are a stream or stand alone."""

    offset: Offset
    encoding: Encoding
    begin: int = 0
    is_stream: bool = False


class Forms:
    """What was made of records, in at most ``room`` bytes."""

    def __init__(self, room: int) -> None:
        self._room = room
        # In the order of making.
        self._kept: dict[_Key, Frames] = {}
        self.size = 0
        """What it costs in memory."""
        self.made = 0
        """How many were made, those included that there was no room to keep."""
        self.evicted = 0
        """How many were let go to make room."""

    def clear(self, room: int) -> None:
        """Forget what was made, since its records are gone; have ``room`` bytes from now on."""
        self._kept.clear()
        self.size, self._room = 0, room

    def fit(self, room: int) -> None:
        """Keep to ``room`` bytes from now on."""
        self._room = room
        # Those of records that are gone are among the first.
        while self._kept and self.size > room:
            self.size -= _cost(self._kept.pop(next(iter(self._kept))))
            self.evicted += 1

    def run(self, record: Record, encoding: Encoding, index: int, stream: tuple[int, int]) -> Run:
        """Return the frames from post ``index`` on, to the end of the stream that it is in or of the record."""
        if not encoding.stream_bytes:
            key = _Key(record.offset, encoding)
            frames = record.plain if encoding is PLAIN else self._made(key, record.alone, len(record.places))
            return Run(frames, index, len(record.places), is_stream=False)
        begin, end = stream
        is_stream = index == begin
        make = record.stream if is_stream else record.alone
        frames = self._made(_Key(record.offset, encoding, begin, is_stream), make, end)
        return Run(frames, index - begin, end - begin, is_stream)

    def _made(self, key: _Key, make: Callable[[Encoding, int, int], Frames], end: int) -> Frames:
        frames = self._kept.get(key)
        if frames is None:
            frames = make(key.encoding, key.begin, end)
            self._keep(key, frames)
        return frames

    def _keep(self, key: _Key, frames: Frames) -> None:
        self.made += 1
        if _cost(frames) <= self._room:
            self._kept[key] = frames
            self.size += _cost(frames)
            self.fit(self._room)


def _cost(frames: Frames) -> int:
    return _FORM_BYTES + frames.size
