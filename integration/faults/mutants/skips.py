"""An edge that resumes one post after the one that follows a cursor (law 12)."""

import sys

from edge.__main__ import main
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Resume
from edge.feed.reads import Reading
from edge.wire.websocket_encodings import PLAIN

_resume = Log.resume


def _late(self: Log, cursor: Cursor) -> Resume | Ahead | Gap:
    found = _resume(self, cursor)
    return Resume(self.read(found.position, Reading(PLAIN), 1).position) if isinstance(found, Resume) else found


Log.resume = _late  # type: ignore[method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
