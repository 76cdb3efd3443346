"""Ports for servers are chosen so that nobody else is given them while their server is down."""

import errno
import random
import socket
import subprocess
import sys
from pathlib import Path

from integration.ports import free_port, is_free


def test_a_port_is_given_once_and_lies_below_the_range_of_outgoing_connections() -> None:
    lowest_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    ports = [free_port() for _ in range(100)]
    assert len(set(ports)) == 100
    assert max(ports) < lowest_outgoing


_CHOOSING = """
import random
from integration.ports import free_port
random.seed(1)
print(free_port(), free_port(), flush=True)
input()
"""


def test_processes_side_by_side_never_choose_the_same_port_and_servers_can_use_theirs() -> None:
    state = random.getstate()
    with subprocess.Popen(
        [sys.executable, "-c", _CHOOSING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            theirs = {int(port) for port in other.stdout.readline().split()}
            random.seed(1)
            ours = [free_port() for _ in range(2)]
        finally:
            random.setstate(state)
            other.communicate("\n")
    assert len(theirs) == len(ours) == 2
    assert theirs.isdisjoint(ours)
    for host in ("127.0.0.1", "0.0.0.0", "127.0.0.1"):
        with socket.create_server((host, ours[0])) as server, socket.create_connection(("127.0.0.1", ours[0])):
            server.accept()[0].close()
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", ours[0])) == errno.ECONNREFUSED


def test_a_port_is_not_free_while_somebody_listens_on_it() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free("127.0.0.1", port)
        assert not is_free("0.0.0.0", port)
    assert is_free("127.0.0.1", port)
