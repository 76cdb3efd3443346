"""An edge whose Server-Sent Events have the id of the one before (law 2): who comes back sees a post again."""

import sys
from collections.abc import Sequence

from edge.__main__ import main
from edge.wire.encoding import Message
from edge.wire.event_encodings import EventEncoding

_each = EventEncoding.each
_last = ""


def _with_old_ids(self: EventEncoding, messages: Sequence[Message]) -> list[bytes]:
    global _last  # noqa: PLW0603 - there is one feed in a process
    old = [_last or messages[0].cursor, *(message.cursor for message in messages[:-1])]
    _last = messages[-1].cursor
    return _each(self, [message._replace(cursor=cursor) for message, cursor in zip(messages, old, strict=True)])


EventEncoding.each = _with_old_ids  # type: ignore[method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
