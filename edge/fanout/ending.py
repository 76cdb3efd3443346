"""Why the edge ends a session; how a client is told is a matter of its link."""

from enum import Enum, auto, unique


@unique
class End(Enum):
    """A reason of the edge's own: what a client does to end its session is between it and its link."""

    SHUTDOWN = auto()
    """The edge stops."""
    INTERRUPTED = auto()
    """The feed has a gap of which a client without cursors cannot be told."""
    FELL_BEHIND = auto()
    """The log no longer has what the client was to be sent next."""
    STALLED = auto()
    """The client took nothing of what it was sent for too long."""
    DEAD = auto()
    """The client gave no sign of life for too long."""
    AGED = auto()
    """The connection is as old as one may be: another edge may have more room."""
    FAULT = auto()
    """There is a defect in what the client was to be sent next."""
    EXPIRED = auto()
    """The client's token has run out."""
