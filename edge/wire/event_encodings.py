"""Messages as Server-Sent Events (the HTML standard, §9.2).

Laws: an event has the fields ``id``, ``event`` unless it is a post, and ``data``, in this order, and ends with an empty
line. Each has data, also where there is little to say: clients drop an event without, and Firefox its ``id`` with it. A
cursor is a token without line breaks, and so needs no escaping.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.wire.encoding import Message, Notice
from edge.wire.messages import with_window

MEDIA_TYPE: Final = "text/event-stream"


@dataclass(frozen=True, slots=True, eq=False)
class EventEncoding:
    """Messages as events: a post's cursor is the event's ``id``, and not in the message."""

    name: str
    has_cursor: bool = True
    stream_bytes: int = 0

    def each(self, messages: Sequence[Message]) -> list[bytes]:
        """Make an event of each message: of the type ``message``, which needs no name."""
        return [
            b"id: %b\n%b" % (cursor.encode(), _data(with_window(text, window))) for text, cursor, window in messages
        ]

    def stream(self, messages: Sequence[Message]) -> list[bytes]:
        """Return the same: nothing refers back."""
        return self.each(messages)

    def notice(self, notice: Notice) -> bytes:
        """Make an event of a notice's action; one without a cursor leaves the client's position as it is."""
        position = f"id: {notice.cursor}\n" if notice.cursor else ""
        return b"%bevent: %b\n%b" % (position.encode(), notice.action.encode(), _data(notice.text))


EVENTS: Final = EventEncoding("events")


def retry(seconds: float) -> bytes:
    """Say how long a client waits before it connects again, from now on; no event by itself."""
    return b"retry: %d\n\n" % round(seconds * 1000)


def _data(text: bytes) -> bytes:
    # JSON may have line breaks between its parts, of the feed's other writers: a client joins the lines again.
    lines = text.splitlines() if b"\n" in text or b"\r" in text else (text,)
    return b"%b\n" % b"".join(b"data: %b\n" % line for line in lines)
