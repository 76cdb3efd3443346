"""Connections to a real PostgreSQL: what goes wrong, several hosts, idle connections, and TLS."""

import asyncio
import base64
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import trustme

from integration.database import Database, lookup_of
from integration.faults.proxy import Proxy
from integration.ports import free_port
from streams.contract import PostId
from streams.lookup import Lookup, TimedOut, Unavailable, Unusable

_BUSY_SECONDS = 20.0
"""What a busy machine may add to what is waited for."""


def silent() -> socket.socket:
    """Return a listener as behind a dropped network: the kernel takes connections, and nothing is ever said."""
    return socket.create_server(("127.0.0.1", 0))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("TimeZone=typo", 'invalid value for parameter "TimeZone": "typo"'),
        ("DateStyle=foo", 'invalid value for parameter "DateStyle": "foo"'),
        ("options=-c%20work_mem%3Dlots", 'invalid value for parameter "work_mem": "lots"'),
        ("options=-c%20work_memory%3D64MB", 'unrecognized configuration parameter "work_memory"'),
        ("sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "the file of sslrootcert cannot be used: No such file"),
    ],
)
async def test_what_no_waiting_mends_ends_the_process_and_is_never_the_ids_fault(
    database: Database, words: str, said: str
) -> None:
    lookup = lookup_of(database.with_words(words))
    with pytest.raises(Unusable) as unusable:
        await lookup.check()
    place = urlsplit(database.url)
    assert str(unusable.value).startswith(f"DATABASE_URL cannot work: {place.hostname}:{place.port}: {said}")
    with pytest.raises(Unavailable, match=r"invalid|unrecognized|cannot be used"):
        await lookup.posts(database.ids)
    await lookup.close()


async def test_a_wrong_password_is_waited_for(database: Database) -> None:
    lookup = lookup_of(database.url.replace(":postcast@", ":wr0ng-sesame@"))
    for question in (lookup.check(), lookup.posts(database.ids)):
        with pytest.raises(Unavailable, match="password authentication failed") as unavailable:
            await question
        assert "sesame" not in str(unavailable.value)
    await lookup.close()


async def test_rights_are_never_the_ids_fault(database: Database) -> None:
    await database.connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    try:
        lookup = lookup_of(database.url.replace("postcast:postcast@", "stranger:stranger@"))
        for question in (lookup.check(), lookup.posts(database.ids)):
            with pytest.raises(Unavailable, match="permission denied for table"):
                await question
        await lookup.close()
    finally:
        await database.connection.execute("DROP ROLE stranger")


async def test_nobody_listening_is_unavailable() -> None:
    lookup = lookup_of(f"postgres://user:secret@127.0.0.1:{free_port()}/posts")
    with pytest.raises(Unavailable, match=r"Connect call failed|refused") as unavailable:
        await lookup.posts([PostId(1)])
    assert "secret" not in str(unavailable.value)
    await lookup.close()


async def test_a_server_that_answers_nothing_is_unavailable_within_the_urls_limit() -> None:
    with silent() as server:
        lookup = lookup_of(f"postgres://u@127.0.0.1:{server.getsockname()[1]}/d?sslmode=disable&connect_timeout=1")
        before = time.monotonic()
        with pytest.raises(Unavailable, match="no connection within 1 s"):
            await lookup.posts([PostId(1)])
        assert time.monotonic() - before < 1 + _BUSY_SECONDS
        await lookup.close()


async def test_a_host_that_is_silent_is_passed_over_once_and_then_asked_last(database: Database) -> None:
    """Whoever asks the silent one waits for as long as the URL says: longer than all else takes on a busy machine."""
    with silent() as server:
        hosts = "127.0.0.1:{},{}:{}".format(server.getsockname()[1], *database.address)
        lookup = lookup_of(f"{database.at(hosts)}&connect_timeout=4")
        before = time.monotonic()
        assert set(await lookup.posts(database.ids)) == set(database.ids)
        assert 4 <= time.monotonic() - before < 2 * 4
        await end_others(database)
        before = time.monotonic()
        assert set(await lookup.posts(database.ids)) == set(database.ids)
        assert time.monotonic() - before < 4
        await lookup.close()


async def test_hosts_that_all_fail_are_each_named(database: Database) -> None:
    with silent() as server:
        quiet, closed = server.getsockname()[1], free_port()
        lookup = lookup_of(f"{database.at(f'127.0.0.1:{quiet},127.0.0.1:{closed}')}&connect_timeout=1")
        with pytest.raises(Unavailable) as unavailable:
            await lookup.check()
        assert f"127.0.0.1:{quiet}: no connection within 1 s; 127.0.0.1:{closed}: " in str(unavailable.value)
        await lookup.close()


async def test_only_a_standby_is_no_host_of_ours_and_a_preferred_one_is(database: Database) -> None:
    """The only server is a primary."""
    only = lookup_of(database.with_words("target_session_attrs=standby"))
    with pytest.raises(Unavailable, match="target attribute"):
        await only.check()
    preferred = lookup_of(database.with_words("target_session_attrs=prefer-standby"))
    await preferred.check()
    for lookup in (only, preferred):
        await lookup.close()


async def end_others(database: Database) -> None:
    """Have the server end all connections to the database but ours."""
    await database.connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@asynccontextmanager
async def through_a_proxy(database: Database, **changes: object) -> AsyncIterator[tuple[Lookup, Proxy]]:
    proxy = Proxy(free_port(), database.address)
    await proxy.start()
    lookup = lookup_of(database.at(f"127.0.0.1:{proxy.port}"), **changes)
    try:
        yield lookup, proxy
    finally:
        await lookup.close()
        await proxy.close()


