"""The settings of TLS and SASL in the form that Faust's own Kafka clients take."""

from faust import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from runtime.kafka import KafkaSettings


def credentials(settings: KafkaSettings) -> CredentialsT | None:
    """Return Faust's credentials for Kafka; None for connections without TLS and SASL."""
    if settings.kafka_has_sasl:
        return SASLCredentials(
            username=settings.kafka_sasl_username,
            password=settings.kafka_sasl_password.get_secret_value(),
            mechanism=settings.kafka_sasl_mechanism,
            ssl_context=settings.kafka_tls(),
        )
    tls = settings.kafka_tls()
    return None if tls is None else SSLCredentials(tls)
