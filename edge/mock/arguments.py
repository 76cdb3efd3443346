"""The command line of ``python -m edge.mock``."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.mock.scenarios import EVERY, SCENARIOS, Clock, Scenario
from runtime import command

_ABOUT: Final = (
    "Serve the real edge on a feed of its own making, for those who write clients: no Kafka, no worker, no settings."
)
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a mock is told."""

    host: str
    port: int
    scenario: Scenario
    clock: Clock
    seed: int
    authors: frozenset[int] | None
    says_json: bool
    prints: bool
    check: str | None

    @property
    def is_uneventful(self) -> bool:
        """Whether the last post comes before the scenario's first event."""
        return self.scenario.has_events and not self.clock.outlasts(EVERY)


def parse(arguments: Sequence[str]) -> Arguments:
    """Read the command line; ends the process with a sentence when something in it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    serves = not given.print and given.check is None
    if given.print and given.check is not None:
        parser.error("--print or --check, not both: each serves nothing and ends")
    if not serves and given.json:
        parser.error("--json says where a mock listens, which with --print and --check it does not")
    if serves and given.author:
        parser.error("--author needs --print or --check: a mock that serves shows what each client asks for")
    if not serves and given.posts is None:
        parser.error("--print and --check need --posts: without it there is no last post")
    return Arguments(
        host=given.host,
        port=given.port,
        scenario=SCENARIOS[given.scenario],
        clock=Clock(given.rate, given.window, given.posts),
        seed=given.seed,
        authors=frozenset(given.author) or None,
        says_json=given.json,
        prints=given.print,
        check=given.check,
    )


def _parser() -> argparse.ArgumentParser:
    scenarios = "\n".join(f"  {each.name:<14} {each.sentence}" for each in SCENARIOS.values())
    parser = argparse.ArgumentParser(
        prog="python -m edge.mock",
        description=_ABOUT,
        epilog=f"scenarios, each again and again after {EVERY} windows with posts:\n{scenarios}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--scenario", choices=SCENARIOS, default="steady", metavar="NAME", help="what goes wrong (steady: nothing)")
    add("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    add("--port", type=_port, default=8080, help="the port (8080); 0 for any, which is printed")
    add("--rate", type=_positive, default=1.0, metavar="N", help="posts a second (1)")
    add("--window", type=_positive, default=1.0, metavar="SECONDS", help="how long posts are gathered (1)")
    add("--seed", type=int, default=1, metavar="N", help="which posts (1): the same seed makes the same posts")
    add(
        "--posts",
        type=_count,
        metavar="N",
        help="so many posts and no more, from when the first client comes; without it posts come at once and for ever",
    )
    add(
        "--author",
        type=int,
        action="append",
        default=[],
        metavar="ID",
        help="of --print and --check: by this author, or several",
    )
    add("--print", action="store_true", help="serve nothing; print what a correct client has shown")
    add(
        "--check",
        metavar="FILE",
        help="serve nothing; hold what a client has shown against that, and say what is wrong",
    )
    told = "postcast {version} ({build}), Python {python}".format(**command.release())
    add("--version", action="version", version=told, help="print the version, and what it runs from")
    add("--json", action="store_true", help="say where it listens as a line of JSON")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= _MAX_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to {_MAX_PORT}")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 1 or more")
    return int(text)