async def test_an_idle_connection_that_was_forgotten_costs_two_seconds_at_most(database: Database) -> None:
    """As a firewall forgets it: the server's side is gone, and nothing that we send is answered.

    Three times, of which the fastest counts: the others may have had a busy machine.
    """
    took: list[float] = []
    for _ in range(3):
        async with through_a_proxy(database) as (lookup, proxy):
            await lookup.posts(database.ids)
            assert proxy.orphan() == 1
            before = time.monotonic()
            assert set(await lookup.posts(database.ids)) == set(database.ids)
            took.append(time.monotonic() - before)
            assert proxy.swallowed > 0
    assert min(took) < 2
    assert max(took) < 2 + _BUSY_SECONDS


async def test_a_connection_that_was_forgotten_does_not_hold_up_the_end(database: Database) -> None:
    async with through_a_proxy(database) as (lookup, proxy):
        await lookup.posts(database.ids)
        proxy.stall()
        before = time.monotonic()
        await lookup.close()
        assert time.monotonic() - before < 2 + _BUSY_SECONDS


async def test_a_server_that_stops_answering_in_a_statement_is_given_up(database: Database) -> None:
    """Two seconds after the statement's own limit, and the next lookup does not wait for it."""
    async with through_a_proxy(database, statement_timeout_seconds=4) as (lookup, proxy):
        await lookup.posts(database.ids)
        async with database.connection.transaction():
            await database.connection.execute("LOCK TABLE posts IN ACCESS EXCLUSIVE MODE")
            asked = asyncio.create_task(lookup.posts(database.ids))
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
            while not await database.connection.fetchval(waiting):
                await asyncio.sleep(0.02)
            proxy.orphan()
            before = time.monotonic()
            # In the client's words: the server's answer is lost.
            with pytest.raises(TimedOut, match="did not answer in time"):
                await asked
            assert time.monotonic() - before < 4 + 2 + _BUSY_SECONDS
        before = time.monotonic()
        assert set(await lookup.posts(database.ids)) == set(database.ids)
        assert time.monotonic() - before < 4


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def encrypted(database: Database, authority: trustme.CA) -> AsyncIterator[Database]:
    """Lend a database whose server has a certificate of the test's authority, for ``localhost`` alone."""
    certificate = authority.issue_cert("localhost")
    run = database.connection.execute
    for name, pem in (
        ("postcast.crt", certificate.cert_chain_pems[0].bytes()),
        ("postcast.key", certificate.private_key_pem.bytes()),
    ):
        # The server writes its own files: it may run under another account, or in a container.
        text = base64.b64encode(pem).decode()
        await run(f"COPY (SELECT '{text}') TO PROGRAM 'umask 077; base64 -d > {name}'")
    settings = {"ssl": "on", "ssl_cert_file": "postcast.crt", "ssl_key_file": "postcast.key"}
    for name, value in settings.items():
        await run(f"ALTER SYSTEM SET {name} = '{value}'")
    await reloaded(database, "on")
    database.url = database.url.replace("sslmode=disable", "sslmode=verify-full")
    yield database
    for name in settings:
        await run(f"ALTER SYSTEM RESET {name}")
    await reloaded(database, "off")
    await run("COPY (SELECT 1) TO PROGRAM 'cat > /dev/null; rm postcast.crt postcast.key'")


async def reloaded(database: Database, state: str) -> None:
    """Have the server read its settings anew, and return when a new connection sees that it has."""
    await database.connection.execute("SELECT pg_reload_conf()")
    url = database.url.replace("sslmode=verify-full", "sslmode=disable")
    async with asyncio.timeout(60):
        while True:
            connection = await asyncpg.connect(url)
            try:
                if await connection.fetchval("SHOW ssl") == state:
                    return
            finally:
                await connection.close()
            await asyncio.sleep(0.05)


def written(authority: trustme.CA, folder: Path) -> Path:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


async def is_encrypted(database: Database, url: str) -> bool:
    lookup = lookup_of(url)
    await lookup.check()
    encrypted = await database.connection.fetchval(
        "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await lookup.close()
    return bool(encrypted)


async def test_tls_with_an_authority_of_ones_own(encrypted: Database, authority: trustme.CA, tmp_path: Path) -> None:
    url = f"{encrypted.at(f'localhost:{encrypted.address[1]}')}&sslrootcert={written(authority, tmp_path)}"
    assert await is_encrypted(encrypted, url)


@pytest.mark.parametrize("words", ["", "&sslrootcert=system"])
async def test_tls_with_the_systems_authorities(
    encrypted: Database, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """As the replaced service's driver does it where no root certificate is named."""
    monkeypatch.setenv("HOME", str(tmp_path))
    url = encrypted.at(f"localhost:{encrypted.address[1]}") + words
    lookup = lookup_of(url)
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await lookup.check()
    await lookup.close()
    # OpenSSL's own variable for where the system's authorities are.
    monkeypatch.setenv("SSL_CERT_FILE", str(written(authority, tmp_path)))
    assert await is_encrypted(encrypted, url)


async def test_the_servers_name_is_checked(encrypted: Database, authority: trustme.CA, tmp_path: Path) -> None:
    """The certificate is for localhost and not for its address; verify-ca does not look at that."""
    url = f"{encrypted.url}&sslrootcert={written(authority, tmp_path)}"
    lookup = lookup_of(url)
    with pytest.raises(Unavailable, match=r"IP address mismatch|Hostname mismatch"):
        await lookup.check()
    await lookup.close()
    assert await is_encrypted(encrypted, url.replace("verify-full", "verify-ca"))


@pytest.mark.parametrize("mode", ["require", "prefer"])
async def test_tls_without_an_authority(
    encrypted: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert await is_encrypted(encrypted, encrypted.url.replace("verify-full", mode))
