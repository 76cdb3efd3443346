"""TLS to the database with ``sslmode=require`` or stricter: libpq's rules for the files that it would read."""

import contextlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from runtime.database_url import Database
from runtime.database_words import VERIFYING

_PROTOCOL: Final = "postgresql"
"""PostgreSQL's name in TLS's list of protocols (ALPN); its version 17 asks for it with ``sslnegotiation=direct``."""


class WrongFile(Exception):
    """A file that the URL names cannot be used."""


def tls_context(database: Database) -> ssl.SSLContext:
    """Return what a connection with ``sslmode=require`` or stricter is encrypted with; reads the files anew.

    Certificates are checked against ``sslrootcert``, else against ``~/.postgresql/root.crt`` as libpq does, and
    where neither is there against the system's (as Go's drivers do) or, with ``sslmode=require``, not at all.
    """
    tls = database.tls
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = tls["sslmode"] == "verify-full"
    context.set_alpn_protocols([_PROTOCOL])
    roots = _file(database, "sslrootcert", "root.crt")
    if roots == "system" or (roots is None and tls["sslmode"] in VERIFYING):
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    elif roots is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        _load("sslrootcert", context.load_verify_locations, roots)
    if revoked := _file(database, "sslcrl", "root.crl"):
        _load("sslcrl", context.load_verify_locations, revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if certificate := _file(database, "sslcert", "postgresql.crt"):
        key = _file(database, "sslkey", "postgresql.key")
        # Without a function that gives the key's password, OpenSSL would ask the terminal for it.
        _load("sslcert or sslkey", context.load_cert_chain, certificate, key, lambda: tls.get("sslpassword", ""))
    context.minimum_version = _version(tls.get("ssl_min_protocol_version"), ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _version(tls.get("ssl_max_protocol_version"), ssl.TLSVersion.MAXIMUM_SUPPORTED)
    return context


def _file(database: Database, word: str, default: str) -> str | None:
    """Return the file that the URL names, else libpq's variable, else the one in ``~/.postgresql`` if it is there."""
    if given := database.tls.get(word) or os.environ.get(f"PG{word.upper()}"):
        return given
    with contextlib.suppress(RuntimeError, OSError):  # an account without a home
        own = Path.home() / ".postgresql" / default
        return str(own) if own.exists() else None
    return None


def _load(word: str, load: Callable[..., None], *arguments: Any) -> None:
    try:
        load(*arguments)
    except OSError as error:  # ssl.SSLError is one
        raise WrongFile(
            f"the file of {word} cannot be used: {error.strerror or 'it is not what it should be'}"
        ) from error


def _version(name: str | None, default: ssl.TLSVersion) -> ssl.TLSVersion:
    return ssl.TLSVersion[name.replace(".", "_")] if name else default
