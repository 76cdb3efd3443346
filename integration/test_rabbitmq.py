"""RabbitMQ as the bridge meets it: every kind of queue, several hosts, TLS, and what operators see of a connection.

The bridge's side of the connection runs in the test itself; the worker as a whole is tested in ``test_queue``.
"""

import asyncio
import base64
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import aio_pika
import pytest
import trustme

from integration.faults.proxy import Proxy
from integration.ports import free_port
from integration.services import Services
from streams.contract import DeadLetter, PostId
from streams.deliveries import Acknowledgement
from streams.rabbit import GRACE_SECONDS, RabbitMQ
from streams.settings import Settings
from streams.subscription import Lost, Subscription

_PATIENCE_SECONDS: Final = 10.0
_SILENCE_SECONDS: Final = 1.0
"""In how long something would have come that is not to come."""


class Bench:
    """The bridge's RabbitMQ for a queue of its own; ``now`` is its clock."""

    def __init__(self, url: str, **variables: object) -> None:
        self.now = 0.0
        self.delivered: list[tuple[int, PostId | DeadLetter]] = []
        given = {"amqp_url": url, "queue_name": f"queue-{secrets.token_hex(4)}", **variables}
        settings = Settings.model_validate({"database_url": "postgres://h/db", "kafka_url": "kafka://h", **given})
        self.queue, self.app_id = settings.queue_name, settings.app_id
        self._rabbitmq = RabbitMQ(settings, lambda: self.now)

    @asynccontextmanager
    async def subscribed(self) -> AsyncIterator[Subscription]:
        async with self._rabbitmq.subscribed(lambda *delivery: self.delivered.append(delivery)) as subscription:
            yield subscription

    async def why_not(self) -> str:
        """Return why it cannot subscribe."""
        with pytest.raises(Lost) as lost:
            async with self.subscribed():
                pass
        return str(lost.value)

    async def until_delivered(self, count: int) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while len(self.delivered) < count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def channel(url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    async with await aio_pika.connect(url) as connection:
        yield await connection.channel()


async def publish(channel: aio_pika.abc.AbstractChannel, queue: str, *bodies: bytes) -> None:
    for body in bodies:
        await channel.default_exchange.publish(aio_pika.Message(body), queue)


def ack(tag: int, *, multiple: bool = False) -> Acknowledgement:
    return Acknowledgement(tag, multiple)


@pytest.fixture
def url(services: Services) -> str:
    return services.rabbitmq.url


@pytest.mark.parametrize("arguments", [{}, {"x-queue-type": "quorum"}], ids=["classic", "quorum"])
async def test_deliveries_are_judged_and_acknowledged_alone_or_with_all_before_them(
    url: str, arguments: dict[str, Any]
) -> None:
    """What was not acknowledged is delivered again to the next subscription."""
    bench = Bench(url)
    async with channel(url) as producer:
        await producer.declare_queue(bench.queue, durable=True, arguments=arguments)
        await publish(producer, bench.queue, b"11", b"poison", b"13", b"14", b"15")
        async with bench.subscribed() as subscription:
            await bench.until_delivered(5)
            assert [tag for tag, _ in bench.delivered] == [1, 2, 3, 4, 5]
            poison = bench.delivered[1][1]
            assert isinstance(poison, DeadLetter)
            assert (poison.reason, poison.body) == ("not_an_id", b"poison")
            for acknowledgement in (ack(2), ack(3, multiple=True), ack(5)):
                await subscription.acknowledge(acknowledgement)
            await publish(producer, bench.queue, b"16")
            await bench.until_delivered(6)
        bench.delivered.clear()
        async with bench.subscribed() as subscription:
            await bench.until_delivered(2)
            assert sorted(str(what) for _, what in bench.delivered) == ["14", "16"]
            await subscription.acknowledge(ack(2, multiple=True))
            assert (await subscription.depth()).consumers == 1


async def test_a_tag_that_is_acknowledged_twice_ends_the_subscription(url: str) -> None:
    """So the order of the acknowledgements matters."""
    bench = Bench(url)
    async with bench.subscribed() as subscription, channel(url) as producer:
        await publish(producer, bench.queue, b"11", b"12")
        await bench.until_delivered(2)
        await subscription.acknowledge(ack(2, multiple=True))
        await subscription.acknowledge(ack(1))
        async with asyncio.timeout(_PATIENCE_SECONDS):
            assert "unknown delivery tag 1" in str(await subscription.ended)
        with pytest.raises(Lost):
            await subscription.acknowledge(ack(2))


async def test_a_body_of_many_frames_is_cut_on_its_way(url: str) -> None:
    bench = Bench(url)
    body = secrets.token_bytes(1_000_000) * 5
    async with bench.subscribed(), channel(url) as producer:
        await publish(producer, bench.queue, b"11", body, b"12")
        await bench.until_delivered(3)
    letter = bench.delivered[1][1]
    assert isinstance(letter, DeadLetter)
    assert (letter.length, letter.body) == (5_000_000, body[: 64 * 1024])
    assert [what for _, what in bench.delivered[::2]] == [11, 12]


async def test_a_stream_is_refused_with_a_sentence(url: str) -> None:
    """Before anything of it counts as delivered."""
    bench = Bench(url)
    async with channel(url) as producer:
        await producer.declare_queue(bench.queue, durable=True, arguments={"x-queue-type": "stream"})
        async with bench.subscribed() as subscription:
            await publish(producer, bench.queue, b"11")
            async with asyncio.timeout(_PATIENCE_SECONDS):
                assert str(await subscription.ended).startswith("the queue is a stream")
        assert bench.delivered == []


async def test_a_consumer_that_stands_by_knows_of_the_active_one_and_takes_over(url: str) -> None:
    """Registered anew it goes on standing by: nothing is delivered to two consumers."""
    active = Bench(url, prefetch=1)
    standby = Bench(url, queue_name=active.queue)
    async with channel(url) as producer:
        await producer.declare_queue(active.queue, arguments={"x-single-active-consumer": True})
        async with AsyncExitStack() as until_it_leaves:
            first = await until_it_leaves.enter_async_context(active.subscribed())
            async with standby.subscribed() as second:
                await publish(producer, active.queue, b"11", b"12", b"13")
                await active.until_delivered(1)
                depth = await second.depth()
                assert (depth.messages, depth.consumers) == (2, 2)
                await second.renew()
                await asyncio.sleep(_SILENCE_SECONDS)
                assert (active.delivered, standby.delivered) == ([(1, 11)], [])
                await first.acknowledge(ack(1))
                await active.until_delivered(2)
                await until_it_leaves.aclose()
                await standby.until_delivered(2)
                assert [what for _, what in standby.delivered] == [12, 13]


async def test_a_missing_queue_is_declared_as_the_producer_does(url: str, services: Services) -> None:
    bench = Bench(url)
    async with bench.subscribed():
        lines = await asyncio.to_thread(services.rabbitmqctl, "--silent", "list_queues", "name", "durable")
        assert f"{bench.queue}\tfalse" in lines.splitlines()


async def test_a_missing_queue_is_not_declared_where_that_is_forbidden(url: str) -> None:
    bench = Bench(url, queue_declare="never")
    assert await bench.why_not() == f"queue {bench.queue!r} does not exist, and QUEUE_DECLARE is never: declare it"
    async with channel(url) as producer:
        await producer.declare_queue(bench.queue, durable=True)
        async with bench.subscribed():
            await publish(producer, bench.queue, b"11")
            await bench.until_delivered(1)


async def test_a_queue_that_is_deleted_is_left_undeclared_for_a_while(url: str) -> None:
    """So that a producer can delete it and declare it durable; nobody does here, and then the bridge does."""
    bench = Bench(url)
    async with channel(url) as producer:
        async with bench.subscribed() as subscription:
            await producer.queue_delete(bench.queue)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                assert "the queue was deleted" in str(await subscription.ended)
        bench.now += GRACE_SECONDS - 1
        assert "was deleted: it is declared again after 5 s" in await bench.why_not()
        bench.now += 1
        async with bench.subscribed() as subscription:
            await producer.queue_delete(bench.queue)
            await subscription.ended
        await producer.declare_queue(bench.queue, durable=True)
        async with bench.subscribed():
            await publish(producer, bench.queue, b"11")
            await bench.until_delivered(1)


async def test_a_consumer_whose_quorum_queue_was_declared_anew_at_once_goes_on_on_a_new_channel(url: str) -> None:
    """RabbitMQ does not always say that it was deleted, and then holds what it takes for delivered."""
    bench = Bench(url)
    arguments: dict[str, Any] = {"x-queue-type": "quorum"}
    async with channel(url) as producer:
        await producer.declare_queue(bench.queue, durable=True, arguments=arguments)
        async with bench.subscribed() as subscription:
            await publish(producer, bench.queue, b"11")
            await bench.until_delivered(1)
            await subscription.acknowledge(ack(1))
            await producer.queue_delete(bench.queue)
            await producer.declare_queue(bench.queue, durable=True, arguments=arguments)
            await publish(producer, bench.queue, b"12")
            if not subscription.ended.done():
                await subscription.cancel()
                await subscription.renew()
                await bench.until_delivered(2)
                assert bench.delivered[1] == (1, 12)
                await subscription.acknowledge(ack(1))
                assert not subscription.ended.done()


async def test_operators_see_whose_connection_it_is_and_the_urls_heartbeat_counts(url: str, services: Services) -> None:
    bench = Bench(f"{url}?heartbeat=17", app_id=f"app-{secrets.token_hex(4)}")
    other = Bench(url, app_id=f"app-{secrets.token_hex(4)}")
    async with bench.subscribed(), other.subscribed():
        lines = await asyncio.to_thread(
            services.rabbitmqctl, "--silent", "list_connections", "client_properties", "timeout"
        )
    timeouts = {
        name: line.rpartition("\t")[2]
        for line in lines.splitlines()
        for name in (bench.app_id, other.app_id)
        if name in line
    }
    assert timeouts == {bench.app_id: "17", other.app_id: "10"}


@contextmanager
def silent_port() -> Iterator[int]:
    """Have a port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_what_is_asked_on_a_connection_that_falls_silent_ends_as_on_one_that_is_lost(url: str) -> None:
    """Without heartbeats aiormq cancels what waits, which must not pass for a cancellation of the bridge."""
    there = urlsplit(url)
    proxy = Proxy(free_port(), (there.hostname or "", there.port or 0))
    netloc = there.netloc.rpartition("@")[0] + f"@127.0.0.1:{proxy.port}"
    bench = Bench(there._replace(netloc=netloc, query="heartbeat=1").geturl())
    await proxy.start()
    try:
        async with asyncio.timeout(3 * _PATIENCE_SECONDS), bench.subscribed() as subscription:
            assert (await subscription.depth()).messages == 0
            proxy.stall()
            with pytest.raises(Lost, match="given up"):
                await subscription.depth()
    finally:
        await proxy.close()


async def test_hosts_are_tried_in_turn_each_with_a_limit_of_its_own(url: str) -> None:
    host = urlsplit(url).netloc.rpartition("@")[2]
    with silent_port() as silent:
        refusing = free_port()
        bench = Bench(url.replace(host, f"127.0.0.1:{refusing},127.0.0.1:{silent},{host}"))
        begun = time.monotonic()
        async with bench.subscribed() as subscription:
            assert (await subscription.depth()).consumers == 1
        assert time.monotonic() - begun < _PATIENCE_SECONDS
        nobody = Bench(url.replace(host, f"127.0.0.1:{refusing},127.0.0.1:{silent}"))
        why = await nobody.why_not()
    assert f"127.0.0.1:{refusing}: " in why
    assert f"127.0.0.1:{silent} does not answer" in why


class Authority:
    """A certificate authority, and a listener of RabbitMQ's whose certificate it has signed."""

    def __init__(self, services: Services, folder: Path) -> None:
        authority = trustme.CA()
        server = authority.issue_cert("127.0.0.1")
        self.file = folder / "ca.pem"
        authority.cert_pem.write_to_path(self.file)
        self.stranger = folder / "stranger.pem"
        trustme.CA().cert_pem.write_to_path(self.stranger)
        assert services.rabbitmq.tls_ports is not None
        outside, inside = services.rabbitmq.tls_ports
        client = authority.issue_cert("client.example", common_name="postcast-client")
        self.client = folder / "client.pem"
        client.private_key_and_cert_chain_pem.write_to_path(self.client)
        pems = (server.cert_chain_pems[0], server.private_key_pem, authority.cert_pem)
        services.rabbitmqctl("eval", _LISTEN % (*map(_pem, pems), inside))
        plain = urlsplit(services.rabbitmq.url)
        self.url = plain._replace(
            scheme="amqps", netloc=f"{plain.username}:{plain.password}@127.0.0.1:{outside}"
        ).geturl()


def _pem(blob: trustme.Blob) -> str:
    return base64.b64encode(blob.bytes()).decode("ascii")


_LISTEN: Final = """
[{_, Certificate, _}] = public_key:pem_decode(base64:decode("%s")),
[{Kind, Key, _}] = public_key:pem_decode(base64:decode("%s")),
[{_, Authority, _}] = public_key:pem_decode(base64:decode("%s")),
{ok, _} = application:ensure_all_started(ssl),
Options = [{cert, Certificate}, {key, {Kind, Key}}, {cacerts, [Authority]}, {verify, verify_peer}],
rabbit_networking:start_ssl_listener(%d, Options, 1).
"""


@pytest.fixture(scope="module")
def authority(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(services, tmp_path_factory.mktemp("tls"))


async def test_a_certificate_is_checked_against_an_authority_of_ones_own(authority: Authority) -> None:
    bench = Bench(f"{authority.url}?cafile={authority.file}")
    async with bench.subscribed() as subscription:
        assert (await subscription.depth()).consumers == 1
    for query in ("", f"?cafile={authority.stranger}"):
        assert "certificate verify failed" in await Bench(authority.url + query).why_not()
    assert "a file that AMQP_URL names" in await Bench(f"{authority.url}?cafile=/nowhere").why_not()


async def test_a_certificate_of_its_own_is_shown(authority: Authority, services: Services) -> None:
    """RabbitMQ asks for one and takes connections without one, too."""
    query = f"?cafile={authority.file}&certfile={authority.client}&keyfile={authority.client}"
    async with Bench(authority.url + query).subscribed():
        lines = await asyncio.to_thread(services.rabbitmqctl, "--silent", "list_connections", "peer_cert_subject")
    assert "postcast-client" in lines


async def test_a_certificate_is_checked_against_the_systems_authorities(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL is told here where the system has them."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with Bench(authority.url).subscribed() as subscription:
        assert (await subscription.depth()).consumers == 1
