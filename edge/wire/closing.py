"""How a session ends, as a client is told it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The end of a session: a close code and a reason of at most 123 bytes (RFC 6455 §5.5.1)."""

    code: int
    reason: str
