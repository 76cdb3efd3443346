"""An edge that overlooks now and then a post that a client with a filter asked for (law 14)."""

import sys
from itertools import count
from typing import Any

from edge.__main__ import main
from edge.feed.log import Log
from edge.feed.position import Position
from edge.feed.reads import Chunk, Reading

_read = Log.read
_reads = count(1)
_EVERY = 5


def _overlooked(self: Log, position: Position, reading: Reading, *arguments: Any) -> Chunk:
    if reading.selection is not None and next(_reads) % _EVERY == 0:
        position = _read(self, position, reading, 1).position
    return _read(self, position, reading, *arguments)


Log.read = _overlooked  # type: ignore[assignment, method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
