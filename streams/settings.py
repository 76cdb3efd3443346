"""The worker's environment, validated once; `.env.example` says what each variable is for."""

import re
from typing import Annotated, Final, Literal
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


_MAX_PORT: Final = 65_535


def amqp_urls(value: str) -> list[str]:
    """Split ``amqp://u:p@h1:5672,h2:5672/vhost`` into one URL per host; raises ValueError for what is no such URL.

    Only commas between the last ``@`` and the next ``/`` or ``?`` separate hosts. A password with ``/``, ``?``, ``#``
    or ``@`` must be percent-encoded: its rest would be taken for a host or a path.
    """
    scheme, found, rest = value.partition("://")
    authority = re.match(r"[^/?#]*", rest)
    login, at, hosts = (authority[0] if authority else "").rpartition("@")
    if not found or scheme not in {"amqp", "amqps"} or not hosts:
        raise ValueError("must look like amqp://user:password@host:port/, several hosts joined by ','")
    path = rest[len(login) + len(at) + len(hosts) :]
    for host in hosts.split(","):
        port = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[^\[\]:@\s]+)(?::([0-9]{1,5}))?", host)
        if not port or not 0 < int(port[1] or 1) <= _MAX_PORT:
            raise ValueError(
                "has a host or port that is none: a user or password with one of / ? # @ : must be percent-encoded"
            )
    if "@" in login or "#" in path:
        raise ValueError("has a user, password or virtual host with an @ or # that is not percent-encoded")
    return [f"{scheme}://{login}{at}{host}{path}" for host in hosts.split(",")]


def _amqp(value: SecretStr) -> SecretStr:
    amqp_urls(value.get_secret_value())
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


class Settings(BaseSettings):
    """What a worker is told. Field names are the variables' names in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    amqp_url: Annotated[SecretStr, AfterValidator(_amqp)]
    queue_name: str = Field(default="created-posts", min_length=1, max_length=255)
    queue_declare: Literal["missing", "never"] = "missing"
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

    # A worker holds at most 64 KiB of each of these.
    prefetch: int = Field(default=500, ge=1, le=1000)
    statement_timeout_seconds: float = Field(default=10, gt=0, le=600)

    worker_port: int = Field(default=6066, ge=1, le=65_535)

    @property
    def amqp_urls(self) -> list[str]:
        """``AMQP_URL`` as one URL per host."""
        return amqp_urls(self.amqp_url.get_secret_value())

    @property
    def kafka_servers(self) -> list[str]:
        """The brokers to begin with, as ``host:port``."""
        return [urlsplit(url).netloc for url in self.kafka_url.split(";")]

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
