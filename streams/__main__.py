"""``python -m streams dead list|requeue|dismiss``, ``--version`` and ``--settings``."""

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from runtime.kafka_connections import mend_kafka_connections
from runtime.logs import configure_structlog
from streams.contract import Millis
from streams.dead_actions import NotConfirmed
from streams.dead_arguments import Request, parse
from streams.dead_command import Command
from streams.dead_topic import Unreachable, dead_topic
from streams.progress import Progress, Work
from streams.publisher import Publisher, Publishes
from streams.settings import TopicSettings, load_topics
from streams.topics import WrongTopic

_START_SECONDS: Final = 10
# What a shell reports for a process that Ctrl-C ended.
_INTERRUPTED: Final = 130


def main(arguments: list[str] | None = None) -> None:
    """Read the command line, do what it says, and end with its exit code."""
    asked = parse(arguments, Millis(round(time.time() * 1000)))
    settings = load_topics()
    # What aiokafka and the publisher would log is in the sentences below; standard output is for the result.
    configure_structlog()
    mend_kafka_connections()
    logging.disable(logging.CRITICAL)
    try:
        raise SystemExit(asyncio.run(_dead(asked, settings)))
    except Unreachable as error:
        raise SystemExit(f"postcast: Kafka at {settings.kafka_url} cannot be read: {error}") from None
    except NotConfirmed as error:
        raise SystemExit(f"postcast: {error}; what was done so far stays done, run the command again") from None
    except WrongTopic as error:
        raise SystemExit(f"postcast: {error}") from None
    except BrokenPipeError:
        # Whoever read our output has seen enough. At exit Python would flush into the closed pipe once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None


@asynccontextmanager
async def _publishing(settings: TopicSettings, work: Work) -> AsyncIterator[Publishes]:
    publisher = Publisher(settings)
    try:
        try:
            async with asyncio.timeout(_START_SECONDS):
                await publisher.start(work)
        except TimeoutError:
            raise Unreachable(work.waiting[1] if work.waiting else "no answer") from None
        yield publisher
    finally:
        await publisher.stop()


async def _dead(asked: Request, settings: TopicSettings) -> int:
    command = Command(asked, show=print, say=lambda line: print(line, file=sys.stderr))  # noqa: T201 - its purpose
    with Progress(time.monotonic).stage("dead").work() as work:
        async with dead_topic(settings) as topic:
            return await command.run(topic, lambda: _publishing(settings, work), work)


if __name__ == "__main__":
    main()
