"""The backing services keep their promises, on containers and on plain processes alike."""

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

import aio_pika
import asyncpg
import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from integration import containers, topics
from integration import services as services_module
from integration.ports import free_port
from integration.service import Service, ServiceError
from integration.services import Services


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """Start all three, whatever the environment names: these tests break them."""
    environ = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
    with Services(environ=environ) as started:
        yield started


def service_of(services: Services, name: str) -> Service:
    """Pick one by its name, so that a test's parameter can be a word."""
    return next(service for service in services if service.name == name)


async def write_and_declare(services: Services) -> None:
    """Leave a table, a durable queue with a persistent message, and a topic."""
    connection = await asyncpg.connect(services.postgres.url)
    await connection.execute("CREATE TABLE kept (id integer); INSERT INTO kept VALUES (7)")
    await connection.close()
    async with await aio_pika.connect(services.rabbitmq.url) as broker:
        channel = await broker.channel()
        await channel.declare_queue("kept", durable=True)
        message = aio_pika.Message(b"7", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key="kept")
    await topics.create(services.kafka.url, {"kept": 3})


async def what_is_there(services: Services) -> dict[str, bool]:
    """Tell of each service whether what was left in it is still there."""
    connection = await asyncpg.connect(services.postgres.url)
    rows = await connection.fetch("SELECT id FROM kept")
    await connection.close()
    async with await aio_pika.connect(services.rabbitmq.url) as broker:
        queue = await (await broker.channel()).declare_queue("kept", passive=True)
    admin = AIOKafkaAdminClient(bootstrap_servers=services.kafka.address)
    await admin.start()
    topics = await admin.list_topics()
    await admin.close()
    return {
        services.postgres.name: [row["id"] for row in rows] == [7],
        services.rabbitmq.name: queue.declaration_result.message_count == 1,
        services.kafka.name: "kept" in topics,
    }


async def test_a_durable_service_keeps_its_address_and_its_data_when_stopped_or_killed(services: Services) -> None:
    await write_and_declare(services)
    urls = services.environment
    for service in services:
        service.restart()
        assert service.is_alive()
    for service in services:
        service.kill()
        assert not service.is_alive()
        service.start()
    assert services.environment == urls
    assert await what_is_there(services) == {service.name: service.durable for service in services}


@pytest.mark.parametrize("name", ["RabbitMQ", "PostgreSQL", "Kafka"])
def test_a_paused_service_runs_and_answers_nothing_until_it_is_resumed(services: Services, name: str) -> None:
    service = service_of(services, name)
    service.pause()
    try:
        with pytest.raises(ServiceError, match=f"^{name} at .* does not answer within 1 s: "):
            service.wait_until_ready(1)
        assert service.is_alive()
    finally:
        service.resume()
    service.wait_until_ready()


async def test_rabbitmqctl_makes_a_user_who_may_use_queues_and_not_declare_them(services: Services) -> None:
    services.rabbitmqctl("add_user", "guest-house", "secret")
    services.rabbitmqctl("set_permissions", "-p", "/", "guest-house", "^$", ".*", ".*")
    url = f"amqp://guest-house:secret@{services.rabbitmq.address}/"
    async with await aio_pika.connect(url) as broker:
        channel = await broker.channel()
        with pytest.raises(aio_pika.exceptions.ChannelClosed, match="ACCESS_REFUSED"):
            await channel.declare_queue("mine")


def test_a_failing_command_is_an_error_with_its_reason(services: Services) -> None:
    with pytest.raises(ServiceError, match=r"(?s)rabbitmqctl failed: .*nobody"):
        services.rabbitmqctl("delete_user", "nobody")


def test_a_given_service_is_used_as_it_is_and_is_not_ours_to_stop(services: Services) -> None:
    said: list[str] = []
    with Services(say=said.append, environ=services.environment) as given:
        assert given.environment == services.environment
        for service in given:
            with pytest.raises(ServiceError, match="not ours to stop"):
                service.stop()
    assert said[0] == f"RabbitMQ: {services.rabbitmq.address}, as AMQP_URL says"
    for service in services:
        service.wait_until_ready()


