"""The arguments of ``python -m streams dead``: three commands, the conditions of their selection, and the output."""

import argparse
import re
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

from runtime.command import parser as command_parser
from streams.contract import MAX_ID, Millis, PostId
from streams.dead import DISMISSED, REQUEUED, Action, Place, Selection, parse_place

WORKER: Final = "faust -q -A streams.app worker -l info"
"""The command of a worker; ``-q`` keeps Faust from printing a banner."""
NOT_ALL: Final = 3
"""The exit code when a selected letter names no post and was left as it is."""

_ACTIONS: Final[dict[str, Action]] = {"requeue": REQUEUED, "dismiss": DISMISSED}
_UNIT_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_COMMANDS: Final = (
    ("list", "print the letters that are not done"),
    ("requeue", "announce the posts of the letters again, and mark the letters as done"),
    ("dismiss", "mark the letters as done without announcing anything"),
)
_EXIT_CODES: Final = f"""\
exit codes: 0 everything that was selected is done, or nothing was selected; 1 Kafka or a setting prevents it;
2 the command line is wrong; {NOT_ALL} a selected letter names no post and was left as it is"""


class Request(NamedTuple):
    """What the command line asks for; without an ``action`` the letters are listed."""

    action: Action | None
    selection: Selection
    limit: int | None
    as_json: bool
    dry_run: bool


def parse(arguments: list[str] | None, now: Millis) -> Request:
    """Parse a command line, or end the process with what is wrong with it; durations count back from ``now``."""
    parser = command_parser("python -m streams", "Look after workers.", f"A worker itself is started by: {WORKER}")
    subjects = parser.add_subparsers(required=True, metavar="dead")
    dead = subjects.add_parser("dead", help="the letters of posts.dead: what could not be delivered")
    commands = dead.add_subparsers(dest="command", required=True, metavar="list|requeue|dismiss")
    for name, text in _COMMANDS:
        command = commands.add_parser(
            name,
            help=text,
            description=f"{text.capitalize()}. Without conditions: all letters that are not done.",
            epilog=_EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_options(command, now)
        if name in _ACTIONS:
            command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    given = parser.parse_args(arguments)
    return Request(
        _ACTIONS.get(given.command),
        Selection(frozenset(given.reason), Millis(given.since), frozenset(given.id), frozenset(given.offset)),
        given.limit,
        given.json,
        getattr(given, "dry_run", False),
    )


def _add_options(command: argparse.ArgumentParser, now: Millis) -> None:
    add = command.add_argument
    add("--reason", action="append", default=[], help="only letters with this reason, such as missing; repeatable")
    add(
        "--since",
        type=partial(_instant, now=now),
        default=0,
        metavar="TIME",
        help="only letters written since then: 2026-11-05T10:00Z (UTC unless it says otherwise), or 90m, 2h, 7d ago",
    )
    add("--id", type=_post, action="append", default=[], help="only letters that name this post; repeatable")
    add(
        "--offset",
        type=_place,
        action="append",
        default=[],
        help="only the letter at this offset, PARTITION:OFFSET outside partition 0, as `list` prints it; repeatable",
    )
    add("--limit", type=_limit, help="at most so many letters, in the order of the list")
    add("--json", action="store_true", help="print one JSON object a line")


def _instant(text: str, now: Millis) -> Millis:
    if duration := re.fullmatch(r"([0-9]{1,9})([smhdw])", text):
        return Millis(now - int(duration[1]) * _UNIT_MS[duration[2]])
    try:
        named = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a time such as 2026-11-05T10:00Z nor 2h") from None
    return Millis(round((named if named.tzinfo else named.replace(tzinfo=UTC)).timestamp() * 1000))


def _post(text: str) -> PostId:
    if not re.fullmatch(r"[0-9]{1,19}", text) or not 1 <= int(text) <= MAX_ID:
        raise argparse.ArgumentTypeError(f"{text!r} is no id between 1 and {MAX_ID}")
    return PostId(int(text))


def _place(text: str) -> Place:
    if (place := parse_place(text.encode(errors="replace"))) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither OFFSET nor PARTITION:OFFSET")
    return place


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)
