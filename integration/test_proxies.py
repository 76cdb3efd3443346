"""Proxies run as a test configures them, and nothing of them is left when it ends."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from http.client import HTTPConnection
from typing import Final

import psutil
import pytest

from integration.child import Child
from integration.ports import free_port, is_free
from integration.proxies import haproxy, nginx
from integration.service import ServiceError

_NGINX: Final = "server {{ listen 127.0.0.1:{port}; return 200 hello; }}"
_HAPROXY: Final = """
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend all
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string hello
"""


def _line(process: psutil.Process) -> str:
    """Return the command line of one that may end meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


_BOTH: Final = pytest.mark.parametrize(("run", "configuration"), [(nginx, _NGINX), (haproxy, _HAPROXY)])
_Run = Callable[..., AbstractContextManager[Child]]


@_BOTH
def test_a_proxy_answers_inside_the_block_and_leaves_neither_process_nor_folder(run: _Run, configuration: str) -> None:
    port = free_port()
    with run(configuration.format(port=port), port=port) as proxy:
        client = HTTPConnection("127.0.0.1", port)
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        client.close()
        home = proxy.log.parent
        mother = next(each for each in psutil.Process().children() if str(home) in _line(each))
        family = [mother, *mother.children(recursive=True)]
        assert 0 not in {each.uids().effective for each in family}
    assert is_free("127.0.0.1", port)
    assert not home.exists()
    assert not any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in family)


@_BOTH
def test_a_configuration_that_is_none_is_said_with_the_proxys_own_words(run: _Run, configuration: str) -> None:
    port = free_port()
    wrong = configuration.format(port=port).replace("127.0.0.1", "nowhere at all")
    with pytest.raises(ServiceError, match="nowhere"), run(wrong, port=port):
        pass
