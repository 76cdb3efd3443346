"""What RabbitMQ's URL is completed with, and what its errors are called."""

import pytest
from aiormq.exceptions import AMQPConnectionError, ConnectionInternalError, ProbableAuthenticationError

from streams.rabbit import explanation


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(111, "Connect call failed"), "Connect call failed"),
        (AMQPConnectionError(111, "Connect call failed"), "Connect call failed"),
        (TimeoutError(), "TimeoutError"),
        (
            FileNotFoundError(2, "No such file or directory"),
            "a file that AMQP_URL names (cafile, certfile or keyfile) cannot be read: No such file or directory",
        ),
        (ProbableAuthenticationError("ACCESS_REFUSED - Login was refused"), "ACCESS_REFUSED - Login was refused"),
        (
            ConnectionInternalError(
                "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated.\nIts use is not permitted"
            ),
            "it refuses to declare a queue that is not durable: declare the queue, durable for instance",
        ),
    ],
)
def test_an_error_is_explained_in_a_sentence(error: Exception, text: str) -> None:
    assert explanation(error).startswith(text)
