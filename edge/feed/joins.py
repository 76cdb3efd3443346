"""What a read of the log gives: messages that follow a position, joined.

Laws:

* A read of everything encodes one stretch of messages anew, or several that are not longer together than a stretch may
  be, and ends there: so no read takes more than some 2 ms. Where a read ends depends on what was encoded before.
* A reader that selects is never given messages of a stream, which refer to messages that it does not see: what it gets
  was encoded post by post, once for all selections.
* A read of what is selected ends when it is late, with or without messages, and has then passed a record or a post.

This module knows no clock: whether it is late is told.
"""

from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from edge.feed.encodings import Encodings, stretch_bytes, stretch_of
from edge.feed.position import Position
from edge.feed.reads import Chunk, Wanted
from edge.feed.retained import Retained
from edge.feed.selection import Selection

# What each stretch that is encoded anew counts beside its bytes: a small record takes some 10 µs whatever its size.
_STRETCH_COST: Final = 256


def never() -> bool:
    """Tell that there is time."""
    return False


def join(kept: Retained, encodings: Encodings, read: Wanted) -> Chunk:
    """Join what follows a position: up to ``limit`` bytes, but at least one message when there is one."""
    position, (encoding, _), room, until = read
    pieces: list[bytes] = []
    records, posts = kept.records, 0
    encoded, most = 0, stretch_bytes(encoding)
    number, post = kept.locate(position)
    while number < len(records):
        record = records[number]
        if until is not None and record.offset >= until:
            break
        if post == len(record.places):
            position, number, post = record.end, number + 1, 0
            continue
        if room <= 0:
            break
        stretch = stretch_of(record, encoding, post)
        made = encodings.get(stretch)
        if made is None:
            size = record.texts.ends[stretch.end] - record.texts.ends[stretch.begin] + _STRETCH_COST
            if encoded and encoded + size > most:
                break
            encoded += size
            made = encodings.make(stretch, record)
        start = post - stretch.begin
        stop = min(bisect_right(made.ends, made.ends[start] + room) - 1, len(made))
        if pieces and (stop == start or (stretch.is_stream and stop < len(made))):
            # A stream comes whole in the next read: a client that goes on in the middle of one gets more bytes.
            break
        stop = max(stop, start + 1)
        # A slice that is the whole is no copy: one record, one write, no joining.
        piece = made.bytes[made.ends[start] : made.ends[stop]]
        pieces.append(piece)
        room -= len(piece)
        posts += stop - start
        post = stretch.begin + stop
        position = record.position(post)
        if stop < len(made):
            break
    else:
        # Also a client that stands before the first record that is shown, where that has another position now.
        position = kept.head.position
    return Chunk(_joined(pieces), position, posts)


def join_selected(
    kept: Retained, encodings: Encodings, read: Wanted, selection: Selection, is_late: Callable[[], bool]
) -> Chunk:
    """Join what follows a position and is selected, as :func:`join` does; end when it is late."""
    position, reading, room, until = read
    wanted = set(selection.authors)
    pieces: list[bytes] = []
    number, first = kept.locate(position)
    while number < len(kept.records):
        record = kept.records[number]
        if until is not None and record.offset >= until:
            return Chunk(_joined(pieces), record.begin, len(pieces))
        for post in _selected(record.authors, wanted, first):
            piece = encodings.lone(record, reading.encoding, post)
            if pieces and len(piece) > room:
                return Chunk(_joined(pieces), record.position(post), len(pieces))
            pieces.append(piece)
            room -= len(piece)
            if room <= 0 or is_late():
                return Chunk(_joined(pieces), record.position(post + 1), len(pieces))
        number, first = number + 1, 0
        # A record without publications is no place: to stop there would be to stand still.
        if number < len(kept.records) and record.end > position and is_late():
            return Chunk(_joined(pieces), record.end, len(pieces))
    return Chunk(_joined(pieces), kept.head.position, len(pieces))


def back_selected(kept: Retained, position: Position, posts: int, selection: Selection) -> Position:
    """Return the position before the last so many selected posts shown before ``position``; at most the tail."""
    if posts == 0:
        return position
    wanted = set(selection.authors)
    number, end = kept.locate(position)
    while True:
        if end == 0:
            if number == 0:
                return kept.tail.position
            number -= 1
            end = len(kept.records[number].places)
            continue
        record = kept.records[number]
        found = _selected(record.authors[:end], wanted, 0)
        if len(found) >= posts:
            return record.position(found[-posts])
        posts -= len(found)
        end = 0


def _selected(authors: "array[int]", wanted: set[int], first: int) -> list[int]:
    """Return the numbers of the posts from ``first`` on whose authors are wanted."""
    if wanted.isdisjoint(authors):
        return []
    return [post for post in range(first, len(authors)) if authors[post] in wanted]


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
