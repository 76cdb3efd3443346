"""The worker's environment, validated once; `.env.example` says what each variable is for."""

from itertools import combinations
from typing import Annotated, Final, Literal, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from runtime.kafka import TopicName
from runtime.settings import BadSettings, ProcessSettings, S, read
from streams.amqp_urls import amqp_urls

# Parameters of a libpq URL that configure the client and that asyncpg does not know: it would hand
# them to the server as run-time settings, and the server would refuse the connection.
_CLIENT_ONLY: Final = frozenset({
    "binary_parameters", "channel_binding", "client_encoding", "connect_timeout", "fallback_application_name",
    "gssencmode", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
    "requirepeer", "requiressl", "sslcertmode", "sslcompression", "sslsni", "tcp_user_timeout",
})  # fmt: skip


def _amqp(value: SecretStr) -> SecretStr:
    amqp_urls(value.get_secret_value())
    return value


def _postgres(value: SecretStr) -> SecretStr:
    url = urlsplit(value.get_secret_value())
    if url.scheme not in {"postgres", "postgresql"}:
        raise ValueError("must look like postgres://user:password@host:port/database")
    return value


class TopicSettings(ProcessSettings):
    """Kafka and the topics: all that a command needs which only reads and writes topics."""

    created_topic: TopicName = "posts.created"
    feed_topic: TopicName = "posts.feed"
    dead_topic: TopicName = "posts.dead"
    created_partitions: int = Field(default=8, ge=1, le=1000)
    kafka_replication: int = Field(default=1, ge=1, le=10)
    retention_days: int = Field(default=7, ge=1)
    dead_retention_days: int = Field(default=30, ge=1)

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

    prefetch: int = Field(default=500, ge=1, le=65_535)
    statement_timeout_seconds: float = Field(default=10, gt=0, le=600)

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
    def database_dsn(self) -> str:
        """``DATABASE_URL`` without the parameters that only libpq would understand."""
        url = urlsplit(self.database_url.get_secret_value())
        query = [(key, value) for key, value in parse_qsl(url.query, keep_blank_values=True) if key not in _CLIENT_ONLY]
        return urlunsplit(("postgresql", url.netloc, url.path, urlencode(query), ""))


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
