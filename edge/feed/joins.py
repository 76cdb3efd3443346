"""What a read of the log gives: messages that follow a position, joined.

Laws:

* A read of everything encodes one stretch of messages anew, or several that are not longer together than a stretch may
  be, and ends there: so no read takes more than some 2 ms. Where a read ends depends on what was encoded before.
* A reader that selects is never given messages of a stream, which refer to messages that it does not see: what it gets
  was encoded post by post, once for all selections.
* A read of what is selected ends when it is late, with or without messages, and has then passed a post or a block.
* Where such a read ends that has messages, and does not come to the end of what there is, is right behind the last one.

This module knows no clock: whether it is late is told.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Final, NamedTuple

from edge.feed.encodings import Encodings, stretch_bytes, stretch_of
from edge.feed.position import Position
from edge.feed.postings import Postings
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
            # Also a reader that stands before repeats that are kept no more comes to the place before that record.
            position = max(position, kept.position_at(until))
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
    kept: Retained, postings: Postings, encodings: Encodings, read: Wanted, is_late: Callable[[], bool]
) -> Chunk:
    """Join what follows a position and is selected, as :func:`join` does; end when it is late."""
    position, reading, room, until = read
    assert reading.selection is not None  # noqa: S101 - the caller has looked; told to the type checker
    pieces: list[bytes] = []
    number, last = kept.posts_before(position), kept.shown if until is None else kept.shown_before(until)
    while number < last:
        end = min(postings.end_of_block(number), last)
        for found in postings.find(kept, reading.selection, number, end):
            record, post = kept.post(found)
            piece = encodings.lone(record, reading.encoding, post)
            if pieces and len(piece) > room:
                return Chunk(_joined(pieces), position, len(pieces))
            pieces.append(piece)
            room, position = room - len(piece), record.position(post + 1)
            if room <= 0 or is_late():
                return Chunk(_joined(pieces), position, len(pieces))
        number = end
        if number < last and is_late():
            if not pieces:
                record, post = kept.post(number)
                position = record.position(post)
            return Chunk(_joined(pieces), position, len(pieces))
    end_position = kept.head.position if until is None else max(position, kept.position_at(until))
    return Chunk(_joined(pieces), end_position, len(pieces))


class Back(NamedTuple):
    """A place up to which was looked back, and how many posts are still to be found before it."""

    position: Position
    missing: int = 0


def back_selected(
    kept: Retained, postings: Postings, start: Back, selection: Selection, is_late: Callable[[], bool]
) -> Back:
    """Look back for the last so many selected posts before a place, until they are found, or it is late.

    None are missing where there are no more: at the tail, which may have moved past the place meanwhile.
    """
    position, missing = start
    if position <= kept.tail.position:
        return Back(kept.tail.position)
    number, first = kept.posts_before(position), kept.shown - kept.posts
    while missing and number > first:
        begin = max(first, postings.begin_of_block(number - 1))
        found = postings.find(kept, selection, begin, number)
        if len(found) >= missing:
            record, post = kept.post(found[-missing])
            return Back(record.position(post))
        missing -= len(found)
        number = begin
        if number > first and is_late():
            record, post = kept.post(number)
            return Back(record.position(post), missing)
    return Back(kept.tail.position) if missing else start


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
