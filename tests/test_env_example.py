"""`.env.example` is the reference of the settings: nothing missing, nothing invented, the defaults true."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from edge.settings import Settings as EdgeSettings
from runtime.sources import OTHER_FILES, SECRETS
from streams.settings import Settings as StreamsSettings

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def variables() -> dict[str, str]:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def fields(of: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in of.model_fields}


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    assert set(variables()) == fields(StreamsSettings) | fields(EdgeSettings)


def test_the_files_that_settings_name_are_known() -> None:
    """A process does not know the other's settings, and must not call one of them unknown."""
    both = StreamsSettings.model_fields | EdgeSettings.model_fields
    assert {name.upper() for name, field in both.items() if field.annotation is SecretStr} == SECRETS
    assert {name.upper() for name in both if name.endswith("_file")} == OTHER_FILES - {
        "NIX_SSL_CERT_FILE",
        "SSL_CERT_FILE",
    }


def test_every_variable_has_a_comment() -> None:
    commented = False
    for line in EXAMPLE.read_text("utf-8").splitlines():
        assert commented or not line or line.startswith("#"), f"{line} stands without a comment"
        commented = bool(line)


def test_the_example_says_the_defaults() -> None:
    for settings in (StreamsSettings, EdgeSettings):
        given = {name.lower(): value for name, value in variables().items() if name in fields(settings)}
        with_example = settings.model_validate(given)
        for name, field in settings.model_fields.items():
            if not field.is_required():
                assert getattr(with_example, name) == field.default, name
