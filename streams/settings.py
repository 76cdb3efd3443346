"""The worker's environment, validated once; `.env.example` says what each variable is for."""

from itertools import combinations
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from runtime.database_url import Database
from runtime.database_url import parse as parse_database_url
from runtime.kafka import TopicName
from runtime.settings import BadSettings, ProcessSettings, S, read
from streams.amqp_urls import amqp_urls
from streams.lookup_sql import WrongStatement, translate

_MAX_RETENTION_DAYS: Final = 36_500
"""A hundred years: Kafka keeps a retention as milliseconds in 64 bits."""


def _amqp(value: SecretStr) -> SecretStr:
    amqp_urls(value.get_secret_value())
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


class TopicSettings(ProcessSettings):
    """Kafka and the topics: all that a command needs which only reads and writes topics."""

    created_topic: TopicName = "posts.created"
    feed_topic: TopicName = "posts.feed"
    dead_topic: TopicName = "posts.dead"
    created_partitions: int = Field(default=8, ge=1, le=1000)
    kafka_replication: int = Field(default=1, ge=1, le=10)
    retention_days: int = Field(default=7, ge=1, le=_MAX_RETENTION_DAYS)
    dead_retention_days: int = Field(default=30, ge=1, le=_MAX_RETENTION_DAYS)

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        names = {"CREATED_TOPIC": self.created_topic, "FEED_TOPIC": self.feed_topic, "DEAD_TOPIC": self.dead_topic}
        for (one, name), (other, further) in combinations(names.items(), 2):
            # Kafka makes no topic whose name differs from another's in these two characters alone.
            if name.replace(".", "_") == further.replace(".", "_"):
                raise ValueError(f"{one} and {other} must be different topics, also with dots for underscores")
        return self


class Settings(TopicSettings):
    """What a worker is told."""

    amqp_url: Annotated[SecretStr, AfterValidator(_amqp)]
    queue_name: str = Field(default="created-posts", min_length=1, max_length=255)
    queue_declare: Literal["auto", "never"] = "auto"
    """Whether a missing queue is declared (``auto``) or waited for (``never``)."""
    database_url: Annotated[SecretStr, AfterValidator(_postgres)]

    app_id: TopicName = "postcast"

    window_seconds: float = Field(default=5, ge=0.1, le=3600)
    max_batch: int = Field(default=20_000, ge=1, le=1_000_000)
    max_held: int = Field(default=100_000, ge=1)
    max_attempts: int = Field(default=3, ge=1, le=100)
    image_base_url: str = ""
    lookup_sql: Annotated[str, AfterValidator(_statement)] = ""
    """The statement itself: the variable names the file in which it stands."""

    # A worker holds at most 64 KiB of each of these.
    prefetch: int = Field(default=500, ge=1, le=1000)
    # PostgreSQL takes whole milliseconds, and 0 for no limit.
    statement_timeout_seconds: float = Field(default=10, ge=0.1, le=600)

    worker_port: int = Field(default=6066, ge=1, le=65_535)

    @property
    def amqp_urls(self) -> list[str]:
        """``AMQP_URL``, once for each of its hosts."""
        return amqp_urls(self.amqp_url.get_secret_value())

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
    return _load(Settings)


def load_topics() -> TopicSettings:
    """Read what names Kafka and the topics; ends the process as :func:`load` does."""
    return _load(TopicSettings)


def _load(settings: type[S]) -> S:
    try:
        return read(settings)
    except BadSettings as error:
        raise SystemExit(str(error)) from None
