"""A database that cannot be had is said so, without its password; integration/test_acknowledged.py has a real one."""

import socket

import pytest

from edge.positions.postgres import PostgresStore
from edge.positions.store import Away, Row
from runtime.database_url import parse
from tests.edge.positions.contract import PHONE, place


async def test_a_database_that_is_not_there_is_said_without_its_password() -> None:
    """Whatever is asked of it; and it can be closed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place_asked = f"127.0.0.1:{taken.getsockname()[1]}"
        store = PostgresStore(parse(f"postgres://edge:keep-it@{place_asked}/positions"))
        for asked in (store.write([Row(PHONE, place(1))]), store.read([PHONE]), store.create()):
            with pytest.raises(Away) as away:
                await asked
            assert "keep-it" not in str(away.value)
            assert str(away.value) == f"{place_asked}: the connection is refused: nothing listens at that host and port"
        await store.close()
