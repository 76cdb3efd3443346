"""How both processes reach Kafka: addresses, TLS and SASL, by the settings in :class:`KafkaSettings`.

Every combination of settings that cannot work, or that would send less protected than it looks, is refused with a
sentence. No sentence repeats a value that may hold a secret.
"""

import re
import ssl
from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from aiokafka.conn import create_conn, get_ip_port_afi
from aiokafka.errors import BrokerResponseError, KafkaError
from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator
from pydantic_settings import BaseSettings

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

_DEFAULT_PORT: Final = 9092
# How long one broker may take to say why it refuses us: it has just refused.
_OBSTACLE_MS: Final = 3_000
_HOST: Final = re.compile(r"[\w.-]+")
# Kafka's own rule for names: org.apache.kafka.common.internals.Topic.
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def broker_addresses(url: str) -> list[str]:
    """Return the ``host:port`` of each broker in ``kafka://host:port[;kafka://host:port]``; raises ValueError.

    The port may be left out (9092); an IPv6 address stands in brackets.
    """
    return [_address(part.strip()) for part in url.split(";")]


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        if ":" in host:
            host = f"[{IPv6Address(host)}]"
        elif not _HOST.fullmatch(host):
            raise ValueError  # noqa: TRY301 - one sentence for all
        # What IDNA refuses, two dots in a row for instance, cannot be looked up: UnicodeError, which is a ValueError.
        host.encode("idna")
    except ValueError:
        parts = None
    # The value is not repeated: it may hold a password.
    if parts is None or parts.scheme != "kafka" or port == 0 or parts.path not in {"", "/"}:
        raise ValueError("must be kafka://host:port, or several of these with a semicolon between them")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError(
            "must be kafka://host:port alone: a user and a password are KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
        )
    return f"{host}:{port or _DEFAULT_PORT}"


def _brokers(value: str) -> str:
    broker_addresses(value)
    return value


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value) or value in {".", ".."}:
        raise ValueError("must be 1 to 249 letters, digits, dots, underscores or dashes, and more than one or two dots")
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


TopicName = Annotated[str, AfterValidator(_topic)]


class KafkaSettings(BaseSettings):
    """Where Kafka is and how it is spoken to."""

    kafka_url: Annotated[str, AfterValidator(_brokers)]
    kafka_security_protocol: Annotated[Protocol, BeforeValidator(_upper)] = "PLAINTEXT"
    kafka_sasl_mechanism: Annotated[Mechanism, BeforeValidator(_upper)] = ""
    kafka_sasl_username: str = ""
    kafka_sasl_password: SecretStr = SecretStr("")
    kafka_ca_file: str = ""
    """PEM certificates of the authorities that sign the brokers' certificates; the system's when empty."""
    kafka_cert_file: str = ""
    """PEM certificate chain that this client shows, for mutual TLS."""
    kafka_key_file: str = ""
    """Its private key, PEM and not encrypted; empty when it stands in the certificate's file."""

    @property
    def kafka_servers(self) -> list[str]:
        """The brokers to begin with, as ``host:port``."""
        return broker_addresses(self.kafka_url)

    @property
    def kafka_has_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.kafka_security_protocol in {"SSL", "SASL_SSL"}

    @property
    def kafka_has_sasl(self) -> bool:
        """Whether connections are authenticated by a user name and a password."""
        return self.kafka_security_protocol.startswith("SASL_")

    def kafka_tls(self) -> ssl.SSLContext | None:
        """Make the TLS context of a client from the files, None without TLS; raises ValueError with a sentence."""
        return _tls(self) if self.kafka_has_tls else None

    def kafka_client(self, client_id: str) -> dict[str, Any]:
        """Return the arguments with which any client of aiokafka reaches Kafka.

        ``client_id`` names it in the brokers' logs, metrics and quotas.
        """
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.kafka_servers,
            "client_id": client_id,
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": self.kafka_tls(),
        }
        if self.kafka_has_sasl:
            arguments |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": self.kafka_sasl_password.get_secret_value(),
            }
        return arguments

    @model_validator(mode="after")
    def _kafka_settings_fit(self) -> Self:
        protocol = f"KAFKA_SECURITY_PROTOCOL={self.kafka_security_protocol}"
        sasl = {
            "KAFKA_SASL_MECHANISM": self.kafka_sasl_mechanism,
            "KAFKA_SASL_USERNAME": self.kafka_sasl_username,
            "KAFKA_SASL_PASSWORD": self.kafka_sasl_password.get_secret_value(),
        }
        tls = {
            "KAFKA_CA_FILE": self.kafka_ca_file,
            "KAFKA_CERT_FILE": self.kafka_cert_file,
            "KAFKA_KEY_FILE": self.kafka_key_file,
        }
        if self.kafka_has_sasl and (missing := [name for name, value in sasl.items() if not value]):
            raise ValueError(f"{protocol} needs {_listed(missing)}")
        if not self.kafka_has_sasl and (given := [name for name, value in sasl.items() if value]):
            raise ValueError(
                f"{_listed(given)} would not be used with {protocol}: set it to SASL_SSL or SASL_PLAINTEXT"
            )
        if not self.kafka_has_tls and (given := [name for name, value in tls.items() if value]):
            raise ValueError(f"{_listed(given)} would not be used with {protocol}: set it to SSL or SASL_SSL")
        if self.kafka_key_file and not self.kafka_cert_file:
            raise ValueError("KAFKA_KEY_FILE needs KAFKA_CERT_FILE, the certificate that belongs to the key")
        self.kafka_tls()
        return self


