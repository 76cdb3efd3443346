"""``python -m edge.mock``: serve the edge on a feed of its own making, or say what a correct client has shown."""

import asyncio
import os
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from edge import logs
from edge.mock.app import run
from edge.mock.arguments import Arguments, parse
from edge.mock.posts import author_of
from edge.mock.scenarios import BACKLOG, EVERY, steps
from edge.mock.transcript import fault, transcript
from edge.ports import CannotListen
from edge.telemetry import TurnTimes
from edge.turns import new_event_loop
from runtime.output import Output

_LAST_LINES_SECONDS: Final = 1.0
_NOBODY_READS: Final = 128 + signal.SIGPIPE
"""What a shell says of a program that wrote to a pipe that nobody read."""

_UNEVENTFUL: Final = (
    f"warning: --posts ends before anything of the scenario happens: that comes after {EVERY} windows with posts, "
    "and never with the last"
)


def main(arguments: Sequence[str] = ()) -> int:
    """Run a mock; return the exit code: 1 with a sentence for what is wrong, 0 when told to stop."""
    told = parse(arguments)
    if told.is_uneventful:
        print(_UNEVENTFUL, file=sys.stderr)  # noqa: T201 - for whoever started it
    if told.prints:
        return _print(told)
    if told.check is not None:
        return _check(told, told.check)
    output = Output(sys.stderr.fileno())
    try:
        logs.configure("warning", "auto", output)
        turns = TurnTimes()
        with asyncio.Runner(loop_factory=partial(new_event_loop, turns.note)) as runner:
            runner.run(run(told, turns, output))
    except CannotListen as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for whoever started it
        return 1
    finally:
        output.close(_LAST_LINES_SECONDS)
    return 0


def _print(told: Arguments) -> int:
    """Print what a correct client has shown; as of any such program, no more when nobody reads it."""
    try:
        sys.stdout.writelines(f"{line}\n" for line in _seen(told, _lines(told)))
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left would be written, and fail, once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NOBODY_READS
    return 0


def _lines(told: Arguments) -> Iterator[str]:
    return transcript(steps(told.scenario, told.clock))


def _seen(told: Arguments, lines: Iterable[str]) -> Iterator[str]:
    """Return those of the lines that a client shows that sees these authors."""
    for line in lines:
        kind, what = line.split()
        if told.authors is None or kind == "gap" or author_of(told.seed, int(what)) in told.authors:
            yield line


def _check(told: Arguments, name: str) -> int:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print(f"{name} cannot be read: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    lines = _lines(told)
    backlog = list(_seen(told, islice(lines, BACKLOG)))
    wrong = fault([*backlog, *_seen(told, lines)], text.splitlines(), backlog=len(backlog))
    if wrong is not None:
        print(wrong, file=sys.stderr)  # noqa: T201 - as above
    return int(wrong is not None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
