"""``python -m edge``: serve the feed to WebSocket clients, or make the table of their positions."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog

from edge import logs
from edge.app import run
from edge.feed.kafka import kafka_feed
from edge.keeping import create
from edge.ports import CannotListen
from edge.positions_settings import StoreSettings
from edge.settings import Settings, load
from edge.telemetry import TurnTimes
from edge.turns import new_event_loop
from runtime import command
from runtime.ending import end_within
from runtime.output import Output
from runtime.settings import BadSettings, read, unread_variables

_LAST_LINES_SECONDS: Final = 1.0
"""How long the log's last lines may take."""
_LAST_THREADS_SECONDS: Final = 2.0
"""How long threads may take to end."""


def main(arguments: Sequence[str] = ()) -> int:
    """Run the edge; return the exit code: 1 with a sentence for what stands in the way, 0 when told to stop."""
    told = _parser().parse_args(arguments)
    if told.does_create:
        try:
            return create(read(StoreSettings))
        except BadSettings as error:
            print(error, file=sys.stderr)  # noqa: T201 - a sentence for whoever started it
            return 1
    output = Output(sys.stdout.fileno())
    try:
        settings = load()
        logs.configure(settings.log_level or "info", settings.log_format, output)
        structlog.get_logger("edge").info("process.started", **command.release())
        for sentence in unread_variables(Settings):
            structlog.get_logger("edge").warning("settings.unread", why=sentence)
        turns = TurnTimes()
        feed = kafka_feed(settings.kafka_client("postcast-edge"), settings.feed_topic)
        with asyncio.Runner(loop_factory=partial(new_event_loop, turns.note)) as runner:
            runner.run(run(settings, feed, turns, output))
            # All is done. Threads that look up names would be waited for, and a resolver may hang for half a minute.
            last = end_within(_LAST_THREADS_SECONDS, 0)
        last.cancel()
    except (BadSettings, CannotListen) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for whoever started it
        return 1
    finally:
        output.close(_LAST_LINES_SECONDS)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("python -m edge", "Serve the feed to WebSocket clients, until a signal ends it.")
    parser.set_defaults(does_create=False)
    positions = parser.add_subparsers(metavar="COMMAND").add_parser(
        "positions", help="the table in which positions are stored (POSITIONS_URL)"
    )
    create = positions.add_subparsers(metavar="COMMAND", required=True).add_parser(
        "create", help="make it, unless it is there, and say which rights the edge needs"
    )
    create.set_defaults(does_create=True)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
