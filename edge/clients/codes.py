"""How a WebSocket client is told why it is refused, or its session ended: RFC 6455's close codes, and our own."""

from collections.abc import Mapping
from typing import Final

from edge.fanout.ending import End
from edge.wire.closing import CUT, Disconnect

CLOSES: Final[Mapping[End, Disconnect]] = {
    End.SHUTDOWN: Disconnect(1001, "the server is shutting down; connect again"),
    End.INTERRUPTED: Disconnect(1001, "the feed was interrupted; connect again"),
    End.AGED: Disconnect(1001, "the connection is as old as one may be; connect again"),
    End.FELL_BEHIND: Disconnect(4008, "too slow: the log has moved past you; resume with your cursor"),
    End.FAULT: Disconnect(1011, "the server has a fault; connect again"),
    End.EXPIRED: Disconnect(4501, "the token has run out"),
}
"""What is said to a client whose session is ended for a reason."""

REFUSALS: Final[Mapping[int, int]] = {400: 4500, 401: 4501, 403: 4503, 414: 4500, 429: 4001, 503: 4001}
"""The close code of a refusal, by its HTTP status, for a client that can be refused on its WebSocket."""

CUTS: Final[Mapping[End, Disconnect]] = {
    End.DEAD: Disconnect(CUT, "gave no sign of life"),
    End.STALLED: Disconnect(CUT, "took nothing of what it was sent"),
    End.SHUTDOWN: Disconnect(CUT, "the server is shutting down"),
}
"""What is logged and counted of a connection that is cut for a reason; the client is told nothing."""
