"""Which sentence an error of aiokafka is told by."""

import ssl

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)

from edge.feed.refusals import unreachable


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (SaslAuthenticationFailed("for pass-word"), "Kafka refuses the user or the password."),
        (UnsupportedSaslMechanismError(), "Kafka does not offer the SASL mechanism that is set."),
        (
            TopicAuthorizationFailedError("posts.feed"),
            "Kafka does not allow this edge to read the feed: grant it the right.",
        ),
        (ssl.SSLCertVerificationError(1, "not for kafka.internal"), "Kafka's certificate cannot be verified."),
        (KafkaConnectionError("Connection at kafka.internal:9092 closed"), "Kafka does not answer."),
        (TimeoutError(), "Kafka does not answer."),
    ],
)
def test_a_refusal_has_a_sentence_of_its_own(error: Exception, sentence: str) -> None:
    """Nothing that a broker says is in it: clients are shown it. The log has that."""
    assert unreachable(error).sentence == sentence
    assert str(unreachable(error)) == repr(error)
    assert str(unreachable(error, "kafka.internal:9092: closed")) == "kafka.internal:9092: closed"
