"""What a server sends as Server-Sent Events, read by the HTML standard's algorithm (§9.2.6), and strictly.

Strictly: docs/protocol.md promises fields in one order, events with data, and a position with each that has one. What
the standard would pass over (a field of another name, a comment, a stream that ends within an event) is refused here.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

_FIELDS: Final = ("retry", "id", "event", "data")


@dataclass(frozen=True)
class Event:
    """An event as a page's script gets it; ``last_event_id`` is what would be sent when it came back now."""

    type: str
    data: str
    last_event_id: str
    has_id: bool = field(default=True, compare=False)
    """Whether the event has said that itself."""

    @property
    def message(self) -> Any:
        """The JSON message."""
        return json.loads(self.data)


@dataclass
class EventReader:
    """Reads what follows an answer's head."""

    retry: int | None = None
    """The newest waiting time, in ms."""
    last_event_id: str = ""
    unread: bytes = b""
    is_begun: bool = False
    fields: list[tuple[str, str]] = field(default_factory=list)

    def feed(self, data: bytes) -> list[Event]:
        """Take what was received; return the events that it completes."""
        *lines, self.unread = (self.unread + data).split(b"\n")
        return [event for line in lines if (event := self._line(line.decode())) is not None]

    def end(self) -> None:
        """Take the end of the stream."""
        assert not self.unread
        assert not self.fields

    def _line(self, line: str) -> Event | None:
        assert "\r" not in line
        if line:
            name, colon, value = line.partition(":")
            assert colon
            assert name in _FIELDS, name
            self.fields.append((name, value.removeprefix(" ")))
            return None
        names = [name for name, _ in self.fields]
        assert names, "an empty line behind none"
        assert names == sorted(names, key=_FIELDS.index)
        assert len(names) - names.count("data") <= len(set(names) - {"data"})
        given = dict(self.fields)
        data = "\n".join(value for name, value in self.fields if name == "data")
        self.fields.clear()
        if "retry" in given:
            assert given["retry"].isascii()
            assert given["retry"].isdigit()
            self.retry = int(given["retry"])
        if "data" not in given:
            assert names == ["retry"], "an event without data"
            return None
        assert data
        self.last_event_id = given.get("id", self.last_event_id)
        return Event(given.get("event", "message"), data, self.last_event_id, "id" in given)


def events(data: bytes) -> list[Event]:
    """Read whole events."""
    reader = EventReader()
    read = reader.feed(data)
    reader.end()
    return read
