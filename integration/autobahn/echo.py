"""An edge that sends back what it is sent: everything but what is done with a message is the edge's own.

The handshake, the reader, and the connection are those that clients get. Only this package switches it on; the edge has
no such mode.
"""

from edge.clients.websocket import WebSocket
from edge.wire.events import Message, TooBig
from edge.wire.frames import text_frame

_BINARY = 0x82
"""FIN and the opcode of binary messages (RFC 6455 §5.2), of which the edge sends none."""


class Echo(WebSocket):
    """A connection that says what its client says."""

    def message(self, said: Message | TooBig) -> None:
        """Send it back, not compressed."""
        # The suite's clients are plain: what is too large ends their sessions.
        assert isinstance(said, Message)
        frame = text_frame(said.data)
        # A length is written in the same way whatever the opcode.
        self.write(frame if said.is_text else bytes([_BINARY]) + frame[1:])
