"""A database's URL: ``postgres://`` as libpq reads it, taken apart once.

Laws:

* A URL that cannot work is refused here, by a sentence that shows no value of it: any part of the URL can turn out to
  be a part of a password that was not percent-encoded.
* Where libpq and Go's drivers differ from each other, a URL that works with either works here.

This module opens no file and no connection; :mod:`runtime.database_words` knows the parameters.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from urllib.parse import unquote

from runtime.database_words import TLS_WORDS, VERIFYING, WrongUrl, check, is_server_setting

_URL: Final = re.compile(r"(?:postgres|postgresql)://([^/?]*)(?:/([^?]*))?(?:\?(.*))?", re.DOTALL)
_FORM: Final = "must look like postgres://user:password@host:port/database"
_ENCODING: Final = (
    "a character of the user or the password is not percent-encoded: / is %2F, ? is %3F, # is %23, @ is %40, % is %25"
)
_CONNECT_SECONDS: Final = 5.0
"""How long a host may take to give a connection, unless ``connect_timeout`` says another time."""
_MAX_PORT: Final = 2**16 - 1


@dataclass(frozen=True)
class Database:
    """Where the database is and how it is connected to; what is None is left to libpq's environment variables.

    ``hosts`` are tried in order; the "host" of a Unix socket is its folder. ``connect_seconds`` is for each of them.
    ``session`` is libpq's ``target_session_attrs``. ``tls`` holds the parameters of :data:`TLS_WORDS`;
    ``server_settings`` are the session's run-time settings; ``driver`` holds further arguments of asyncpg.
    """

    hosts: tuple[tuple[str | None, int | None], ...]
    user: str | None
    password: str | None = field(repr=False)
    name: str | None
    session: str
    connect_seconds: float
    is_balanced: bool
    tls: Mapping[str, str] = field(repr=False)
    server_settings: Mapping[str, str]
    driver: Mapping[str, str]


def parse(url: str) -> Database:
    """Take a URL apart; raises :class:`WrongUrl`."""
    if "#" in url or any(character < " " for character in url):
        raise WrongUrl(_ENCODING)
    match = _URL.fullmatch(url)
    if match is None:
        raise WrongUrl(_FORM)
    authority, path, query = (part or "" for part in match.groups())
    if "@" in path:
        # The @ that should end the user and password: a character before it has ended the authority.
        raise WrongUrl(_ENCODING)
    try:
        return _database(authority, path, dict(_words(query)))
    except WrongUrl:
        if "@" in query:
            raise WrongUrl(_ENCODING) from None
        raise


def _database(authority: str, path: str, words: dict[str, str]) -> Database:
    userinfo, _, hosts = authority.rpartition("@")
    user, _, password = userinfo.partition(":")
    seconds = _seconds(words.get("connect_timeout"))
    fallback = words.get("fallback_application_name", "postcast")
    return Database(
        hosts=_hosts(words.get("host") or hosts, words.get("port"), encoded="host" not in words),
        user=words.get("user") or _decoded(user) or None,
        password=words.get("password") or _decoded(password) or None,
        name=words.get("dbname") or words.get("database") or _decoded(path) or None,
        session=words.get("target_session_attrs", "any"),
        connect_seconds=seconds or _CONNECT_SECONDS,
        is_balanced=words.get("load_balance_hosts") == "random",
        tls=_tls(words),
        server_settings={"application_name": fallback, **{k: v for k, v in words.items() if is_server_setting(k)}},
        driver={k: words[k] for k in ("passfile", "service", "servicefile", "krbsrvname", "gsslib") if k in words},
    )


def _words(query: str) -> Iterator[tuple[str, str]]:
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        if not equals:
            raise WrongUrl("a parameter has no value: they look like ?name=value&name=value")
        word = _decoded(name)
        # Go's drivers read a plus sign as a space, libpq reads it as itself: options cannot do without spaces.
        text = _decoded(value.replace("+", " ") if word == "options" else value)
        check(word, text)
        if text:
            yield word, text


def _tls(words: Mapping[str, str]) -> dict[str, str]:
    tls = {word: value for word, value in words.items() if word in TLS_WORDS}
    if words.get("requiressl") == "1":
        tls.setdefault("sslmode", "require")
    if tls.get("sslrootcert") == "system" and tls.setdefault("sslmode", "verify-full") != "verify-full":
        raise WrongUrl("the parameter sslrootcert=system needs sslmode=verify-full, as with libpq")
    if tls.get("sslnegotiation") == "direct" and tls.get("sslmode") not in {"require", *VERIFYING}:
        raise WrongUrl("the parameter sslnegotiation=direct needs sslmode=require, verify-ca or verify-full")
    return tls


def _hosts(text: str, ports: str | None, *, encoded: bool) -> tuple[tuple[str | None, int | None], ...]:
    hosts = [_host(part, encoded=encoded) for part in text.split(",")] if text else [(None, None)]
    if ports is None:
        return tuple(hosts)
    given = [_port(port) for port in ports.split(",")]
    if len(given) not in {1, len(hosts)}:
        raise WrongUrl("the parameter port must hold one port, or as many as there are hosts")
    return tuple((host, given[number % len(given)]) for number, (host, _) in enumerate(hosts))


def _host(text: str, *, encoded: bool) -> tuple[str | None, int | None]:
    if text.startswith("["):
        name, bracket, rest = text[1:].partition("]")
        try:
            ipaddress.IPv6Address(_decoded(name))
        except ValueError:
            _refuse_host()
        if not bracket or (rest and not rest.startswith(":")):
            _refuse_host()
        return _decoded(name), _port(rest[1:]) if rest[1:] else None
    name, _, port = text.partition(":")
    name = _decoded(name) if encoded else name
    if not encoded and ":" in port:
        # In the parameter `host` an IPv6 address stands alone.
        name, port = text, ""
    if name and not name.startswith("/"):
        _check_name(name)
    return name or None, _port(port) if port else None


def _check_name(name: str) -> None:
    if ":" in name:
        try:
            ipaddress.IPv6Address(name)
        except ValueError:
            _refuse_host()
        return
    try:
        name.encode("idna")
    except UnicodeError:
        _refuse_host()
    if any(character.isspace() for character in name):
        _refuse_host()


def _refuse_host() -> NoReturn:
    raise WrongUrl("a host is neither a name nor an address; an IPv6 address stands in [brackets]")


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= _MAX_PORT:
        raise WrongUrl("a port is not a number from 1 to 65535; in a password : is %3A, / is %2F and @ is %40")
    return int(text)


def _seconds(text: str | None) -> float:
    if text is None:
        return 0.0
    if not re.fullmatch(r"-?[0-9]{1,6}", text):
        raise WrongUrl("the parameter connect_timeout must be a whole number of seconds")
    return max(0.0, float(text))  # as with libpq, 0 and less are no limit of the URL's own


def _decoded(text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise WrongUrl("what is percent-encoded must be UTF-8") from None
    if "\0" in decoded:
        raise WrongUrl("%00 cannot be part of it")
    return decoded
