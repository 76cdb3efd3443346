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
from typing import Any, Final, get_args

from edge.feed.position import Reason
from edge.mock.scenarios import Act, Lose, Step, Write

_SHOWN: Final = 80
"""So much of a line that is wrong is shown."""
_REASONS: Final = frozenset(get_args(Reason))
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


def fault(expected: Sequence[str], shown: Iterable[str], *, backlog: int) -> str | None:
    """Return what is wrong with the lines of a client, as a sentence; None when nothing is.

    So many of the expected lines are of posts that came before the clock began.
    """
    lines: list[str] = []
    for number, text in enumerate(shown, 1):
        line = _line_of(text)
        if line is None:
            return f"line {number}: {text[:_SHOWN]} is neither `post ID` nor `gap REASON`"
        if _is_gap(line) and line.removeprefix("gap ") not in _REASONS:
            return f"line {number}: {line[:_SHOWN]}: there is no such reason"
        lines.append(line)
    return _difference(expected, lines, backlog) if lines else "nothing was shown"


def _difference(expected: Sequence[str], shown: Sequence[str], backlog: int) -> str | None:
    places = {line: place for place, line in enumerate(expected) if not _is_gap(line)}
    at = 0
    gaps: list[int] = []
    for number, line in enumerate(shown, 1):
        if _is_gap(line):
            gaps.append(number)
            continue
        place = places.get(line)
        if place is None:
            return f"line {number}: {line}: there is no such post"
        if place < at:
            return f"line {number}: {line} comes again, or too late"
        missing = expected[at:place]
        if surplus := _surplus(gaps, missing):
            return surplus
        if missing and not gaps and (at or place > backlog):
            return f"line {number}: {missing[0] if at else expected[backlog]} is missing before {line}"
        at, gaps = place + 1, []
    missing = expected[at:]
    if surplus := _surplus(gaps, missing):
        return surplus
    return f"{missing[0]} is missing at the end" if missing else None


def _surplus(gaps: Sequence[int], missing: Sequence[str]) -> str | None:
    """Return what is wrong with the gaps in these lines, between two posts; None when each is one that is expected."""
    # There may be several: a client that asks for some authors may have no post between two of them.
    known = sum(map(_is_gap, missing))
    if len(gaps) <= known:
        return None
    return f"line {gaps[known]}: {'the gap was said before' if known else 'there is no gap'}"


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
