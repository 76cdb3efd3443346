"""``python -m streams dead list`` and ``python -m streams dead requeue [--reason R]``."""

import argparse
import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Final

from aiokafka.errors import KafkaError

from streams.dead import Letter, letters, outstanding, requeue
from streams.publisher import Publisher
from streams.settings import Settings, load
from streams.telemetry import Health

# How much of a body fits a terminal's line beside the rest.
_SHOWN_BYTES: Final = 40


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m streams", description="Look at what a worker has set aside.")
    subjects = parser.add_subparsers(required=True, metavar="dead")
    dead = subjects.add_parser("dead", help="the records of posts.dead")
    actions = dead.add_subparsers(dest="action", required=True)
    for name, text in (("list", "show what was not put back"), ("requeue", "announce the posts again")):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--reason", help="only the letters with this reason, such as missing")
    given = parser.parse_args(arguments)
    # What aiokafka has to say on the way is in the sentence below.
    logging.disable(logging.CRITICAL)
    settings = load()
    try:
        asyncio.run(_list(settings, given.reason) if given.action == "list" else _requeue(settings, given.reason))
    except (KafkaError, OSError) as error:
        raise SystemExit(f"postcast: Kafka at {settings.kafka_url} cannot be read: {error}") from None


async def _list(settings: Settings, reason: str | None) -> None:
    found = await _outstanding(settings, reason)
    for one in found:
        print(_line(one))  # noqa: T201 - what the command is for
    print(f"{len(found)} letters", file=sys.stderr)  # noqa: T201


async def _requeue(settings: Settings, reason: str | None) -> None:
    found = await _outstanding(settings, reason)
    publisher = Publisher(settings, Health())
    await publisher.start()
    try:
        done = await requeue(found, publisher, settings)
    finally:
        await publisher.stop()
    for one, why in done.refused:
        print(f"{_line(one)}  not put back: {why}")  # noqa: T201
    print(f"{done.done} put back, {len(done.refused)} not", file=sys.stderr)  # noqa: T201


async def _outstanding(settings: Settings, reason: str | None) -> list[Letter]:
    return outstanding([one async for one in letters(settings)], reason)


def _line(one: Letter) -> str:
    written = datetime.fromtimestamp(one.written / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = one.letter.body[:_SHOWN_BYTES]
    shown = f"{body!r}{'…' if one.letter.length > len(body) else ''}"
    return (
        f"{one.offset:>8}  {written}  {one.letter.reason:<12}  {one.letter.length:>8} B  {shown}  {one.letter.detail}"
    )


if __name__ == "__main__":
    main()
