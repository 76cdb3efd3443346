"""The worker's environment, validated once; `.env.example` says what each variable is for."""

import re
from typing import Annotated, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

# Parameters of a libpq URL that configure the client and that asyncpg does not know: it would hand
# them to the server as run-time settings, and the server would refuse the connection.
_CLIENT_ONLY: Final = frozenset({
    "binary_parameters", "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name",
    "gssencmode", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
    "requirepeer", "requiressl", "sslcertmode", "sslcompression", "sslsni", "tcp_user_timeout",
})  # fmt: skip


def _amqp(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in {"amqp", "amqps"} or not url.hostname:
        raise ValueError("must look like amqp://user:password@host:port/")
    return value


def _postgres(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in {"postgres", "postgresql"}:
        raise ValueError("must look like postgres://user:password@host:port/database")
    return value


def _kafka(value: str) -> str:
    if not re.fullmatch(r"kafka://[^/;:\s]+(:\d+)?/?(;kafka://[^/;:\s]+(:\d+)?/?)*", value):
        raise ValueError("must look like kafka://host:port, several joined by ';'")
    return value


def _topic(value: str) -> str:
    # Kafka's own rule for names: org.apache.kafka.common.internals.Topic.
    if not re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", value):
        raise ValueError("must be 1 to 249 letters, digits, dots, underscores or dashes")
    return value


Topic = Annotated[str, AfterValidator(_topic)]


class TopicSettings(BaseSettings):
    """Kafka and the topics: all that a command which only reads and writes topics needs.

    Field names are the variables' names in lower case.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    kafka_url: Annotated[str, AfterValidator(_kafka)]

    created_topic: Topic = "posts.created"
    feed_topic: Topic = "posts.feed"
    dead_topic: Topic = "posts.dead"
    created_partitions: int = Field(default=8, ge=1, le=1000)
    kafka_replication: int = Field(default=1, ge=1, le=10)
    retention_days: int = Field(default=7, ge=1)
    dead_retention_days: int = Field(default=30, ge=1)

    @property
    def kafka_servers(self) -> list[str]:
        """The brokers to begin with, as ``host:port``."""
        return [urlsplit(url).netloc for url in self.kafka_url.split(";")]


class Settings(TopicSettings):
    """What a worker is told."""

    amqp_url: Annotated[SecretStr, AfterValidator(_amqp)]
    queue_name: str = Field(default="created-posts", min_length=1, max_length=255)
    database_url: Annotated[SecretStr, AfterValidator(_postgres)]

    app_id: Topic = "postcast"

    window_seconds: float = Field(default=5, ge=0.1, le=3600)
    max_batch: int = Field(default=20_000, ge=1, le=1_000_000)
    max_held: int = Field(default=100_000, ge=1)
    max_attempts: int = Field(default=3, ge=1, le=100)
    image_base_url: str = ""

    prefetch: int = Field(default=500, ge=1, le=65_535)
    statement_timeout_seconds: float = Field(default=10, gt=0, le=600)

    worker_port: int = Field(default=6066, ge=1, le=65_535)

    @property
    def window_ms(self) -> int:
        """A window's length in milliseconds."""
        return round(self.window_seconds * 1000)

    @property
    def database_dsn(self) -> str:
        """``DATABASE_URL`` without the parameters that only libpq would understand."""
        url = urlsplit(self.database_url.get_secret_value())
        query = [(key, value) for key, value in parse_qsl(url.query, keep_blank_values=True) if key not in _CLIENT_ONLY]
        return urlunsplit(("postgresql", url.netloc, url.path, urlencode(query), ""))


_Given = TypeVar("_Given", bound=TopicSettings)


def load() -> Settings:
    """Read the environment; whatever is wrong with it ends the process with one sentence for each variable."""
    return _load(Settings)


def load_topics() -> TopicSettings:
    """Read what names Kafka and the topics; ends the process as :func:`load` does."""
    return _load(TopicSettings)


def _load(kind: type[_Given]) -> _Given:
    try:
        return kind()
    except ValidationError as error:
        raise SystemExit("\n".join(map(_sentence, error.errors(include_input=False, include_url=False)))) from None


def _sentence(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name} is missing; .env.example says what it is."
    text = error["msg"].removeprefix("Value error, ")
    return f"{name} is wrong: {text[:1].lower()}{text[1:]}."
