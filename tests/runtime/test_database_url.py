"""DATABASE_URL is taken apart as libpq and Go's drivers would, or refused without a word of its password."""

import pytest

from runtime.database_url import Database, parse
from runtime.database_words import WrongUrl

ENCODING = (
    "a character of the user or the password is not percent-encoded: / is %2F, ? is %3F, # is %23, @ is %40, % is %25"
)
PORT = "a port is not a number from 1 to 65535; in a password : is %3A, / is %2F and @ is %40"
HOST = "a host is neither a name nor an address; an IPv6 address stands in [brackets]"


def test_the_replaced_services_url_works_unchanged() -> None:
    assert parse("postgres://postgres:12345678@localhost:5432/postgres?sslmode=disable") == Database(
        hosts=(("localhost", 5432),),
        user="postgres",
        password="12345678",
        name="postgres",
        session="any",
        connect_seconds=5.0,
        is_balanced=False,
        tls={"sslmode": "disable"},
        server_settings={"application_name": "postcast"},
        driver={},
    )


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p@h/d", (("h", None),)),
        (
            "postgres://u@h1:5433,h2,[::1]:5434,[fe80::1]/d",
            (("h1", 5433), ("h2", None), ("::1", 5434), ("fe80::1", None)),
        ),
        ("postgres:///d", ((None, None),)),
        ("postgres://:5433/d", ((None, 5433),)),
        ("postgres://%2Frun%2Fpostgresql:5433/d", (("/run/postgresql", 5433),)),
        ("postgres:///d?host=/run/postgresql", (("/run/postgresql", None),)),
        ("postgres://u@h:1/d?host=h1,h2,::1&port=5433", (("h1", 5433), ("h2", 5433), ("::1", 5433))),
        ("postgres://u@/d?host=h1,h2&port=5433,5434", (("h1", 5433), ("h2", 5434))),
    ],
)
def test_hosts(url: str, hosts: tuple[tuple[str | None, int | None], ...]) -> None:
    assert parse(url).hosts == hosts


@pytest.mark.parametrize(
    ("url", "user", "password", "name"),
    [
        ("postgres://u:p%40%2F%3F%23%25%3A@h/d%2Fe", "u", "p@/?#%:", "d/e"),
        ("postgres://u:p@ss:word@h/d", "u", "p@ss:word", "d"),
        ("postgres://u:100%@h/d", "u", "100%", "d"),
        ("postgres://u:p+q@h/d", "u", "p+q", "d"),
        ("postgres://h", None, None, None),
        ("postgres://u:p@h/d?user=v@w&password=q+r&dbname=e", "v@w", "q+r", "e"),
    ],
)
def test_who_connects_to_which_database(url: str, user: str | None, password: str | None, name: str | None) -> None:
    database = parse(url)
    assert (database.user, database.password, database.name) == (user, password, name)


def test_parameters_are_honoured() -> None:
    database = parse(
        "postgres://h/d?connect_timeout=3&target_session_attrs=read-write&load_balance_hosts=random&sslmode=verify-ca"
        "&sslrootcert=/ca+1.pem&passfile=/pass&application_name=posts&search_path=a,b&TimeZone=Etc/GMT%2B3"
        "&options=-c+work_mem%3D64MB&auto_explain.log_timing=off&enable_seqscan=off"
    )
    assert (database.connect_seconds, database.session, database.is_balanced) == (3.0, "read-write", True)
    assert database.tls == {"sslmode": "verify-ca", "sslrootcert": "/ca+1.pem"}
    assert database.driver == {"passfile": "/pass"}
    assert database.server_settings == {
        "application_name": "posts",
        "search_path": "a,b",
        "TimeZone": "Etc/GMT+3",
        "options": "-c work_mem=64MB",
        "auto_explain.log_timing": "off",
        "enable_seqscan": "off",
    }


def test_parameters_that_change_nothing_here_are_accepted() -> None:
    plain = parse("postgres://u:p@h/d")
    for words in (
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=5000",
        "channel_binding=prefer&gssencmode=disable&sslcertmode=allow&client_encoding=utf8&sslsni=1&sslcompression=0",
        "binary_parameters=yes&pool_max_conns=10&default_query_exec_mode=simple_protocol",
        "connect_timeout=0&sslmode=&load_balance_hosts=disable",
    ):
        assert parse(f"postgres://u:p@h/d?{words}") == plain


