"""Makes the gates of the edge's ports from its settings and the number of files that the process may open."""

import resource
import sys
from dataclasses import replace
from typing import Final

from edge.access.entrance import Gate
from edge.access.limits import SPARE, Census
from edge.access.origins import NOBODY, Origins
from edge.access.rules import Rules
from edge.settings import Settings
from edge.wire.allowance import Traffic

# Files that are no client's: the interpreter's own, and a connection or two to each of Kafka's brokers.
_OWN_FILES: Final = 128
# Probes and scrapers need a few connections each. One address cannot take all of them, whatever runs there.
_ADMIN_CONNECTIONS: Final = 64
_ADMIN_CONNECTIONS_PER_ADDRESS: Final = 16


def gates(settings: Settings) -> tuple[Gate, Gate]:
    """Make the gates of the clients' and of the operators' port: they count apart, so that neither fills the other."""
    rules = Rules(
        handshake_seconds=settings.handshake_seconds,
        head_bytes=settings.max_head_bytes,
        stalled_seconds=settings.stalled_seconds,
        traffic=Traffic(
            messages=settings.messages_per_second,
            bytes=settings.bytes_per_second,
            pings=settings.pings_per_second,
            message_bytes=settings.max_message_bytes,
            fragments=settings.max_fragments,
        ),
        trusted=settings.trusted_proxies,
        header=settings.proxy_header,
    )
    files = _file_limit() - _OWN_FILES - SPARE
    if settings.admin_port:
        files -= _ADMIN_CONNECTIONS + SPARE
    clients = Census(
        total=max(1, min(settings.max_connections, files)),
        per_address=settings.max_connections_per_address,
        per_subject=settings.max_connections_per_subject,
    )
    operators = Census(total=_ADMIN_CONNECTIONS, per_address=_ADMIN_CONNECTIONS_PER_ADDRESS)
    # No proxy stands before the operators' port: each peer counts by its own address.
    return (
        Gate(rules, clients, Origins(settings.allowed_origins)),
        Gate(replace(rules, trusted=()), operators, NOBODY),
    )


def _file_limit() -> int:
    """Each client is an open file, and the usual soft limit is 1,024: take what the hard limit allows, and say it."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard
