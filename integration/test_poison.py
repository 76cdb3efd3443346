"""What is not an id, and what is no post: set aside with the reason, and the rest flows on."""

import asyncio
import hashlib
from typing import Final

from integration import topics
from integration.author import author_of
from integration.bench.usage import resident_bytes, serving
from integration.clients import connect
from integration.conftest import Install
from integration.services import Services
from integration.system import System
from streams.contract import DeadLetter

LATE_SECONDS: Final = 6.0
KEPT_BYTES: Final = 64 * 1024
BULK: Final = 300
BULK_BYTES: Final = 64 << 20

POISON: Final = [
    b"",
    b"abc",
    b"1e9",
    b" 12",
    b"12\n",
    b"+5",
    b"1_000",
    "٣".encode(),
    b"-5",
    b"0",
    b"%d" % 2**63,
    b"7" * 1_000_000,
    b"\x00",
    b"1\x002",
    b'{"id":"x"}',
    b'{"id":true}',
    b'{"id":1.0}',
    b'{"id":' + b"[" * 10_000,
    b"{}",
    b"[]",
    b"\xff\xfe",
    b'{"id":1,"text":"\xff"}',
]


async def _letters(system: System, count: int, bodies: set[bytes]) -> list[DeadLetter]:
    """Wait for so many dead letters about these bodies."""
    digests = {hashlib.sha256(body).hexdigest() for body in bodies}
    async with asyncio.timeout(120):
        while True:
            await asyncio.sleep(0.1)
            letters = await topics.dead_letters(system.environment["KAFKA_URL"], system.dead)
            # A mark that a letter is done with has a number for a body, as one poison has.
            written = [letter for letter in letters if letter.reason not in {"requeued", "dismissed"}]
            mine = [letter for letter in written if letter.sha256 in digests]
            if len(mine) >= count:
                return mine


async def test_what_is_not_an_id_is_set_aside_and_the_rest_flows_on(
    shared: System, owner: dict[str, str], services: Services
) -> None:
    """Every poisonous body ends on posts.dead, whole or its beginning; posts before, between and after are shown."""
    async with author_of(shared, owner) as author, await connect(shared.processes[1].websocket) as client:
        good = await author.insert(len(POISON) + 1)
        for id_, body in zip(good, POISON, strict=False):
            await author.announce(id_, body)
        await author.announce(good[-1])
        await client.until_shown(len(good))
        letters = await _letters(shared, len(POISON), set(POISON))

    assert sorted(client.ids) == sorted(good)
    assert {(letter.reason, letter.body, letter.length, letter.sha256) for letter in letters} == {
        ("not_an_id", body[:KEPT_BYTES], len(body), hashlib.sha256(body).hexdigest()) for body in POISON
    }
    assert len(letters) == len(POISON)
    assert [letter for letter in letters if not letter.detail] == []

    def messages() -> str:
        lines = services.rabbitmqctl("--silent", "list_queues", "name", "messages").splitlines()
        return dict(line.split("\t") for line in lines)[shared.queue]

    # What is ready and what is not acknowledged, counted together.
    await asyncio.to_thread(shared.processes[0].until, lambda: messages() == "0", "acknowledges all")


async def test_poison_in_bulk_costs_a_worker_little_while_kafka_is_away(
    install: Install, owner: dict[str, str], services: Services
) -> None:
    """Of each body no more than its beginning is kept; all of them are set aside once Kafka is back."""
    system = install()
    worker = system.worker()
    await asyncio.to_thread(worker.until_ready)
    bodies = [b"%d: " % number + b"x" * (1 << 20) for number in range(BULK)]
    async with author_of(system, owner) as author:
        # The code for dead letters is loaded and run once, and its memory counted as the process's own.
        await author.announce(b"poison")
        await _letters(system, 1, {b"poison"})
        process = serving(worker.port)
        before = resident_bytes(process)
        await asyncio.to_thread(services.kafka.pause)
        try:
            await author.announce(*bodies)
            await asyncio.to_thread(worker.until, lambda: "Kafka" in worker.ask("/readyz")[1], "waits for Kafka")
            await asyncio.to_thread(
                worker.until, lambda: worker.metric("postcast_unacknowledged") == BULK, "has taken all of them"
            )
            grown = resident_bytes(process) - before
        finally:
            await asyncio.to_thread(services.kafka.resume)
        assert grown < BULK_BYTES
        letters = await _letters(system, BULK, set(bodies))
    assert {(letter.length, len(letter.body)) for letter in letters} == {(len(body), KEPT_BYTES) for body in bodies}
    [first, *_] = worker.events("letters.dead")
    assert first["reason"] == "not_an_id"


