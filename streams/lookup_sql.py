"""LOOKUP_SQL: one SELECT of the operator's own, for any schema.

It is given ``:ids`` and returns the columns ``id``, ``payload`` and, where it knows, ``author``. Laws:

* ``:ids`` is the only thing that is replaced, and it is replaced in the statement's own text alone: not in a literal,
  a quoted name, a dollar quote or a comment, not after a cast's colons, and not as the end of an array slice;
* of two rows of one id the first is taken; a payload that is NULL is a post that is missing;
* a payload is the database's text without the spaces between its parts: no number of it is read, so all digits stay.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from streams.contract import PostId
from streams.enrichment import BadRow, Found

_TOKEN: Final = re.compile(
    r"""
      (?P<line> --[^\n\r]* )
    | (?P<block> /\* )
    | (?P<escaped> (?<![\w$]) [eE] '(?:[^'\\]|\\.|'')*' (?: \s*[\n\r]\s* '(?:[^'\\]|\\.|'')*' )* )
    | (?P<literal> '(?:[^']|'')*' )
    | (?P<name> "(?:[^"]|"")*" )
    | (?P<dollars> (?<![\w$]) \$ (?P<tag> (?:[^\W\d]\w*)? ) \$ .*? \$ (?P=tag) \$ )
    | (?P<cast> :: )
    | (?P<ids> (?<![\w$"\])]) :ids (?![\w$]) )
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK: Final = re.compile(r"/\*|\*/")
_IDS: Final = "($1::bigint[])"

_INTEGERS: Final = {"int8": "bigint", "int4": "integer", "int2": "smallint"}
_JSON: Final = {"json": "json", "jsonb": "jsonb"}
_COLUMNS: Final = {"id": _INTEGERS, "payload": _JSON, "author": _INTEGERS}
_OPTIONAL: Final = "author"


class WrongStatement(ValueError):
    """The statement cannot work; the message completes "LOOKUP_SQL is wrong: …"."""


def translate(sql: str) -> str:
    """Replace ``:ids``; raises :class:`WrongStatement` where there is none."""
    parts: list[str] = []
    place, replaced = 0, False
    while match := _TOKEN.search(sql, place):
        end = _end_of_block(sql, match.end()) if match["block"] else match.end()
        parts += sql[place : match.start()], _IDS if match["ids"] else sql[match.start() : end]
        replaced = replaced or match["ids"] is not None
        place = end
    if not replaced:
        raise WrongStatement("it does not contain :ids")
    return "".join((*parts, sql[place:]))


def _end_of_block(sql: str, place: int) -> int:
    """Return where a block comment ends that began before ``place``; they nest."""
    depth = 1
    while depth and (match := _BLOCK.search(sql, place)):
        depth += 1 if match[0] == "/*" else -1
        place = match.end()
    return len(sql) if depth else place


def check_shape(parameters: int, columns: Sequence[tuple[str, str]]) -> None:
    """Raise :class:`WrongStatement` unless it takes one parameter and its columns (name, type) are those we read."""
    names = [name for name, _ in columns]
    wrong = [
        *(["it returns nothing: it must be one SELECT"] if not columns else []),
        *(["it has parameters of its own: only :ids is given"] if parameters != 1 else []),
        *(f"it returns two columns {name}" for name in _COLUMNS if names.count(name) > 1),
        *(f"it returns no column {name}" for name in _COLUMNS if columns and name not in {*names, _OPTIONAL}),
        *(
            f"it returns a column {name}, and only {_listed(_COLUMNS)} are read"
            for name in names
            if name not in _COLUMNS
        ),
        *(
            f"its column {name} is {_INTEGERS.get(kind, kind)}, and must be {_listed(_COLUMNS[name].values(), 'or')}"
            for name, kind in columns
            if kind not in _COLUMNS.get(name, {kind})
        ),
    ]
    if wrong:
        raise WrongStatement("; ".join(wrong))


def _listed(words: Iterable[str], conjunction: str = "and") -> str:
    *most, last = words
    return f"{', '.join(most)} {conjunction} {last}"


def found_rows(rows: Iterable[tuple[PostId, str | None, int | None]]) -> dict[PostId, Found]:
    """Return what is published of the rows (id, payload, author); raises :class:`~streams.enrichment.BadRow`."""
    first: dict[PostId, Found | None] = {}
    for post, payload, author in rows:
        if post not in first:
            first[post] = None if payload is None else Found(compact(payload), author)
    return {post: found for post, found in first.items() if found is not None}


def compact(payload: str) -> bytes:
    """Return a JSON text without the spaces between its parts; raises :class:`~streams.enrichment.BadRow`."""
    try:
        return msgspec.json.format(payload.encode(), indent=-1)
    except (msgspec.DecodeError, RecursionError) as error:
        # Of what PostgreSQL takes for json: half a surrogate pair, or arrays in arrays in arrays.
        raise BadRow(f"the payload cannot be read: {error}") from error
