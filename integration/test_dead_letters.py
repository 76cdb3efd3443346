"""``python -m streams dead`` against a real Kafka: a process that knows Kafka's settings and nothing else."""

import asyncio
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NamedTuple

import pytest

from integration.author import author_of
from integration.clients import connect
from integration.ports import free_port
from integration.services import Services
from integration.system import System
from integration.topics import create, created_records, dead_letters, exists, raw_records, write
from streams.contract import DeadLetter, dead_letter, encode_dead

_UNREACHABLE_SECONDS: Final = 30.0
"""Within 10 s the command knows that Kafka does not answer; a busy machine takes a while to start and end it."""
_LARGE_LETTERS: Final = 1_200
_PEAK_BYTES: Final = 110 * 1024 * 1024
"""What the command may take at most: it takes 75 MiB for any number of letters, and these have 75 MiB of bodies."""


class Done(NamedTuple):
    """How a run of the command ended."""

    code: int
    shown: list[str]
    said: str
    peak_bytes: int
    seconds: float


def run(environment: dict[str, str], *arguments: str) -> Done:
    """Run the command with these variables alone."""
    began = time.monotonic()
    peak = 0
    with (
        TemporaryFile("w+") as shown,
        TemporaryFile("w+") as said,
        subprocess.Popen(
            [sys.executable, "-m", "streams", "dead", *arguments],
            env={"PATH": os.environ["PATH"], **environment},
            stdout=shown,
            stderr=said,
        ) as process,
    ):
        # Not the resource usage that the kernel reports at the end: that includes ours when the process began.
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            if found := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text("ascii"), re.MULTILINE):
                peak = max(peak, int(found[1]) * 1024)
            time.sleep(0.01)
        shown.seek(0)
        said.seek(0)
        return Done(process.returncode, shown.read().splitlines(), said.read().strip(), peak, time.monotonic() - began)


class Installation(NamedTuple):
    """Topics of one test."""

    kafka_url: str
    created: str
    dead: str

    async def run(self, *arguments: str) -> Done:
        variables = {"KAFKA_URL": self.kafka_url, "CREATED_TOPIC": self.created, "DEAD_TOPIC": self.dead}
        variables["FEED_TOPIC"] = self.created.replace("created", "feed")
        return await asyncio.to_thread(run, variables, *arguments)

    async def write(self, letters: Sequence[DeadLetter], partition: int = 0) -> None:
        await write(self.kafka_url, self.dead, map(encode_dead, letters), partition)

    async def announced(self) -> list[int]:
        records = await created_records(self.kafka_url, self.created)
        return sorted(post for record in records for post in record.ids)

    async def marks(self) -> list[tuple[str, bytes]]:
        letters = await dead_letters(self.kafka_url, self.dead)
        return [(each.reason, each.body) for each in letters if each.reason in {"requeued", "dismissed"}]


@pytest.fixture
def installation(services: Services) -> Installation:
    mark = secrets.token_hex(4)
    return Installation(services.kafka.url, f"created.{mark}", f"dead.{mark}")


def missing(*posts: int) -> list[DeadLetter]:
    return [dead_letter("missing", "not in the database at 3 lookups", b"%d" % post) for post in posts]


async def test_looking_creates_no_topic(installation: Installation) -> None:
    for command in ("list", "requeue", "dismiss"):
        done = await installation.run(command)
        assert (done.code, done.shown) == (0, [])
        assert done.said == f"no letters yet: there is no topic {installation.dead}, or this user may not see it"
    assert not await exists(installation.kafka_url, installation.dead)
    assert not await exists(installation.kafka_url, installation.created)


@pytest.mark.parametrize("partitions", [1, 3])
async def test_an_empty_topic_has_no_letters(installation: Installation, partitions: int) -> None:
    await create(installation.kafka_url, {installation.dead: partitions})
    done = await installation.run("list")
    assert (done.code, done.shown, done.said) == (0, [], "0 letters")


async def test_letters_of_every_partition_are_listed_and_requeued_once(installation: Installation) -> None:
    await create(installation.kafka_url, {installation.dead: 3})
    await installation.write(missing(1, 2), 0)
    await installation.write([*missing(3), dead_letter("not_an_id", "poison", b"abc")], 1)
    await installation.write([dead_letter("bad_record", "from an older reader", b'{"ids":[4,5,6]}')], 2)

    listed = await installation.run("list")
    assert (listed.code, listed.said) == (0, "5 letters")
    assert [line.split()[0] for line in listed.shown] == ["0", "1", "1:0", "1:1", "2:0"]

    requeued = await installation.run("requeue")
    assert (requeued.code, requeued.said) == (3, "4 requeued, 1 not")
    assert [line.split()[0] for line in requeued.shown] == ["1:1"]
    assert await installation.announced() == [1, 2, 3, 4, 5, 6]
    assert await installation.marks() == [("requeued", place) for place in (b"0", b"1", b"1:0", b"2:0")]

    again = await installation.run("requeue", "--reason", "missing")
    assert (again.code, again.said) == (0, "0 requeued, 0 not")
    assert await installation.announced() == [1, 2, 3, 4, 5, 6]

    assert (await installation.run("dismiss")).said == "1 dismissed, 0 not"
    assert (await installation.run("list")).said == "0 letters"


async def test_conditions_choose_and_a_dry_run_changes_nothing(installation: Installation) -> None:
    await create(installation.kafka_url, {installation.dead: 3})
    await installation.write(missing(1, 2, 3), 0)
    await installation.write(missing(4, 5), 2)

    async def places(*arguments: str) -> list[tuple[int, int]]:
        shown = (await installation.run("list", "--json", *arguments)).shown
        return [(each["partition"], each["offset"]) for each in map(json.loads, shown)]

    assert await places("--id", "2", "--id", "5") == [(0, 1), (2, 1)]
    assert await places("--offset", "0", "--offset", "2:1") == [(0, 0), (2, 1)]
    assert await places("--since", "1h", "--limit", "2") == [(0, 0), (0, 1)]
    assert await places("--since", "2999-01-01") == []
    dry = await installation.run("requeue", "--dry-run", "--json", "--id", "2")
    assert [json.loads(line)["outcome"] for line in dry.shown] == ["requeued"]
    assert dry.said == "1 would be requeued, 0 not"
    assert not await exists(installation.kafka_url, installation.created)
    assert await installation.marks() == []


async def test_records_of_strangers_are_sentences(installation: Installation) -> None:
    await create(installation.kafka_url, {installation.dead: 1})
    by_hand = encode_dead(dead_letter("requeued", "by hand", b"all of it"))
    await write(installation.kafka_url, installation.dead, [b"", b"\xff\xfe", by_hand])
    done = await installation.run("requeue")
    assert (done.code, done.said) == (3, "0 requeued, 3 not")
    assert all(line.endswith("not requeued: it is no dead letter of Postcast") for line in done.shown)
    assert (await installation.run("dismiss")).said == "3 dismissed, 0 not"


async def test_letters_are_not_held_in_memory(installation: Installation) -> None:
    await create(installation.kafka_url, {installation.dead: 1})
    await installation.write([dead_letter("not_an_id", "", secrets.token_bytes(65_536)) for _ in range(_LARGE_LETTERS)])
    done = await installation.run("dismiss", "--json")
    assert done.said.splitlines()[-1] == f"{_LARGE_LETTERS} dismissed, 0 not"
    assert len(await raw_records(installation.kafka_url, installation.dead)) == 2 * _LARGE_LETTERS
    assert 0 < done.peak_bytes < _PEAK_BYTES


async def test_a_kafka_that_is_away_is_a_sentence_within_seconds(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for port in (free_port(), silent.getsockname()[1]):
            away = installation._replace(kafka_url=f"kafka://127.0.0.1:{port}")
            done = await away.run("list")
            assert (done.code, done.shown) == (1, [])
            assert done.said == f"postcast: Kafka at {away.kafka_url} cannot be read: no broker answers"
            assert done.seconds < _UNREACHABLE_SECONDS


async def test_a_kafka_that_stops_answering_is_a_sentence(services: Services, installation: Installation) -> None:
    await asyncio.to_thread(services.kafka.pause)
    try:
        done = await installation.run("list")
    finally:
        await asyncio.to_thread(services.kafka.resume)
    assert done.code == 1
    assert done.said.startswith(f"postcast: Kafka at {installation.kafka_url} cannot be read: ")
    assert done.seconds < _UNREACHABLE_SECONDS


async def test_a_reader_that_has_seen_enough_is_no_traceback(installation: Installation) -> None:
    await create(installation.kafka_url, {installation.dead: 1})
    await installation.write([dead_letter("not_an_id", "", bytes(60_000)) for _ in range(10)])
    reading, writing = os.pipe()
    os.close(reading)
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "streams", "dead", "list", "--json"],
        env={"PATH": os.environ["PATH"], "KAFKA_URL": installation.kafka_url, "DEAD_TOPIC": installation.dead},
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


async def test_a_post_given_up_is_shown_after_it_was_requeued(shared: System, owner: dict[str, str]) -> None:
    async with author_of(shared, owner) as author, await connect(shared.processes[1].websocket) as client:
        [post] = await author.reserve()
        await author.announce(post)

        async def outstanding() -> list[str]:
            done = await asyncio.to_thread(run, shared.environment, "list", "--reason", "missing", "--id", str(post))
            return done.shown

        async with asyncio.timeout(120):
            while not (lines := await outstanding()):
                await asyncio.sleep(0.2)
        assert len(lines) == 1
        assert "not in the database at 3 lookups" in lines[0]

        await author.insert_as(post)
        done = await asyncio.to_thread(run, shared.environment, "requeue", "--id", str(post))
        assert (done.code, done.said) == (0, "1 requeued, 0 not")
        await client.until(lambda: post in client.ids, "the post that was requeued")
        assert client.ids.count(post) == 1
        assert await outstanding() == []
