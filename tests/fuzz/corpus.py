"""Inputs kept as files, and what a fuzzer makes of them.

A folder of ``corpus/`` holds one reader's inputs: good ones, and every bad one that is worth remembering. What a
fuzzer finds is added as a file, under a name that says what is wrong with it.
"""

from pathlib import Path
from typing import Final

from hypothesis import strategies as st

_CORPUS: Final = Path(__file__).with_name("corpus")
_MAX_CHANGES: Final = 4
"""A few changes keep most of an input's form: its parser gets past the first byte."""


def inputs(reader: str) -> list[bytes]:
    """Return a reader's corpus, in the order of the files' names."""
    return [file.read_bytes() for file in sorted((_CORPUS / reader).iterdir())]


def mutated(reader: str) -> st.SearchStrategy[bytes]:
    """Draw from a reader's corpus, changed in a few places."""
    corpus = inputs(reader)
    return st.builds(_changed, st.sampled_from(corpus), st.lists(_change(corpus), max_size=_MAX_CHANGES))


def _change(corpus: list[bytes]) -> st.SearchStrategy[tuple[float, float, bytes]]:
    """Draw what to replace, as shares of an input's length, and by what."""
    shares = st.floats(0, 1)
    pieces = st.one_of(
        st.binary(max_size=4), st.sampled_from(corpus), st.sampled_from([b'"', b"\\", b"\0", b"[", b"}"])
    )
    # An end before its beginning replaces nothing: an insertion.
    return st.tuples(shares, shares, pieces)


def _changed(value: bytes, changes: list[tuple[float, float, bytes]]) -> bytes:
    for begin, end, piece in changes:
        first, last = round(begin * len(value)), round(end * len(value))
        value = value[:first] + piece + value[max(first, last) :]
    return value