async def test_a_json_object_with_an_integer_id_is_an_announcement(shared: System, owner: dict[str, str]) -> None:
    """Whatever else it holds, and as large as an id may be."""
    async with author_of(shared, owner) as author, await connect(shared.processes[1].websocket) as client:
        one, other = await author.insert(2)
        await author.announce(b'{"id":%d}' % one)
        await client.until_shown(1)
        await author.announce(b' {"id":1}'.lstrip()[:-1].replace(b"1", b"%d" % other) + b',"more":["\xc3\xa9"]}')
        await client.until_shown(2)
        assert client.ids == [one, other]


async def test_a_post_that_does_not_exist_is_looked_up_three_times_and_set_aside(
    shared: System, owner: dict[str, str]
) -> None:
    """Its retries stand on posts.created with their attempts; the posts of its window do not wait for it."""
    async with author_of(shared, owner) as author, await connect(shared.processes[1].websocket) as client:
        missing, largest = *await author.reserve(), 2**63 - 1
        [beside] = await author.insert(1)
        await author.announce(missing, beside, largest)
        await client.until_shown(1)
        letters = await _letters(shared, 2, {b"%d" % missing, b"%d" % largest})
        created = await topics.created_records(shared.environment["KAFKA_URL"], shared.created)
        assert client.ids == [beside]
    assert {(letter.reason, letter.body) for letter in letters} == {
        ("missing", b"%d" % missing),
        ("missing", b"%d" % largest),
    }
    assert [record.attempt for record in created if missing in record.ids] == [0, 1, 2]
    assert [record.attempt for record in created if largest in record.ids] == [0, 1, 2]


async def test_a_row_that_comes_between_two_lookups_is_shown(install: Install, owner: dict[str, str]) -> None:
    """An announcement may overtake its transaction; others are shown meanwhile.

    There are more lookups than the usual three: a busy machine may take longer than two windows to insert the row.
    """
    system = install(MAX_ATTEMPTS=100)
    kafka_url = system.environment["KAFKA_URL"]
    worker, edge = system.worker(), system.edge()
    await asyncio.to_thread(worker.until_ready)
    await asyncio.to_thread(edge.until_ready)
    async with author_of(system, owner) as author, await connect(edge.websocket) as client:
        [late] = await author.reserve()
        others = await author.insert(3)
        await author.announce(late, *others)
        await client.until_shown(3)
        assert sorted(client.ids) == others
        async with asyncio.timeout(30):
            while late not in {
                post for r in await topics.created_records(kafka_url, system.created) if r.attempt for post in r.ids
            }:
                pass
        await author.insert_as(late)
        await client.until_shown(4)
        assert client.ids[3:] == [late]


async def test_a_row_that_comes_six_seconds_late_is_shown_also_when_nothing_else_arrives(
    install: Install, owner: dict[str, str]
) -> None:
    """With windows of the usual 5 s, and with nothing in any of them but its own retries."""
    system = install(WINDOW_SECONDS=5, MAX_ATTEMPTS=20)
    worker, edge = system.worker(), system.edge()
    async with author_of(system, owner) as author:
        await asyncio.to_thread(worker.until_ready)
        await asyncio.to_thread(edge.until_ready)
        async with await connect(edge.websocket) as client:
            [late] = await author.reserve()
            await author.announce(late)
            await asyncio.sleep(LATE_SECONDS)  # this is how late it is, and not a wait for anything
            await author.insert_as(late)
            await client.until_shown(1)
            assert client.posts == await author.expected([late])
