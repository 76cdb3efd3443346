"""An edge that forgets which authors a client asked for, and shows it everybody's posts (law 14)."""

import sys
from typing import Any

from edge.__main__ import main
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.reads import Chunk, Reading

_read = Log.read


def _everybodys(self: Log, position: Position, reading: Reading, *arguments: Any) -> Chunk:
    return _read(self, position, Reading(reading.encoding), *arguments)


Log.read = _everybodys  # type: ignore[assignment, method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
