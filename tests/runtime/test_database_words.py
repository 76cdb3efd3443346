"""A parameter of DATABASE_URL is honoured, changes nothing, or is refused by a sentence."""

import pytest

from runtime.database_words import WrongUrl, check, is_server_setting


@pytest.mark.parametrize(
    ("word", "value", "sentence"),
    [
        (
            "sslmod",
            "require",
            "the parameter sslmod is not supported; a setting of the server is given as options=-c%20name%3Dvalue",
        ),
        (
            "sslmode",
            "requires",
            "the parameter sslmode must be allow, disable, prefer, require, verify-ca or verify-full",
        ),
        ("gsslib", "sspi", "the parameter gsslib must be gssapi"),
        ("channel_binding", "require", "the parameter channel_binding must be disable or prefer"),
        ("gssencmode", "require", "the parameter gssencmode must be disable or prefer"),
        ("sslcertmode", "require", "the parameter sslcertmode must be allow"),
        ("hostaddr", "10.0.0.1", "the parameter hostaddr is not supported: name the address as host"),
        (
            "require_auth",
            "scram-sha-256",
            "the parameter require_auth is not supported: the methods are restricted in the server's pg_hba.conf",
        ),
        (
            "requirepeer",
            "postgres",
            "the parameter requirepeer is not supported: the owner of the server's socket is not checked",
        ),
    ],
)
def test_what_cannot_be_kept_or_is_not_known_is_refused(word: str, value: str, sentence: str) -> None:
    with pytest.raises(WrongUrl) as refused:
        check(word, value)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("word", ["sslmode", "keepalives", "search_path", "pool_max_conns", "sslcertmode"])
def test_a_parameter_without_a_value_is_none(word: str) -> None:
    check(word, "")


@pytest.mark.parametrize(
    "word", ["TimeZone", "jit", "jit_above_cost", "geqo_threshold", "app.tenant", "statement_timeout"]
)
def test_settings_of_the_server_in_any_case_are_known(word: str) -> None:
    assert is_server_setting(word)
    check(word, "1")


def test_a_word_of_libpq_is_no_setting_of_the_server() -> None:
    assert not any(map(is_server_setting, ("sslmode", "keepalives", "passfile", "hostaddr")))
