"""TLS to the database follows libpq's rules for its files, and Go's where no authority is named."""

import contextlib
import ssl
from pathlib import Path

import pytest
import trustme

from runtime.database_tls import WrongFile, tls_context
from runtime.database_url import parse


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".postgresql").mkdir()
    return tmp_path / ".postgresql"


def roots(authority: trustme.CA, path: Path) -> Path:
    authority.cert_pem.write_to_path(str(path))
    return path


def context(words: str) -> ssl.SSLContext:
    return tls_context(parse(f"postgres://h/d?{words}"))


def connects(
    client: ssl.SSLContext, authority: trustme.CA, name: str = "db.example", server_asks: bool = False
) -> bool:
    """Tell whether a handshake with a server of that authority succeeds, all in memory."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("db.example").configure_cert(server)
    if server_asks:
        server.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(server)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
            except ssl.SSLError:
                return False
    return all(end.version() for end in ends)


def test_an_authority_of_ones_own_is_checked_with_the_name(authority: trustme.CA, tmp_path: Path) -> None:
    client = context(f"sslmode=verify-full&sslrootcert={roots(authority, tmp_path / 'ca.pem')}")
    assert connects(client, authority)
    assert not connects(client, authority, name="other.example")
    assert not connects(client, trustme.CA())


def test_verify_ca_does_not_look_at_the_name(authority: trustme.CA, tmp_path: Path) -> None:
    client = context(f"sslmode=verify-ca&sslrootcert={roots(authority, tmp_path / 'ca.pem')}")
    assert connects(client, authority, name="other.example")
    assert not connects(client, trustme.CA())


@pytest.mark.parametrize("words", ["sslmode=verify-full", "sslmode=verify-ca", "sslrootcert=system"])
def test_the_systems_authorities_stand_in_where_none_is_named(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    assert not connects(context(words), authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(roots(authority, tmp_path / "system.pem")))
    assert connects(context(words), authority)


def test_require_checks_nothing_unless_an_authority_is_there(
    authority: trustme.CA, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connects(context("sslmode=require"), authority)
    monkeypatch.setenv("PGSSLROOTCERT", str(roots(trustme.CA(), home / "other.crt")))
    assert not connects(context("sslmode=require"), authority)
    monkeypatch.delenv("PGSSLROOTCERT")
    roots(trustme.CA(), home / "root.crt")
    assert not connects(context("sslmode=require"), authority)
    roots(authority, home / "root.crt")
    assert connects(context("sslmode=require"), authority)


def test_a_certificate_of_the_clients_own_is_shown(authority: trustme.CA, home: Path) -> None:
    assert not connects(context("sslmode=require"), authority, server_asks=True)
    own = authority.issue_cert("postcast")
    own.private_key_pem.write_to_path(str(home / "postgresql.key"))
    own.cert_chain_pems[0].write_to_path(str(home / "postgresql.crt"))
    assert connects(context("sslmode=require"), authority, server_asks=True)
    named = f"sslmode=require&sslcert={home}/postgresql.crt&sslkey={home}/postgresql.key"
    assert connects(context(named), authority, server_asks=True)


def test_versions_are_bounded() -> None:
    plain = context("sslmode=require")
    assert (plain.minimum_version, plain.maximum_version) == (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MAXIMUM_SUPPORTED)
    bounded = context("sslmode=require&ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.3")
    assert (bounded.minimum_version, bounded.maximum_version) == (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)


@pytest.mark.parametrize("word", ["sslrootcert", "sslcrl", "sslcert"])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, word: str) -> None:
    (tmp_path / "empty").touch()
    for name in ("missing", "empty"):
        with pytest.raises(WrongFile, match=rf"^the file of {word}\b.* cannot be used: \S"):
            context(f"sslmode=verify-full&{word}={tmp_path}/{name}")
