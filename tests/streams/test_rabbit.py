"""What RabbitMQ's errors are called, and how long one is waited for that is silent, or freezes."""

import asyncio
import time
from pathlib import Path

import pytest
from aiormq.exceptions import AMQPConnectionError, ConnectionInternalError, ProbableAuthenticationError
from pydantic import SecretStr

from streams import rabbit
from streams.rabbit import RabbitMQ, explanation
from streams.subscription import Lost
from tests import frozen
from tests.streams.memory_kafka import SETTINGS


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


def subscribes_to(authority: frozen.Authority, *servers: frozen.Frozen) -> RabbitMQ:
    """Make one that knows these hosts."""
    hosts = ",".join(f"localhost:{server.port}" for server in servers)
    url = f"amqps://guest:guest@{hosts}/?cafile={authority.file}"
    return RabbitMQ(SETTINGS.model_copy(update={"amqp_url": SecretStr(url)}), time.monotonic)


async def test_a_host_that_is_silent_has_its_time_and_the_next_is_tried(tmp_path: Path) -> None:
    """By TLS it took half a minute more until the connection was closed."""
    authority = frozen.Authority(tmp_path)
    async with frozen.silent(authority.server()) as first, frozen.rabbitmq(authority.server()) as second:
        ours = subscribes_to(authority, first, second)
        async with asyncio.timeout(25), ours.subscribed(lambda *_: None) as subscription:
            assert await subscription.depth() == (0, 1)


async def test_a_connection_that_freezes_is_left_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Likewise. What is left of it ends soon after."""
    monkeypatch.setattr(rabbit, "ANSWER_SECONDS", 3.0)
    authority = frozen.Authority(tmp_path)
    async with frozen.rabbitmq(authority.server()) as server:
        async with asyncio.timeout(25), subscribes_to(authority, server).subscribed(lambda *_: None) as subscription:
            server.is_frozen = True
            with pytest.raises(Lost):
                await subscription.depth()
        _, left = await asyncio.wait(asyncio.all_tasks() - server.tasks - {asyncio.current_task()}, timeout=20)
        assert not left
