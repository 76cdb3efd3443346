"""Hosts are tried one after the other, beginning with the one that gave the last connection."""

import socket
from typing import NoReturn

import asyncpg
import pytest

from runtime.database import Connector, NoConnection, first_line, reason
from runtime.database_tls import WrongFile
from runtime.database_url import parse


class Hosts:
    """The hosts h1, h2 …: each gives a connection (its own name stands for it) or fails."""

    def __init__(self, **failures: Exception) -> None:
        self.failures = failures
        self.asked: list[str] = []

    async def attempt(self, host: str | None, port: int | None, session: str) -> asyncpg.Connection:
        self.asked.append(f"{host}:{port} {session}")
        if failure := self.failures.get(f"{host}_{session}".replace("-", "_"), self.failures.get(str(host))):
            raise failure
        return host


def connector(hosts: Hosts, url: str = "postgres://u@h1,h2:1,h3/d", words: str = "") -> Connector:
    return Connector(parse(url + words), hosts.attempt)


async def test_a_host_that_fails_is_passed_over_and_asked_last_from_then_on() -> None:
    hosts = Hosts(h1=ConnectionError("no connection within 5 s"))
    connects = connector(hosts)
    assert await connects.connect() == "h2"
    assert await connects.connect() == "h2"
    assert hosts.asked == ["h1:None any", "h2:1 any", "h2:1 any"]
    hosts.failures["h2"] = hosts.failures["h3"] = ConnectionError("refused")
    del hosts.failures["h1"], hosts.asked[:]
    assert await connects.connect() == "h1"
    assert hosts.asked == ["h2:1 any", "h3:None any", "h1:None any"]


async def test_why_each_host_failed_is_said() -> None:
    hosts = Hosts(h1=ConnectionError("refused"), h2=asyncpg.PostgresError("no\nentry"), h3=OSError())
    with pytest.raises(NoConnection) as failed:
        await connector(hosts).connect()
    assert str(failed.value) == "h1:default port: refused; h2:1: no; h3:default port: OSError"
    assert not failed.value.is_final


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgres://user:keep-it@h1:5433/d", "h1:5433"),
        ("postgres://h1/d", "h1:default port"),
        ("postgres:///d", "the default host:default port"),
        ("postgres://user:keep-it@[::1]:5433/d", "[::1]:5433"),
    ],
)
async def test_a_single_host_is_named_too(url: str, place: str) -> None:
    """An operator compares it with the address that was meant; neither user nor password is in it."""

    async def refuse(*_: object) -> NoReturn:
        raise OSError("refused")

    with pytest.raises(NoConnection) as failed:
        await Connector(parse(url), refuse).connect()
    assert str(failed.value) == f"{place}: refused"


@pytest.mark.parametrize("state", ["22023", "42704", "55P02"])
async def test_what_only_another_url_can_mend_is_final(state: str) -> None:
    wrong = asyncpg.PostgresError.new({"C": state, "M": "what"})
    hosts = Hosts(
        h1=wrong, h2=WrongFile("the file of sslcert cannot be used"), h3=asyncpg.ClientConfigurationError("no")
    )
    with pytest.raises(NoConnection) as failed:
        await connector(hosts).connect()
    assert failed.value.is_final


@pytest.mark.parametrize(
    "error",
    [
        asyncpg.PostgresError.new({"C": "XX000", "M": "the pooler has no connections left"}),
        asyncpg.PostgresError.new({"C": "28P01", "M": "password authentication failed"}),
        ValueError("invalid literal for int()"),
        AssertionError("could not determine the server's version"),
    ],
)
async def test_one_host_that_may_recover_is_waited_for(error: Exception) -> None:
    wrong = asyncpg.PostgresError.new({"C": "22023", "M": "what"})
    with pytest.raises(NoConnection) as failed:
        await connector(Hosts(h1=wrong, h2=error, h3=wrong)).connect()
    assert not failed.value.is_final


async def test_a_standby_is_preferred_among_all_hosts() -> None:
    primary = ConnectionError("none of the hosts matches")
    hosts = Hosts(h1_standby=primary, h3_standby=primary)
    words = "?target_session_attrs=prefer-standby"
    assert await connector(hosts, words=words).connect() == "h2"
    hosts = Hosts(h1_standby=primary, h2_standby=primary, h3_standby=primary, h1=OSError("away"))
    assert await connector(hosts, words=words).connect() == "h2"
    assert hosts.asked == [
        *("h1:None standby", "h2:1 standby", "h3:None standby"),
        *("h1:None any", "h2:1 any"),
    ]


async def test_the_kind_of_server_is_passed_on() -> None:
    hosts = Hosts()
    await connector(hosts, words="?target_session_attrs=read-write").connect()
    assert hosts.asked == ["h1:None read-write"]


async def test_balanced_hosts_begin_with_any_of_them() -> None:
    first = {await connector(Hosts(), words="?load_balance_hosts=random").connect() for _ in range(200)}
    assert first == {"h1", "h2", "h3"}


def test_an_error_without_a_word_is_told_by_its_type() -> None:
    assert first_line(TimeoutError()) == "TimeoutError"
    assert first_line(ValueError("one\ntwo")) == "one"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the host's name is not known"),
        (
            ConnectionRefusedError(111, "Connect call failed"),
            "the connection is refused: nothing listens at that host and port",
        ),
        (
            asyncpg.InvalidCatalogNameError('database "positions" does not exist'),
            'database "positions" does not exist: create the database first',
        ),
        (ValueError("one\ntwo"), "one"),
    ],
)
def test_why_there_is_no_connection_is_said_in_words(error: Exception, said: str) -> None:
    assert reason(error) == said
