"""What RabbitMQ delivered and is not acknowledged yet, and which acknowledgements its confirmation allows.

Laws:

* deliveries arrive in the order of their tags; posts are taken in groups, in that order, and so are dead letters;
* a delivery is acknowledged once, after it was confirmed;
* an acknowledgement that speaks for all tags before it is given only when no dead letter before it is open: posts
  do not wait for letters, nor letters for posts;
* acknowledgements are valid in the order in which they were returned, and in no other;
* the prefetch bounds the number of open deliveries, and none is larger than a dead letter with its 64 KiB.

This module knows neither broker.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from streams.contract import DeadLetter, PostId

MAX_LETTERS_BYTES: Final = 512 * 1024
"""How many bytes of bodies a group of dead letters has at most, unless it is one alone: encoded and in a batch they
stand in memory twice more."""

Item = TypeVar("Item")


class Group(NamedTuple, Generic[Item]):
    """Deliveries that are confirmed together: their tags, in growing order, and what each of them is."""

    tags: Sequence[int]
    items: Sequence[Item]


class Acknowledgement(NamedTuple):
    """What to tell RabbitMQ: the tag, and whether it speaks for all open tags before it."""

    tag: int
    multiple: bool


class Deliveries:
    """The open deliveries of one channel."""

    def __init__(self) -> None:
        self.open = 0
        """How many deliveries are not acknowledged."""
        self._tags: list[int] = []
        self._ids: list[PostId] = []
        self._letters: deque[tuple[int, DeadLetter]] = deque()
        # The tags of all letters that are not confirmed; a dict keeps their order.
        self._open_letters: dict[int, None] = {}

    def add(self, tag: int, judged: PostId | DeadLetter) -> None:
        """Note a delivery; tags come in growing order."""
        self.open += 1
        if isinstance(judged, DeadLetter):
            self._letters.append((tag, judged))
            self._open_letters[tag] = None
        else:
            self._tags.append(tag)
            self._ids.append(judged)

    @property
    def posts(self) -> int:
        """How many posts wait to be taken."""
        return len(self._tags)

    def take_posts(self) -> Group[PostId]:
        """Drain the posts that have gathered."""
        group = Group(self._tags, self._ids)
        self._tags, self._ids = [], []
        return group

    def take_letters(self) -> Group[DeadLetter]:
        """Drain dead letters, at most :data:`MAX_LETTERS_BYTES` of bodies, and one at least where there are any."""
        tags: list[int] = []
        letters: list[DeadLetter] = []
        size = 0
        while self._letters and (not letters or size + len(self._letters[0][1].body) <= MAX_LETTERS_BYTES):
            tag, letter = self._letters.popleft()
            tags.append(tag)
            letters.append(letter)
            size += len(letter.body)
        return Group(tags, letters)

    def confirm_posts(self, tags: Sequence[int]) -> list[Acknowledgement]:
        """Note that a group of posts is confirmed; return the acknowledgements that this allows, in their order."""
        self.open -= len(tags)
        first_letter = next(iter(self._open_letters), tags[-1])
        together = bisect_right(tags, first_letter)
        return [
            *(Acknowledgement(tag, multiple=True) for tag in tags[:together][-1:]),
            *(Acknowledgement(tag, multiple=False) for tag in tags[together:]),
        ]

    def confirm_letters(self, tags: Sequence[int]) -> list[Acknowledgement]:
        """Note that a group of dead letters is confirmed; return the acknowledgements that this allows."""
        self.open -= len(tags)
        for tag in tags:
            del self._open_letters[tag]
        return [Acknowledgement(tag, multiple=False) for tag in tags]
