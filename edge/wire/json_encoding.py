"""The encoding of JSON pages: the elements of an array."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.wire.encoding import Message, Notice
from edge.wire.messages import with_cursor


@dataclass(frozen=True, slots=True, eq=False)
class JsonEncoding:
    """Messages with cursors, each with a comma behind it: :func:`array` makes JSON of them."""

    name: str = "json"
    has_cursor: bool = True
    stream_bytes: int = 0

    def each(self, messages: Sequence[Message]) -> list[bytes]:
        """Return the elements of an array."""
        return [b"%b," % with_cursor(*message) for message in messages]

    def stream(self, messages: Sequence[Message]) -> list[bytes]:
        """Return the same: no element refers back."""
        return self.each(messages)

    def notice(self, notice: Notice) -> bytes:
        """Return an element, too."""
        return b"%b," % notice.text


JSON: Final = JsonEncoding()


def array(pieces: Sequence[bytes]) -> bytes:
    """Make an array of elements, joined to pieces."""
    return b"[%b]" % b"".join(pieces)[:-1]
