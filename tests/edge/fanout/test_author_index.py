"""The index from authors to filters: the same as a set of pairs, and small."""

import random
import sys

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.fanout.author_index import AuthorIndex

pairs = st.tuples(st.integers(0, 3), st.integers(0, 2000))


@given(first=st.lists(pairs, unique=True, max_size=30), seed=st.integers(0, 99), many=st.integers(0, 3))
@settings(max_examples=50)
def test_it_is_a_set_of_pairs(first: list[tuple[int, int]], seed: int, many: int) -> None:
    """Also where thousands of filters have one author, and whatever is removed in which order."""
    dice, index = random.Random(seed), AuthorIndex()  # noqa: S311 - an order is no secret
    model = set(first) | {(author, number) for author in range(many) for number in range(700)}
    order = sorted(model)
    dice.shuffle(order)
    for pair in order:
        index.add(*pair)
    for pair in order[: len(order) // 2]:
        index.remove(*pair)
        model.discard(pair)
    for pair in order[: len(order) // 4]:
        index.add(*pair)
        model.add(pair)
    assert len(index) == len(model)
    for author in range(5):
        assert index.of(author).tolist() == sorted(number for one, number in model if one == author)
    for pair in sorted(model):
        index.remove(*pair)
    assert (len(index), index._chunks, index._firsts) == (0, [], [])  # noqa: SLF001 - what would be kept


def test_it_is_small() -> None:
    """An entry of a filter costs 32 bytes at most: 8 of them where the selection itself is, and the rest here."""
    index, dice, count = AuthorIndex(), random.Random(1), 20_000  # noqa: S311 - authors are no secret
    for number in range(count):
        index.add(dice.randrange(1 << 62), number)
    chunks, firsts = index._chunks, index._firsts  # noqa: SLF001 - what it consists of
    objects: list[object] = [each for chunk in chunks for each in (chunk, chunk.authors, chunk.numbers)]
    objects += [each for first in firsts for each in (first, *first)]
    assert sum(map(sys.getsizeof, [*objects, chunks, firsts])) / count < 32 - 8 - 6
