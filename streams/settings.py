"""The worker's environment, validated once; `.env.example` says what each variable is for."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from streams.database_url import Database
from streams.database_url import parse as parse_database_url
from streams.lookup_sql import WrongStatement, translate


def _amqp(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in {"amqp", "amqps"} or not url.hostname:
        raise ValueError("must look like amqp://user:password@host:port/")
    return value


def _postgres(value: SecretStr) -> SecretStr:
    parse_database_url(value.get_secret_value())
    return value


def _statement(path: str) -> str:
    """Return the statement in the file, ready for PostgreSQL; none for the default."""
    try:
        return path and translate(Path(path).read_text("utf-8-sig"))
    except OSError as error:
        raise WrongStatement(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise WrongStatement(f"{path} is not UTF-8") from error


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


class Settings(BaseSettings):
    """What a worker is told. Field names are the variables' names in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    amqp_url: Annotated[SecretStr, AfterValidator(_amqp)]
    queue_name: str = Field(default="created-posts", min_length=1, max_length=255)
    database_url: Annotated[SecretStr, AfterValidator(_postgres)]
    kafka_url: Annotated[str, AfterValidator(_kafka)]

    app_id: Topic = "postcast"
    created_topic: Topic = "posts.created"
    feed_topic: Topic = "posts.feed"
    dead_topic: Topic = "posts.dead"
    created_partitions: int = Field(default=8, ge=1, le=1000)
    kafka_replication: int = Field(default=1, ge=1, le=10)
    retention_days: int = Field(default=7, ge=1)
    dead_retention_days: int = Field(default=30, ge=1)

    window_seconds: float = Field(default=5, ge=0.1, le=3600)
    max_batch: int = Field(default=20_000, ge=1, le=1_000_000)
    max_held: int = Field(default=100_000, ge=1)
    max_attempts: int = Field(default=3, ge=1, le=100)
    image_base_url: str = ""
    lookup_sql: Annotated[str, AfterValidator(_statement)] = ""
    """The statement itself: the variable names the file in which it stands."""

    prefetch: int = Field(default=500, ge=1, le=65_535)
    statement_timeout_seconds: float = Field(default=10, gt=0, le=600)

    worker_port: int = Field(default=6066, ge=1, le=65_535)

    @property
    def kafka_servers(self) -> list[str]:
        """The brokers to begin with, as ``host:port``."""
        return [urlsplit(url).netloc for url in self.kafka_url.split(";")]

    @property
    def window_ms(self) -> int:
        """A window's length in milliseconds."""
        return round(self.window_seconds * 1000)

    @property
    def database(self) -> Database:
        """``DATABASE_URL``, taken apart."""
        return parse_database_url(self.database_url.get_secret_value())


def load() -> Settings:
    """Read the environment; whatever is wrong with it ends the process with one sentence for each variable."""
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit("\n".join(map(_sentence, error.errors(include_input=False, include_url=False)))) from None


def _sentence(error: ErrorDetails) -> str:
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name} is missing; .env.example says what it is."
    text = error["msg"].removeprefix("Value error, ")
    return f"{name} is wrong: {text[:1].lower()}{text[1:]}."
