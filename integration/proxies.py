"""Reverse proxies of Debian's packages, each run with a configuration that a test gives."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from integration import packages
from integration.child import Child
from integration.conftest import lacking
from integration.packages import MissingPackagesError
from integration.ports import is_free
from integration.service import ServiceError
from integration.services import SCRATCH

_START_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.02
_ACCOUNT: Final = "www-data"
"""Debian's account for web servers: as root a proxy runs under it, in folders of its own."""

# What nginx is told on a machine of its own by Debian's nginx.conf. All else is as nginx has it by default.
_NGINX: Final = """
daemon off;
worker_processes 1;
pid {home}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
{http}
}}
"""


@contextmanager
def nginx(http: str, *, port: int) -> Iterator[Child]:
    """Run nginx until the block ends; ``http`` stands inside its ``http`` block and listens on ``port`` of loopback.

    ``{home}`` in it becomes a folder that nginx may write to, for a cache, and is removed at the end.
    """
    with _home("nginx") as home:
        text = _NGINX.format(home=home, http=http.replace("{home}", str(home)))
        yield from _run("nginx", text, ["/usr/sbin/nginx", "-e", "stderr", "-p", str(home), "-c"], home, port)


@contextmanager
def haproxy(configuration: str, *, port: int) -> Iterator[Child]:
    """Run HAProxy until the block ends; ``configuration`` is all of haproxy.cfg and listens on ``port`` of loopback."""
    with _home("haproxy") as home:
        yield from _run("haproxy", configuration, ["/usr/sbin/haproxy", "-db", "-f"], home, port)


@contextmanager
def caddy(configuration: str, *, port: int) -> Iterator[Child]:
    """Run Caddy until the block ends; ``configuration`` is all of the Caddyfile and listens on ``port`` of loopback."""
    with _home("caddy") as home:
        command = ["/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config"]
        yield from _run("caddy", configuration, command, home, port)


@contextmanager
def _home(package: str) -> Iterator[Path]:
    """Install the package and make a folder that its account may write to."""
    try:
        packages.install(package)
    except MissingPackagesError as error:
        lacking(str(error))
    with tempfile.TemporaryDirectory(prefix=SCRATCH, ignore_cleanup_errors=True) as home:
        if os.geteuid() == 0:
            shutil.chown(home, _ACCOUNT, _ACCOUNT)
        yield Path(home)


def _run(name: str, configuration: str, command: Sequence[str], home: Path, port: int) -> Iterator[Child]:
    """Start the proxy, yield it once it listens, and end it."""
    file = home / "configuration"
    file.write_text(configuration, "utf-8")
    proxy = Child(
        [*command, str(file)],
        log=home / "log",
        environment={"PATH": "/usr/sbin:/usr/bin:/bin", "HOME": str(home)},
        user=_ACCOUNT if os.geteuid() == 0 else None,
    )
    with contextlib.ExitStack() as begun:
        proxy.start()
        begun.callback(proxy.stop)
        deadline = time.monotonic() + _START_SECONDS
        while is_free("127.0.0.1", port):
            if not proxy.is_alive() or time.monotonic() > deadline:
                raise ServiceError(f"{name} does not listen on port {port}; its log ends with:\n{proxy.tail()}")
            time.sleep(_LOOK_SECONDS)
        yield proxy
