"""Acknowledged positions in a real PostgreSQL: the port's word, rights, and a database that goes and comes back."""

from collections.abc import AsyncIterator

import pytest

from edge.positions.device import Key
from edge.positions.postgres import PostgresStore
from integration.database import Database, fresh_database
from integration.services import Services
from runtime.database_url import parse
from tests.edge.positions import contract

PHONE = Key("alice", "phone")


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    """Return a database of its own, without the table."""
    async with fresh_database(services) as database:
        yield database


@pytest.fixture
async def store(database: Database) -> AsyncIterator[PostgresStore]:
    """Return a store whose table was made."""
    store = PostgresStore(parse(database.url))
    await store.create()
    yield store
    await store.close()


@pytest.mark.parametrize("promise", contract.CONTRACT, ids=lambda promise: promise.__name__)
async def test_postgresql_keeps_the_ports_word(store: PostgresStore, promise: contract.Promise) -> None:
    await promise(store)
