"""Free TCP ports for what is about to be started."""

import random
import socket
from pathlib import Path
from typing import Final

_LOWEST: Final = 10_000
"""Above the ports that well-known services use."""
_TRIES: Final = 1_000

_given: set[int] = set()


def free_port() -> int:
    """Choose a free port on loopback, never the same one twice in this process.

    It lies below the kernel's range for outgoing connections. A port out of that range can be handed to any
    client while its server is down, even to the client that keeps calling it, which then talks to itself.
    """
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, max(ephemeral, _LOWEST + _TRIES))  # noqa: S311 - a port is no secret
        if port not in _given and is_free("127.0.0.1", port):
            _given.add(port)
            return port
    raise OSError("no free TCP port was found")


def is_free(host: str, port: int) -> bool:
    """Tell whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as candidate:
        # As servers do: connections of an earlier one that are still in TIME_WAIT do not count.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError:
            return False
    return True
