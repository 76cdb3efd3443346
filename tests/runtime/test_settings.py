"""The environment wins over ``.env``; secrets may stand in files; every wrong value is one sentence."""

import os
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import AfterValidator, Field, SecretStr

from runtime.settings import BadSettings, ProcessSettings, read, unread_variables


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 3:
        raise ValueError("is too short")
    return value


class Settings(ProcessSettings):
    """Those of a process."""

    amqp_url: Annotated[SecretStr, AfterValidator(_long)]
    number: int = Field(1, ge=1)
    is_strict: bool = False


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Begin in an empty folder, with nothing set but what must be."""
    for name in os.environ:
        if name.upper().removesuffix("_FILE").lower() in Settings.model_fields or name.endswith("_FILE"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_URL", "kafka://broker")
    monkeypatch.setenv("AMQP_URL", "from the environment")
    return monkeypatch


def sentences() -> list[str]:
    with pytest.raises(BadSettings) as raised:
        read(Settings)
    return str(raised.value).splitlines()


def secret() -> str:
    return read(Settings).amqp_url.get_secret_value()


def test_the_environment_wins_over_the_file_in_the_working_directory(environment: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("# a comment\nAMQP_URL='from the file'\nNUMBER=2\nSOMEBODYS=3\n")
    assert (secret(), read(Settings).number) == ("from the environment", 2)
    environment.setenv("AMQP_URL", "")
    assert secret() == "from the file"


def test_a_file_in_the_working_directory_that_cannot_be_read_is_one_sentence() -> None:
    Path(".env").write_bytes(b"AMQP_URL=\xff\xfe\n")
    assert sentences() == [".env in the working directory cannot be read: it is not text in UTF-8."]


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"secret", "secret"),
        (b"secret\n", "secret"),
        (b"secret\r\n", "secret"),
        (b"secret\n\n", "secret\n"),
        (b" secret ", " secret "),
        ("schlüssel\n".encode(), "schlüssel"),
    ],
)
def test_a_secret_comes_from_its_file_without_one_newline(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes, value: str
) -> None:
    (tmp_path / "secret").write_bytes(content)
    environment.delenv("AMQP_URL")
    environment.setenv("AMQP_URL_FILE", str(tmp_path / "secret"))
    assert secret() == value


def test_the_file_may_be_named_in_the_working_directorys_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    Path(".env").write_text("AMQP_URL_FILE=secret\n")
    environment.delenv("AMQP_URL")
    assert secret() == "secret"


def test_a_secret_and_its_file_together_are_refused_wherever_they_stand(environment: pytest.MonkeyPatch) -> None:
    said = ["AMQP_URL is wrong: AMQP_URL_FILE is set as well; keep one of the two."]
    environment.setenv("AMQP_URL_FILE", "/run/secrets/x")
    assert sentences() == said
    environment.delenv("AMQP_URL_FILE")
    Path(".env").write_text("AMQP_URL_FILE=/run/secrets/x\n")
    assert sentences() == said


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("not-there", "No such file or directory"),
        (".", "Is a directory"),
        ("binary", "it is not text in UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(environment: pytest.MonkeyPatch, name: str, why: str) -> None:
    Path("binary").write_bytes(b"\xff\xfe")
    environment.delenv("AMQP_URL")
    environment.setenv("AMQP_URL_FILE", name)
    assert sentences() == [f"AMQP_URL is wrong: {name}, which AMQP_URL_FILE names, cannot be read: {why}."]


def test_what_a_file_holds_is_checked_like_any_value(environment: pytest.MonkeyPatch) -> None:
    Path("short").write_text("x\n")
    environment.delenv("AMQP_URL")
    environment.setenv("AMQP_URL_FILE", "short")
    assert sentences() == ["AMQP_URL is wrong: is too short."]


def test_only_secrets_come_from_files(environment: pytest.MonkeyPatch) -> None:
    Path("number").write_text("7")
    environment.setenv("NUMBER_FILE", "number")
    assert read(Settings).number == 1
    assert unread_variables(Settings) == [
        (
            "NUMBER_FILE: set and not read; what can come from files is "
            "AMQP_URL, DATABASE_URL, JWT_SECRET_KEY, KAFKA_SASL_PASSWORD, POSITIONS_URL."
        )
    ]


def test_all_sentences_come_at_once_what_is_missing_first(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("AMQP_URL")
    environment.delenv("KAFKA_URL")
    environment.setenv("RABBITMQ_URL", "amqp://a")
    environment.setenv("NUMBER", "0")
    environment.setenv("IS_STRICT", "maybe")
    environment.setenv("LOG_LEVEL", "loud")
    assert sentences() == [
        "AMQP_URL is missing; RABBITMQ_URL is set, and is not read.",
        "KAFKA_URL is missing; python -m edge --settings says what it is.",
        "IS_STRICT is wrong: must be true or false.",
        "LOG_LEVEL is wrong: input should be '', 'debug', 'info', 'warning', 'error' or 'critical'.",
        "NUMBER is wrong: input should be greater than or equal to 1.",
    ]


def test_what_concerns_several_settings_names_them_itself(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    environment.setenv("KAFKA_SASL_MECHANISM", "PLAIN")
    environment.setenv("KAFKA_SASL_USERNAME", "postcast")
    assert sentences() == ["KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_PASSWORD."]


def test_names_that_others_use_are_told_wherever_they_stand() -> None:
    Path(".env").write_text("KAFKA_BROKERS=a:9092\n")
    assert unread_variables(Settings) == ["KAFKA_BROKERS is set and not read; the setting's name is KAFKA_URL."]


def test_levels_and_formats_are_read_in_any_case(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("LOG_LEVEL", "DEBUG")
    environment.setenv("LOG_FORMAT", "JSON")
    assert (read(Settings).log_level, read(Settings).log_format) == ("debug", "json")