@pytest.mark.parametrize(
    ("variable", "url", "sentence"),
    [
        ("AMQP_URL", "amqp://me:hush@127.0.0.1:{port}/", "RabbitMQ at 127.0.0.1:{port} does not answer within 0 s: "),
        ("DATABASE_URL", "postgres://me:hush@127.0.0.1:{port}/x", "PostgreSQL at 127.0.0.1:{port} does not answer"),
        ("KAFKA_URL", "kafka://127.0.0.1:{port};kafka://127.0.0.1:{port}", "Kafka at 127.0.0.1:{port}, 127.0.0.1:"),
        ("KAFKA_URL", "localhost", "KAFKA_URL is not a URL with a host and a port"),
        ("AMQP_URL", "amqp://me:hush@host:http/", "AMQP_URL is not a URL with a host and a port"),
    ],
)
def test_a_given_service_that_does_not_answer_is_named_without_its_password(
    services: Services, monkeypatch: pytest.MonkeyPatch, variable: str, url: str, sentence: str
) -> None:
    port = free_port()
    monkeypatch.setattr("integration.service.GIVEN_SECONDS", 0.2)
    environ = {**services.environment, variable: url.format(port=port)}
    with pytest.raises(ServiceError) as caught, Services(environ=environ):
        pass
    assert str(caught.value).startswith(sentence.format(port=port))
    assert "hush" not in str(caught.value)


def test_without_an_engine_there_are_processes_unless_only_containers_are_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with (
        pytest.raises(ServiceError, match="asks for containers, but no Docker engine answers"),
        Services(environ={services_module.WAY: "containers"}),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_way_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ServiceError, match="POSTCAST_SERVICES must be containers, processes or unset, and is 'magic'"):
        Services(environ={services_module.WAY: "magic"}).__enter__()


def test_a_container_is_removed_after_it_was_created_though_its_thread_was_interrupted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Ctrl-C may come while the thread that creates containers begins."""
    done: list[str] = []
    begin = threading.Thread.start

    class Container:
        def __init__(self, image: str) -> None:
            self.image = image

        def get_docker_client(self) -> Self:
            return self

        def host(self) -> str:
            return "localhost"

        def with_envs(self, **_: str) -> None:
            pass

        def start(self) -> None:
            time.sleep(0.2)
            done.append("created")

        def stop(self) -> None:
            done.append("removed")

    def interrupted(thread: threading.Thread) -> None:
        begin(thread)
        raise KeyboardInterrupt

    with ThreadPoolExecutor(max_workers=1) as creator:
        monkeypatch.setattr(containers, "DockerContainer", Container)
        monkeypatch.setattr(containers, "creator", creator)
        service = containers.rabbitmq("image")
        with monkeypatch.context() as patched, contextlib.suppress(KeyboardInterrupt):
            patched.setattr(threading.Thread, "start", interrupted)
            service.launch()
        service.close()
    assert done == ["created", "removed"]


def test_the_services_that_are_processes_die_with_us_when_we_are_killed() -> None:
    """RabbitMQ's epmd, which is known for staying behind, included."""
    program = """
import os, psutil, signal
from integration.services import Services
with Services(say=lambda line: None) as services:
    print(services.scratch, *[child.pid for child in psutil.Process().children(recursive=True)], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = {**os.environ, services_module.WAY: "processes"}
    done = subprocess.run([sys.executable, "-c", program], check=False, stdout=subprocess.PIPE, env=environment)
    # Before that it may have said that it installs Debian's packages.
    scratch, *pids = done.stdout.decode("utf-8").splitlines()[-1].split()
    left = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            left.append(psutil.Process(int(pid)))
    _, alive = psutil.wait_procs(left, timeout=20)
    assert len(pids) > 10
    assert alive == []
    subprocess.run(["rm", "-r", scratch], check=True)
