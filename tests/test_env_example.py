"""`.env.example` is the reference of the settings: nothing missing, nothing invented, the defaults true."""

from pathlib import Path

from pydantic_settings import BaseSettings

from edge.settings import Settings as EdgeSettings
from streams.settings import Settings as StreamsSettings

EXAMPLE = Path(__file__).parents[1] / ".env.example"


def variables() -> dict[str, str]:
    lines = EXAMPLE.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def fields(of: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in of.model_fields}


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    assert set(variables()) == fields(StreamsSettings) | fields(EdgeSettings)


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
