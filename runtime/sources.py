"""Where settings come from besides the environment: files that hold secrets, and names that are not ours.

``NAME_FILE`` names a file that holds the value of the secret setting ``NAME``, as Docker and Kubernetes mount secrets.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

Variables = Mapping[str, str | None]
"""What is set, by name in lower case."""

SECRETS: Final = frozenset({"AMQP_URL", "DATABASE_URL", "JWT_SECRET_KEY", "KAFKA_SASL_PASSWORD", "POSITIONS_URL"})
"""The secret settings of both processes: a process does not know the other's."""

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "AMQP_URI": ("AMQP_URL",),
    "CLOUDAMQP_URL": ("AMQP_URL",),
    "RABBIT_URL": ("AMQP_URL",),
    "RABBITMQ_URI": ("AMQP_URL",),
    "RABBITMQ_URL": ("AMQP_URL",),
    "BROKER_URL": ("AMQP_URL", "KAFKA_URL"),
    "AMQP_QUEUE": ("QUEUE_NAME",),
    "RABBITMQ_QUEUE": ("QUEUE_NAME",),
    "DATABASE_URI": ("DATABASE_URL",),
    "DB_URL": ("DATABASE_URL",),
    "PG_URL": ("DATABASE_URL",),
    "POSTGRES_URI": ("DATABASE_URL",),
    "POSTGRES_URL": ("DATABASE_URL",),
    "POSTGRESQL_URL": ("DATABASE_URL",),
    "BOOTSTRAP_SERVERS": ("KAFKA_URL",),
    "KAFKA_BOOTSTRAP_SERVERS": ("KAFKA_URL",),
    "KAFKA_BROKER": ("KAFKA_URL",),
    "KAFKA_BROKER_URL": ("KAFKA_URL",),
    "KAFKA_BROKERS": ("KAFKA_URL",),
    "KAFKA_SERVERS": ("KAFKA_URL",),
    "KAFKA_PASSWORD": ("KAFKA_SASL_PASSWORD",),
    "KAFKA_SASL_USER": ("KAFKA_SASL_USERNAME",),
    "KAFKA_USERNAME": ("KAFKA_SASL_USERNAME",),
    "KAFKA_SSL_CA_LOCATION": ("KAFKA_CA_FILE",),
    "KAFKA_SSL_CAFILE": ("KAFKA_CA_FILE",),
    "JWT_SECRET": ("JWT_SECRET_KEY",),
    "JWKS_URL": ("JWT_JWKS_URL",),
    "LOGLEVEL": ("LOG_LEVEL",),
}
"""Names under which other programs expect what our settings are called."""

OTHER_FILES: Final = frozenset(
    {"JWT_PUBLIC_KEY_FILE", "KAFKA_CA_FILE", "KAFKA_CERT_FILE", "KAFKA_KEY_FILE", "NIX_SSL_CERT_FILE", "SSL_CERT_FILE"}
)
"""Settings that are paths themselves, and what OpenSSL reads, in some systems under a name of their own."""


_LIKE: Final = 0.8
"""How alike two names are (difflib) of which one is probably a slip: AMPQ_URL and AMQP_URL are 0.875."""


class Wrong:
    """Stands for a value that could not be had; ``why`` is what its setting's sentence says."""

    def __init__(self, why: str) -> None:
        self.why = why


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the file that ``NAME_FILE`` names, for each secret setting.

    A file that cannot be read, or that is named beside ``NAME`` itself, gives a :class:`Wrong`.
    """

    def __init__(self, settings_cls: type[BaseSettings], variables: Variables) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the setting's value from its file, or None when no file is named."""
        path = self._variables.get(f"{field_name}_file")
        if field.annotation is not SecretStr or path is None:
            return None, field_name, False
        if self._variables.get(field_name) is not None:
            return Wrong(f"{field_name.upper()}_FILE is set as well; keep one of the two"), field_name, False
        try:
            return _without_newline(Path(path).read_bytes().decode("utf-8")), field_name, False
        except (OSError, ValueError) as error:
            why = (isinstance(error, OSError) and error.strerror) or "it is not text in UTF-8"
            return Wrong(f"{path}, which {field_name.upper()}_FILE names, cannot be read: {why}"), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values of all settings that come from files."""
        found = {name: self.get_field_value(field, name)[0] for name, field in self.settings_cls.model_fields.items()}
        return {name: value for name, value in found.items() if value is not None}


def _without_newline(text: str) -> str:
    return text.removesuffix("\r\n" if text.endswith("\r\n") else "\n")


def aliases_of(name: str, variables: Variables) -> list[str]:
    """Return the names in ``variables`` that probably mean the setting ``name``."""
    return [alias for alias, meant in ALIASES.items() if name in meant and variables.get(alias.lower()) is not None]


def unread(fields: Iterable[str], variables: Variables) -> list[str]:
    """Return a sentence for each variable that looks like a setting and is not read.

    ``fields`` are the settings of this process, in capitals.
    """
    known = set(fields)
    sentences = []
    for alias, meant in ALIASES.items():
        names = [name for name in meant if name in known]
        if names and variables.get(alias.lower()) is not None and alias not in known:
            sentences.append(f"{alias} is set and not read; the setting's name is {' or '.join(names)}.")
    readable = OTHER_FILES | {f"{name}_FILE" for name in SECRETS}
    named = (name.upper() for name, value in variables.items() if value is not None)
    files = sorted(
        name
        for name in named
        if name.endswith("_FILE") and name not in readable and _is_like_ours(name.removesuffix("_FILE"), known)
    )
    if files:
        sentences.append(
            f"{', '.join(files)}: set and not read; what can come from files is {', '.join(sorted(SECRETS))}."
        )
    return sentences


def _is_like_ours(name: str, known: AbstractSet[str]) -> bool:
    """Tell whether a name begins as a secret of ours does, or is nearly one of ours: an environment has many others."""
    ours = {*SECRETS, *ALIASES}
    begins_so = name.split("_", maxsplit=1)[0] in {each.split("_")[0] for each in ours}
    return begins_so or bool(get_close_matches(name, ours | known, 1, _LIKE))
