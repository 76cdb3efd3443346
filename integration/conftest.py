"""The backing services of a test session, and the installations of Postcast that its tests use.

``POSTCAST_REQUIRE_ALL=1`` turns a skip for want of a service or a browser into a failure.
"""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import psutil
import pytest

from integration.containers import why_no_engine, why_no_image
from integration.database import Database, fresh_database
from integration.image import built, python_image
from integration.posts_service import create_tables
from integration.service import ServiceError
from integration.services import Services
from integration.system import Process, System

_GIVEN: Final = ("AMQP_URL", "DATABASE_URL", "KAFKA_URL")
# What must be quoted in a URL, so that both spellings can be looked for in the logs.
_SECRET: Final = f"open/{secrets.token_hex(8)}+sesame"
WRONG_SECRET: Final = "wr0ng-sesame"
"""A password that opens nothing, for settings that are wrong; no log may hold it either."""
_READER: Final = "postcast_reader"
_INTERRUPTIONS: Final = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a CI host sends that has lost its patience."""
_END_SECONDS: Final = 60
_SYSTEMS = pytest.StashKey[list[System]]()


def lacking(what: str) -> NoReturn:
    """Skip a test for want of something, or fail where nothing may be wanting."""
    if os.environ.get("POSTCAST_REQUIRE_ALL") == "1":
        pytest.fail(f"POSTCAST_REQUIRE_ALL is set, but {what}", pytrace=False)
    pytest.skip(what)


def pytest_configure(config: pytest.Config) -> None:
    """Remember which installations are alive, to show their logs beside a failure."""
    config.stash[_SYSTEMS] = []
    for each in _INTERRUPTIONS:
        signal.signal(each, lambda *_: _end(config))


def _end(config: pytest.Config) -> NoReturn:
    """End in good order, so that nothing is left behind; and once: that must not be interrupted in turn."""
    for each in _INTERRUPTIONS:
        signal.signal(each, signal.SIG_IGN)
    if config.pluginmanager.hasplugin("dsession"):
        # The processes that run our tests. xdist by itself would let them go on for 5 s, and kill them after 15: on a
        # busy machine their services take as long to end.
        services = [each for worker in psutil.Process().children() for each in worker.children(recursive=True)]
        for worker in psutil.Process().children():
            worker.terminate()
        psutil.wait_procs(services, _END_SECONDS)
    raise KeyboardInterrupt


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of all processes' logs beside a failure."""
    report = yield
    if report.failed:
        for system in item.config.stash[_SYSTEMS]:
            report.sections += [(f"end of the log of {system.name} {p.name}", p.tail()) for p in system.processes]
    return report


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """RabbitMQ, PostgreSQL and Kafka with the replaced system's tables.

    Always our own, whatever the environment names: the tests stop and break them.
    """
    environ = {key: value for key, value in os.environ.items() if key not in _GIVEN}
    with ExitStack() as begun:
        try:
            running = begun.enter_context(Services(environ=environ))
        except ServiceError as error:
            lacking(str(error))
        asyncio.run(_make_tables(running.postgres.url))
        running.rabbitmqctl("add_user", _READER, _SECRET)
        running.rabbitmqctl("set_permissions", _READER, ".*", ".*", ".*")
        yield running


@pytest.fixture(scope="session")
def base() -> str:
    """Choose the image to build on, and have the engine pull it where it must."""
    name = python_image(os.environ)
    if obstacle := why_no_engine() or why_no_image(name):
        lacking(obstacle)
    return name


@pytest.fixture(scope="session")
def image(base: str) -> Iterator[str]:
    """Build the product's image."""
    with built(base) as tag:
        yield tag


@pytest.fixture
async def database(services: Services) -> AsyncIterator[Database]:
    """Lend a database of the test's own, with three posts."""
    async with fresh_database(services) as fresh:
        yield fresh


async def _make_tables(url: str) -> None:
    database = await asyncpg.connect(url)
    try:
        await create_tables(database)
        # The ids below are for a test that needs a certain one.
        await database.execute("SELECT setval('posts_id_seq', 1000)")
        # Postcast reads, so it gets a user who can do nothing else.
        await database.execute(f"CREATE ROLE {_READER} LOGIN PASSWORD '{_SECRET}'")
        await database.execute(f"GRANT SELECT ON posts, users, image_key, likes TO {_READER}")
    finally:
        await database.close()


def _as_reader(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{_READER}:{quote(_SECRET, safe='')}@{host}"))


@pytest.fixture(scope="session")
def owner(services: Services) -> dict[str, str]:
    """Where the tests themselves write posts and announce them."""
    return services.environment


@pytest.fixture(scope="session")
def logs(services: Services) -> Iterator[Path]:
    """Make the folder of all processes' logs; at the end no password may stand in any."""
    folder = services.scratch / "logs"
    folder.mkdir()
    yield folder
    spellings = (_SECRET, quote(_SECRET, safe=""), WRONG_SECRET)
    telling = [log.name for log in folder.iterdir() if any(word in log.read_text("utf-8") for word in spellings)]
    assert telling == [], "these logs hold a password"


Install = Callable[..., System]


@pytest.fixture(scope="session")
def product(services: Services) -> dict[str, str]:
    """Where an installation finds its services, under a user of its own whose password is a secret."""
    return {
        **services.environment,
        "AMQP_URL": _as_reader(services.rabbitmq.url),
        "DATABASE_URL": _as_reader(services.postgres.url),
    }


def _installing(config: pytest.Config, product: dict[str, str], logs: Path) -> Generator[Install]:
    mine: list[System] = []

    def install(**variables: Any) -> System:
        system = System(product, logs, **variables)
        mine.append(system)
        config.stash[_SYSTEMS].append(system)
        return system

    yield install
    for system in mine:
        system.close()
        config.stash[_SYSTEMS].remove(system)


@pytest.fixture
def install(pytestconfig: pytest.Config, product: dict[str, str], logs: Path) -> Generator[Install]:
    """Make installations that end with the test; their variables are given by name."""
    yield from _installing(pytestconfig, product, logs)


@pytest.fixture(scope="module")
def install_for_module(pytestconfig: pytest.Config, product: dict[str, str], logs: Path) -> Generator[Install]:
    """Make installations that end with the module."""
    yield from _installing(pytestconfig, product, logs)


@pytest.fixture(scope="session")
def _install_for_session(pytestconfig: pytest.Config, product: dict[str, str], logs: Path) -> Generator[Install]:
    yield from _installing(pytestconfig, product, logs)


@pytest.fixture(scope="session")
def _shared(_install_for_session: Install) -> System:
    """One worker with windows of 1 s, and two edges."""
    system = _install_for_session()
    for process in [system.worker(), system.edge(), system.edge()]:
        process.until_ready()
    return system


@pytest.fixture
def shared(_shared: System) -> System:
    """Lend the installation of all tests that leave it as they find it: a worker with windows of 1 s, and two edges."""
    for process in _shared.processes:
        process.until_ready()
    return _shared


@pytest.fixture
def extra_edge(shared: System) -> Iterator[Process]:
    """Start one more edge of the shared installation, for a test that ends it."""
    edge = shared.edge().until_ready()
    yield edge
    edge.close()
    shared.processes.remove(edge)
