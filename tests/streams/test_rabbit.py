"""What RabbitMQ's URL is completed with, and what its errors are called."""

import pytest
from aiormq.exceptions import AMQPConnectionError, ConnectionInternalError, ProbableAuthenticationError
from yarl import URL

from streams.rabbit import completed, explanation


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("amqp://u:p@h/v", "amqp://u:p@h:5672/v?name=postcast+on+host&heartbeat=10"),
        ("amqps://u:p@h/", "amqps://u:p@h:5671/?name=postcast+on+host&heartbeat=10"),
        ("amqp://h:5673/?heartbeat=30", "amqp://h:5673/?heartbeat=30&name=postcast+on+host"),
        ("amqp://h/?name=mine&heartbeat=0", "amqp://h:5672/?name=mine&heartbeat=0"),
        (
            "amqps://u:p%2Fx@[::1]/%2Fv?cafile=/ca.pem",
            "amqps://u:p%2Fx@[::1]:5671/%2Fv?cafile=/ca.pem&name=postcast+on+host&heartbeat=10",
        ),
    ],
)
def test_what_a_url_says_itself_wins(given: str, used: str) -> None:
    assert str(completed(URL(given), "postcast on host")) == used


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
