"""Dead letters and the marks on them: which letters are outstanding, which are selected, what becomes of each.

``posts.dead`` holds two kinds of record. A letter describes what a worker could not deliver. A mark says that an
earlier letter is done: it was requeued (its posts were announced again) or dismissed. A mark is a
:class:`~streams.contract.DeadLetter` too, with the reason ``requeued`` or ``dismissed`` and the letter's place as its
body. Laws:

* a letter is outstanding unless a mark names its place;
* marks are a set: a second mark of the same place changes nothing;
* a record that no Postcast wrote is a letter with the reason ``foreign``: it is shown, and it may be dismissed.
"""

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from streams.announcement import NotAnId, announced_post
from streams.contract import (
    BadRecord,
    DeadLetter,
    Millis,
    Offset,
    Partition,
    PostId,
    dead_letter,
    decode_created,
    decode_dead,
)

REQUEUED: Final = "requeued"
DISMISSED: Final = "dismissed"
FOREIGN: Final = "foreign"
"""The reason of a record of posts.dead that is no dead letter and no mark."""

BAD_RECORD: Final = "bad_record"

Action = Literal["requeued", "dismissed"]
"""What is done with a letter: the reason of its mark."""

_PLACE: Final = re.compile(rb"(?:([0-9]{1,10}):)?([0-9]{1,19})")
_BLOCK_OFFSETS: Final = 1024


class Place(NamedTuple):
    """Where a record of posts.dead stands. Written as ``offset`` in partition 0, else as ``partition:offset``."""

    partition: Partition
    offset: Offset

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}" if self.partition else str(self.offset)


class Letter(NamedTuple):
    """A dead letter, where it stands, and when it was written."""

    place: Place
    written: Millis
    letter: DeadLetter


class Mark(NamedTuple):
    """The record that the letter at ``place`` is done."""

    place: Place


class Marks:
    """A set of places, compact where they are close together: one bit each, in blocks."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[Partition, int], int] = {}

    def add(self, place: Place) -> None:
        """Add a place."""
        block, bit = divmod(place.offset, _BLOCK_OFFSETS)
        key = place.partition, block
        self._blocks[key] = self._blocks.get(key, 0) | 1 << bit

    def __contains__(self, place: Place) -> bool:
        block, bit = divmod(place.offset, _BLOCK_OFFSETS)
        return bool(self._blocks.get((place.partition, block), 0) >> bit & 1)


class Selection(NamedTuple):
    """Which of the outstanding letters are meant; an empty set selects all."""

    reasons: frozenset[str] = frozenset()
    since: Millis = Millis(0)
    posts: frozenset[PostId] = frozenset()
    places: frozenset[Place] = frozenset()

    def takes(self, letter: Letter) -> bool:
        """Say whether a letter is selected: it meets every condition that was given."""
        return (
            (not self.reasons or letter.letter.reason in self.reasons)
            and letter.written >= self.since
            and (not self.places or letter.place in self.places)
            and (not self.posts or not self.posts.isdisjoint(posts_named(letter)))
        )


class Verdict(NamedTuple):
    """What is to become of a letter: ``posts`` are announced again; with a ``refusal`` nothing is done, and why."""

    letter: Letter
    posts: Sequence[PostId] = ()
    refusal: str = ""


def parse_place(text: bytes) -> Place | None:
    """Return the place that ``offset`` or ``partition:offset`` names, or None."""
    if (found := _PLACE.fullmatch(text)) is None:
        return None
    return Place(Partition(int(found[1] or 0)), Offset(int(found[2])))


def read_record(place: Place, written: Millis, value: bytes) -> Letter | Mark:
    """Return what a record of posts.dead is."""
    try:
        letter = decode_dead(value)
    except BadRecord as error:
        return Letter(place, written, dead_letter(FOREIGN, str(error), value))
    if letter.reason not in {REQUEUED, DISMISSED}:
        return Letter(place, written, letter)
    if (marked := parse_place(letter.body)) is None:
        return Letter(place, written, dead_letter(FOREIGN, f"a mark {letter.reason!r} that names no offset", value))
    return Mark(marked)


def mark(action: Action, verdict: Verdict) -> DeadLetter:
    """Return the record that a letter is done."""
    detail = f"posts announced again: {len(verdict.posts)}" if action == REQUEUED else "not announced"
    return dead_letter(action, detail, str(verdict.letter.place).encode())


def judge(action: Action, letter: Letter) -> Verdict:
    """Say what an action does with a letter."""
    if action == DISMISSED:
        return Verdict(letter)
    try:
        return Verdict(letter, _posts(letter.letter))
    except NotAnId as error:
        return Verdict(letter, refusal=str(error))


def posts_named(letter: Letter) -> Sequence[PostId]:
    """Return the posts that requeueing a letter announces; none for a letter that names no post."""
    return judge(REQUEUED, letter).posts


def _posts(letter: DeadLetter) -> Sequence[PostId]:
    """Return the posts that a letter names; raises :class:`NotAnId` with the reason why it names none."""
    if letter.reason == FOREIGN:
        raise NotAnId("it is no dead letter of Postcast")
    if letter.length > len(letter.body):
        raise NotAnId("only the beginning of the body was kept")
    if letter.reason != BAD_RECORD:
        return (announced_post(letter.body),)
    try:
        return decode_created(letter.body).ids
    except BadRecord as error:
        raise NotAnId(str(error)) from error
