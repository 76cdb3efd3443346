"""Secrets come from files when asked for, and what looks like a setting and is none is named."""

import pytest

from runtime.sources import ALIASES, SECRETS, aliases_of, unread

FIELDS = ["AMQP_URL", "DATABASE_URL", "KAFKA_URL", "QUEUE_NAME", "KAFKA_SASL_PASSWORD"]


@pytest.mark.parametrize(
    ("alias", "setting"),
    [
        ("RABBITMQ_URL", "AMQP_URL"),
        ("RABBIT_URL", "AMQP_URL"),
        ("POSTGRES_URL", "DATABASE_URL"),
        ("POSTGRESQL_URL", "DATABASE_URL"),
        ("KAFKA_BROKERS", "KAFKA_URL"),
        ("KAFKA_BOOTSTRAP_SERVERS", "KAFKA_URL"),
        ("BROKER_URL", "AMQP_URL or KAFKA_URL"),
    ],
)
def test_a_name_that_others_use_is_named_with_ours(alias: str, setting: str) -> None:
    assert unread(FIELDS, {alias.lower(): "x"}) == [f"{alias} is set and not read; the setting's name is {setting}."]


def test_a_process_does_not_name_what_it_would_not_read_by_any_name() -> None:
    assert unread(["KAFKA_URL"], {"rabbitmq_url": "x", "broker_url": "x"}) == [
        "BROKER_URL is set and not read; the setting's name is KAFKA_URL."
    ]


@pytest.mark.parametrize("name", ["QUEUE_NAME_FILE", "RABBITMQ_URL_FILE", "AMPQ_URL_FILE", "POSTGRES_PASSWORD_FILE"])
def test_a_file_that_nothing_reads_is_named(name: str) -> None:
    assert unread(FIELDS, {name.lower(): "/run/secrets/x"}) == [
        (
            f"{name}: set and not read; what can come from files is "
            "AMQP_URL, DATABASE_URL, JWT_SECRET_KEY, KAFKA_SASL_PASSWORD, POSITIONS_URL."
        )
    ]


def test_such_files_are_named_together() -> None:
    """They are worth one line."""
    [sentence] = unread(FIELDS, {"queue_name_file": "x", "ampq_url_file": "x"})
    assert sentence.startswith("AMPQ_URL_FILE, QUEUE_NAME_FILE: set and not read;")


@pytest.mark.parametrize("name", ["tf_cli_config_file", "cloudsdk_core_custom_ca_certs_file", "x_file"])
def test_files_of_others_are_not_named(name: str) -> None:
    """An environment has variables of others that end so: a warning of those hides the one that counts."""
    assert unread(FIELDS, {name: "x"}) == []


def test_what_is_read_is_not_named() -> None:
    files = {f"{name.lower()}_file": "/run/secrets/x" for name in SECRETS}
    settings = {name.lower(): "x" for name in FIELDS}
    others = {"kafka_ca_file": "/ca.pem", "ssl_cert_file": "/ca.pem", "path": "/bin"}
    assert unread(FIELDS, {**files, **settings, **others}) == []
    assert unread(FIELDS, {"rabbitmq_url": None, "x_file": None}) == []


def test_aliases_of_a_setting_that_is_missing() -> None:
    assert aliases_of("AMQP_URL", {"rabbitmq_url": "x", "postgres_url": "x"}) == ["RABBITMQ_URL"]
    assert aliases_of("KAFKA_URL", {"rabbitmq_url": "x"}) == []


def test_no_alias_is_a_setting() -> None:
    assert ALIASES.keys().isdisjoint({name for names in ALIASES.values() for name in names})
