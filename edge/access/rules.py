"""The limits that each connection is held to until it is taken over, and the one on what clients send then."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.access.addresses import Header, Network
from edge.wire.allowance import Traffic


@dataclass(frozen=True, slots=True)
class Rules:
    """The limits of a port."""

    handshake_seconds: float
    """How many seconds a request's head may take; no connection above a limit lasts longer."""
    head_bytes: int
    stalled_seconds: float
    """For how many seconds a client may take nothing of an answer."""
    traffic: Traffic
    trusted: Sequence[Network] = ()
    header: Header = "x-forwarded-for"