class Obstacle(NamedTuple):
    """Why a broker does not let us in."""

    server: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.server}: {str(self.error) or 'no answer'}"

    @property
    def is_refusal(self) -> bool:
        """Whether there is more to it than no connection."""
        return isinstance(self.error, BrokerResponseError | ssl.SSLError)


async def obstacle(client: Mapping[str, Any]) -> Obstacle | None:
    """Say why no broker lets a client in: connect to each that ``client`` names, and return what the last one answers.

    A refusal counts for more than silence. aiokafka logs the reason, and raises an error that only says that there is
    one. Return None when a broker lets us in by now.
    """
    options = {name: value for name, value in client.items() if name != "bootstrap_servers"}
    found: Obstacle | None = None
    for server in client["bootstrap_servers"]:
        host, port, _ = get_ip_port_afi(server)
        try:
            connection = await create_conn(host, port, request_timeout_ms=_OBSTACLE_MS, **options)
        except (KafkaError, OSError, TimeoutError) as error:
            if found is None or not found.is_refusal:
                found = Obstacle(server, error)
        else:
            connection.close()
            return None
    return found


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file or None)
    except OSError as error:
        raise ValueError(f"KAFKA_CA_FILE {_why(settings.kafka_ca_file, error)}") from None
    if settings.kafka_cert_file:
        cert, key = settings.kafka_cert_file, settings.kafka_key_file
        for name, path in (("KAFKA_CERT_FILE", cert), ("KAFKA_KEY_FILE", key)):
            try:
                with open(path or cert, "rb"):  # noqa: PTH123 - a path, or nothing
                    pass
            except OSError as error:
                raise ValueError(f"{name} {_why(path, error)}") from None
        try:
            # Without a password OpenSSL would ask for one at the terminal.
            context.load_cert_chain(cert, key or None, password="")
        except (OSError, ValueError):
            raise ValueError(
                "KAFKA_CERT_FILE and KAFKA_KEY_FILE cannot be used: they must be PEM, the key without a password, and"
                " belong together"
            ) from None
    return context


def _why(path: str, error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"{path} holds no certificate in PEM"
    return f"{path} cannot be read: {error.strerror}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
