"""Why Kafka cannot be followed, by the error of aiokafka: a refusal is no silence, and operators have to act on it.

The sentences are shown to clients, too: they name no address and repeat no word of a broker. The log has its words.
"""

import ssl
from typing import Final

from aiokafka.errors import SaslAuthenticationFailed, TopicAuthorizationFailedError, UnsupportedSaslMechanismError

from edge.feed.topic import Unreachable

FORBIDDEN: Final = "Kafka does not allow this edge to read the feed: grant it the right."
_SENTENCES: Final[dict[type[Exception], str]] = {
    SaslAuthenticationFailed: "Kafka refuses the user or the password.",
    UnsupportedSaslMechanismError: "Kafka does not offer the SASL mechanism that is set.",
    TopicAuthorizationFailedError: FORBIDDEN,
    ssl.SSLCertVerificationError: "Kafka's certificate cannot be verified.",
}


def unreachable(error: Exception, why: str = "") -> Unreachable:
    """Return what to raise for an error; ``why`` is what the log says in its place."""
    return Unreachable(why or repr(error), _SENTENCES.get(type(error)))
