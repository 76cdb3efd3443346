"""How a WebSocket client is told why the edge ends its session: RFC 6455's close codes, and our own."""

from collections.abc import Mapping
from typing import Final

from edge.fanout.ending import End
from edge.wire.closing import CUT, Disconnect

CLOSES: Final[Mapping[End, Disconnect]] = {
    End.SHUTDOWN: Disconnect(1001, "the server is shutting down; connect again"),
    End.INTERRUPTED: Disconnect(1001, "the feed was interrupted; connect again"),
    End.AGED: Disconnect(1001, "the connection is as old as one may be; connect again"),
    End.FELL_BEHIND: Disconnect(4008, "too slow: the log has moved past you; resume with your cursor"),
}
"""What is said to a client whose session is ended for a reason."""

CUTS: Final[Mapping[End, Disconnect]] = {
    End.DEAD: Disconnect(CUT, "gave no sign of life"),
    End.STALLED: Disconnect(CUT, "took nothing of what it was sent"),
}
"""What is logged and counted of a connection that is cut for a reason; the client is told nothing."""
