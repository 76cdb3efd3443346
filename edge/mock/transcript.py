"""What a correct client has shown, as lines, and what is wrong with what a client has shown.

A line is ``post ID`` for each post, in order, and ``gap REASON`` where the client has said that posts may be missing.
A client has shown what it ought to when it has the same lines from where it began: at the first post, or at any later
one up to the first that came after the clock began. Behind a gap further posts may be missing: a client that polls,
or was away, goes on at the feed's end.

What ``python -m edge.client --json`` prints says the same in JSON, and is read too.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from edge.mock.scenarios import BACKLOG, Act, Lose, Step, Write

_SHOWN: Final = 80
"""So much of a line that is wrong is shown."""
_LINE: Final = re.compile(r"post -?[0-9]+|gap \S.*")


def transcript(steps: Iterable[Step]) -> Iterator[str]:
    """Return the lines of a client that has seen everything from the first post on."""
    is_gap = False
    for step in steps:
        if isinstance(step, Lose) or step is Act.EXPIRE:
            is_gap = True
        elif isinstance(step, Write) and step.is_shown:
            if is_gap:
                yield "gap interrupted"
            is_gap = False
            yield from (f"post {post}" for post in step.posts)


def fault(expected: Sequence[str], shown: Iterable[str]) -> str | None:
    """Return what is wrong with the lines of a client, as a sentence; None when nothing is."""
    lines: list[str] = []
    for number, text in enumerate(shown, 1):
        line = _line_of(text)
        if line is None:
            return f"line {number}: {text[:_SHOWN]} is neither `post ID` nor `gap REASON`"
        lines.append(line)
    return _difference(expected, lines) if lines else "nothing was shown"


def _difference(expected: Sequence[str], shown: Sequence[str]) -> str | None:
    places = {line: place for place, line in enumerate(expected) if not _is_gap(line)}
    at = 0
    gap: int | None = None
    for number, line in enumerate(shown, 1):
        if _is_gap(line):
            gap = number
            continue
        place = places.get(line)
        if place is None:
            return f"line {number}: {line}: there is no such post"
        if place < at:
            return f"line {number}: {line} comes again, or too late"
        missing = expected[at:place]
        if gap is not None and not any(map(_is_gap, missing)):
            return f"line {gap}: there is no gap"
        if missing and gap is None and (at or place > BACKLOG):
            return f"line {number}: {missing[0] if at else expected[BACKLOG]} is missing before {line}"
        at, gap = place + 1, None
    missing = expected[at:]
    if gap is not None and not any(map(_is_gap, missing)):
        return f"line {gap}: there is no gap"
    return f"{missing[0]} is missing at the end" if missing else None


def _line_of(text: str) -> str | None:
    """Return what a line says; None when that is nothing that is known."""
    if _LINE.fullmatch(text):
        return text
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match said:
        case {"post": {"id": int(id_)}}:
            return f"post {id_}"
        case {"gap": {"reason": str(reason)}}:
            return f"gap {reason}"
    return None


def _is_gap(line: str) -> bool:
    return line.startswith("gap ")
