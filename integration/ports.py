"""Free TCP ports for what is about to be started."""

import random
import socket
from pathlib import Path
from typing import Final

from integration.files import raise_file_limit

_LOWEST: Final = 10_000
"""Above the ports that well-known services use."""
_TRIES: Final = 1_000
_FILES: Final = 8_192
"""Each port that a process chose is an open file until it ends. No more: RabbitMQ's memory grows with the limit."""


def free_port() -> int:
    """Choose a free port on loopback, and keep it for the servers of this process and its children until it ends.

    Processes that choose ports side by side never choose the same one, also while its server is down: a socket
    stays bound to it that does not listen. Servers can bind it all the same, since they set SO_REUSEADDR; whoever
    chooses a port does not set it.

    It lies below the kernel's range for outgoing connections. A port out of that range can be handed to any
    client while its server is down, even to the client that keeps calling it, which then talks to itself.
    """
    raise_file_limit(_FILES)
    ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, max(ephemeral, _LOWEST + _TRIES))  # noqa: S311 - a port is no secret
        keeper = socket.socket()
        try:
            keeper.bind(("127.0.0.1", port))
        except OSError:
            keeper.close()
        else:
            keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # It stays open until the process ends.
            keeper.detach()
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
