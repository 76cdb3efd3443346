"""How messages become bytes: what the feed's log asks of a transport's encoding.

An encoding is a value: all clients that read the same bytes share one, and it is part of keys that are looked up for
each write, by identity. It makes bytes of consecutive messages either one by one, so that each can be read by itself,
or as a *stream*, whose bytes refer back to the messages before them in the stream. This module knows no transport.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Message(NamedTuple):
    """A post: its JSON as a plain client gets it; the token of the place after it, empty where nobody asks; its window.

    The window is the instant at which it began, in ms.
    """

    text: bytes
    cursor: str = ""
    window: int = 0


class Notice(NamedTuple):
    """A message to one client that is no post: a whole JSON message, and the cursor of the place where it stands.

    ``action`` is that of the message. A transport that carries cursors beside its messages takes this one; it is empty
    where the message has no place in the feed.
    """

    action: str
    text: bytes
    cursor: str = ""


class Encoding(Protocol):
    """A way to send messages; what it returns are whole messages of the transport, one for each that it was given."""

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    @property
    def has_cursor(self) -> bool:
        """Whether its messages have cursors, and its clients are told of gaps."""
        ...

    @property
    def stream_bytes(self) -> int:
        """How many bytes of messages make a stream; 0 when each message is encoded by itself."""
        ...

    def each(self, messages: Sequence[Message]) -> list[bytes]:
        """Encode messages so that each can be read by itself."""
        ...

    def stream(self, messages: Sequence[Message]) -> list[bytes]:
        """Encode the messages of a stream: each can be read by a client that was sent those before it."""
        ...

    def notice(self, notice: Notice) -> bytes:
        """Encode a notice so that it can stand between any two messages, also between those of a stream."""
        ...
