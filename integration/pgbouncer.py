"""PgBouncer in transaction mode before a PostgreSQL, with one connection to each of its databases."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from integration import packages, probes
from integration.child import Child
from integration.ports import free_port
from integration.processes import ProcessService

_PROGRAM: Final = "/usr/sbin/pgbouncer"


class PgBouncer(ProcessService):
    """Debian's pgbouncer, whose version knows no prepared statements in transaction mode.

    Whoever connects becomes the user that ``postgres_url`` names; ``url`` leads through it to the same database.
    """

    def __init__(self, postgres_url: str, scratch: Path) -> None:
        packages.install("pgbouncer")
        # It refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else None
        home = scratch / "pgbouncer"
        home.mkdir()
        server, port = urlsplit(postgres_url), free_port()
        (home / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host={server.hostname} port={server.port} user={server.username} password={server.password}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
            "pool_mode = transaction\ndefault_pool_size = 1\nmax_db_connections = 1\n",
            "ascii",
        )
        url = urlunsplit(server._replace(netloc=f"{server.username}:{server.password}@127.0.0.1:{port}"))
        super().__init__(
            "PgBouncer",
            url,
            probes.postgres,
            Child(
                [_PROGRAM, str(home / "pgbouncer.ini")],
                log=scratch / "pgbouncer.log",
                environment={"PATH": "/usr/bin:/bin"},
                user=user,
            ),
            how="plain process (Debian's pgbouncer)",
        )
