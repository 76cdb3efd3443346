"""What the settings of both processes have in common, and how a process reads them.

The environment comes first, then ``.env`` in the working directory. A secret may stand in a file
(:mod:`runtime.sources`). Whatever is wrong is said at once, one sentence for each variable.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BeforeValidator, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from runtime.kafka import KafkaSettings
from runtime.logs import Format, Level
from runtime.sources import SecretFiles, Variables, Wrong, aliases_of, unread

DOTENV: Final = ".env"


class BadSettings(ValueError):
    """One sentence for each variable that is missing or wrong."""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Sourced(BaseSettings):
    """Settings, and where they come from. Field names are the variables' names in lower case."""

    # What is infinite, or not a number, would pass a lower bound and fail when it is first reckoned with.
    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, env_file_encoding="utf-8", allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_there(cls, value: Any) -> Any:
        if isinstance(value, Wrong):
            raise ValueError(value.why)  # noqa: TRY004 - what pydantic takes for a wrong value
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - a folder of secrets is another way
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put files of secrets before the environment: both together are wrong, and that is noticed there."""
        variables = _variables(env_settings, dotenv_settings)
        return init_settings, SecretFiles(settings_cls, variables), env_settings, dotenv_settings


class ProcessSettings(KafkaSettings, Sourced):
    """The settings of both processes."""

    log_level: Annotated[Literal["", Level], BeforeValidator(_lower)] = ""
    """The lowest level that is logged; empty for info, or for what Faust's ``-l`` says."""
    log_format: Annotated[Format, BeforeValidator(_lower)] = "auto"


def _variables(*sources: PydanticBaseSettingsSource) -> Variables:
    """Return what is set by its name; a source before another wins."""
    merged: dict[str, str | None] = {}
    for source in reversed(sources):
        assert isinstance(source, EnvSettingsSource)  # noqa: S101 - what pydantic-settings passes
        merged |= source.env_vars
    return merged


S = TypeVar("S", bound=Sourced)


def read(settings: type[S]) -> S:
    """Read the settings of a process, or of a command; raises :class:`BadSettings`."""
    variables = _all_variables(settings)
    try:
        return settings(_env_file=DOTENV)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_url=False)
        # `from None`: pydantic's own text shows the values.
        sentences = sorted((each["type"] != "missing", _sentence(each, variables)) for each in errors)
        raise BadSettings("\n".join(sentence for _, sentence in sentences)) from None


def unread_variables(settings: type[ProcessSettings]) -> list[str]:
    """Return a sentence for each variable that looks like a setting of the process and is not read."""
    return unread([name.upper() for name in settings.model_fields], _all_variables(settings))


def _all_variables(settings: type[Sourced]) -> Variables:
    try:
        dotenv = DotEnvSettingsSource(settings, env_file=DOTENV)
    except (OSError, ValueError) as error:
        why = (isinstance(error, OSError) and error.strerror) or "it is not text in UTF-8"
        raise BadSettings(f"{DOTENV} in the working directory cannot be read: {why}.") from None
    return _variables(EnvSettingsSource(settings), dotenv)


def _sentence(error: ErrorDetails, variables: Variables) -> str:
    text = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return f"{text}."
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        aliases = aliases_of(name, variables)
        why = f"{aliases[0]} is set, and is not read" if aliases else "python -m edge --settings says what it is"
        return f"{name} is missing; {why}."
    if error["type"] in {"bool_parsing", "bool_type"}:
        return f"{name} is wrong: must be true or false."
    # pydantic begins with a capital.
    return f"{name} is wrong: {text if error['type'] == 'value_error' else text[:1].lower() + text[1:]}."
