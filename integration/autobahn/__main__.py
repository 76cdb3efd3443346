"""``python -m integration.autobahn``: run the Autobahn test suite against the edge's connection, and judge it."""

import asyncio
import logging
import platform
import signal
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog

from edge.wire.allowance import Traffic
from integration.autobahn import suite
from integration.autobahn.echo import Echo
from integration.autobahn.report import EXPECTED, Report
from tests.edge.kit.edge import Edge
from tests.edge.kit.listening import RULES, gate, listening

GROUPS: Final = [1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13]
"""All that there are (there is no 8 and no 11)."""
_MANY: Final = 1 << 30
NO_LIMITS: Final = Traffic(messages=_MANY, bytes=_MANY, pings=_MANY, message_bytes=_MANY, fragments=_MANY)
"""The suite sends thousands of messages at once, and some that are larger than the edge takes."""
CLEAN, CHARGED, NOT_RUN, INTERRUPTED = 0, 1, 2, 130
"""The exit codes: nothing unexpected; something unexpected; the suite cannot be had here; Ctrl-C."""


async def _judged() -> int:
    python = suite.python27()
    folder = await suite.install(python)
    edge = Edge(websocket=Echo, through=gate(replace(RULES, traffic=NO_LIMITS)))
    with TemporaryDirectory() as scratch:
        async with listening(edge.server.application(), edge.gate) as port:
            found = await suite.run(python, folder, f"ws://127.0.0.1:{port}", GROUPS, Path(scratch))
    report = Report.of(found)
    print(f"\n{report.table()}\n")
    print(f"autobahntestsuite {suite.version()}, Python {platform.python_version()}")
    if EXPECTED:
        print(f"known, and listed in docs/protocol.md: {', '.join(EXPECTED)}")
    complaints = report.complaints(GROUPS)
    for complaint in complaints:
        print(f"autobahn: {complaint}")
    return CHARGED if complaints else CLEAN


def main() -> int:
    """Run it; return the exit code."""
    # SIGTERM is what a CI host sends: it should leave as little behind as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    # What the edge and aiohttp have to say about hundreds of broken clients is what is wanted.
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        return asyncio.run(_judged())
    except suite.NoSuite as reason:
        print(f"autobahn: not run: {reason}", file=sys.stderr)
        return NOT_RUN
    except KeyboardInterrupt:
        print("autobahn: interrupted", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