def test_the_name_of_the_application_can_be_a_fallback() -> None:
    settings = parse("postgres://h/d?fallback_application_name=a").server_settings
    assert settings == {"application_name": "a"}
    settings = parse("postgres://h/d?fallback_application_name=a&application_name=b").server_settings
    assert settings == {"application_name": "b"}


@pytest.mark.parametrize(
    ("words", "tls"),
    [
        ("requiressl=1", {"sslmode": "require"}),
        ("requiressl=1&sslmode=verify-full", {"sslmode": "verify-full"}),
        ("sslrootcert=system", {"sslmode": "verify-full", "sslrootcert": "system"}),
        ("sslmode=require&sslnegotiation=direct", {"sslmode": "require", "sslnegotiation": "direct"}),
    ],
)
def test_tls_is_asked_for_as_with_libpq(words: str, tls: dict[str, str]) -> None:
    assert parse(f"postgres://h/d?{words}").tls == tls


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://user:pa55word@h/d", "must look like postgres://user:password@host:port/database"),
        ("user:pa55word@h/d", "must look like postgres://user:password@host:port/database"),
        ("postgres://user:pa55/word@h/d", ENCODING),
        ("postgres://user:55/word@h/d", ENCODING),
        ("postgres://user:pa55?word@h/d", ENCODING),
        ("postgres://user:55?pa55=word@h/d", ENCODING),
        ("postgres://user:55?sslmode=word@h/d", ENCODING),
        ("postgres://user:pa55#word@h/d", ENCODING),
        ("postgres://user:pa55word\n@h/d", ENCODING),
        ("postgres://user:pa55word@h:5432x/d", PORT),
        ("postgres://user:pa55word@h:0/d", PORT),
        ("postgres://user:pa55word@h:65536/d", PORT),
        ("postgres://user:pa55word@h1,h2:x/d", PORT),
        ("postgres://user:pa55word@/d?host=h&port=x", PORT),
        ("postgres://user:pa55word@a..b/d", HOST),
        ("postgres://user:pa55word@" + "a" * 64 + "/d", HOST),
        ("postgres://user:pa55word@a b/d", HOST),
        ("postgres://user:pa55word@[::1/d", HOST),
        ("postgres://user:pa55word@[::g]/d", HOST),
        ("postgres://user:pa55word@[::1]5432/d", HOST),
        ("postgres://user:pa55word@/d?host=::g", HOST),
        (
            "postgres://user:pa55word@/d?host=a,b&port=1,2,3",
            "the parameter port must hold one port, or as many as there are hosts",
        ),
        ("postgres://user:pa55word%FF@h/d", "what is percent-encoded must be UTF-8"),
        ("postgres://user:pa55word%00@h/d", "%00 cannot be part of it"),
        ("postgres://user:pa55word@h/d?sslmode", "a parameter has no value: they look like ?name=value&name=value"),
        (
            "postgres://user:pa55word@h/d?connect_timeout=soon",
            "the parameter connect_timeout must be a whole number of seconds",
        ),
        (
            "postgres://user:pa55word@h/d?sslmode=require&sslrootcert=system",
            "the parameter sslrootcert=system needs sslmode=verify-full, as with libpq",
        ),
        (
            "postgres://user:pa55word@h/d?sslnegotiation=direct",
            "the parameter sslnegotiation=direct needs sslmode=require, verify-ca or verify-full",
        ),
    ],
)
def test_what_cannot_work_is_refused_without_a_word_of_the_password(url: str, sentence: str) -> None:
    with pytest.raises(WrongUrl) as refused:
        parse(url)
    assert str(refused.value) == sentence
    assert "55" not in sentence.replace("65535", "")
    assert "word@" not in sentence.replace("user:password@host", "")


def test_a_password_does_not_show() -> None:
    assert "pa55word" not in repr(parse("postgres://user:pa55word@h/d?sslpassword=pa55word"))
