"""The environment: the replaced service's values work, wrong ones end a process with a sentence, none is told on."""

import asyncio
import re
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest

from integration import topics
from integration.author import author_of
from integration.clients import connect
from integration.conftest import WRONG_SECRET, Install
from integration.system import System
from integration.topics import Placed

GOLDEN: Final = Path(__file__).parent.parent / "tests" / "golden"
FORMS: Final = {
    "as the replaced service has it": ("postgres", "sslmode=disable"),
    "as SQLAlchemy has it": ("postgresql", ""),
    "with parameters of libpq": ("postgresql", "application_name=postcast&connect_timeout=5&sslmode=prefer"),
}


async def _make_golden_post(system: System, owner: dict[str, str]) -> None:
    async with author_of(system, owner) as author, author.database() as database, database.transaction():
        await database.execute("INSERT INTO users VALUES (456, 'username', '') ON CONFLICT DO NOTHING")
        await database.execute(
            "INSERT INTO posts VALUES (123, 'Post content', $1, 456) ON CONFLICT DO NOTHING",
            datetime(2024, 1, 1),
        )
        await database.execute(
            "INSERT INTO image_key (key, post_id) VALUES ('url1', 123), ('url2', 123) ON CONFLICT DO NOTHING"
        )


async def test_in_each_form_of_the_database_url_the_golden_post_is_shown_byte_for_byte(
    install: Install, owner: dict[str, str], product: dict[str, str]
) -> None:
    """What a client receives and what the feed holds are the golden files, but for the window's start."""
    systems = []
    for scheme, query in FORMS.values():
        url = urlunsplit(urlsplit(product["DATABASE_URL"])._replace(scheme=scheme, query=query))
        systems.append(install(DATABASE_URL=url, IMAGE_BASE_URL=""))
    await _make_golden_post(systems[0], owner)
    for system in systems:
        system.worker()
        system.edge()
    for system in systems:
        for process in system.processes:
            await asyncio.to_thread(process.until_ready)
        async with (
            author_of(system, owner) as author,
            await connect(system.processes[1].websocket, library="aiohttp") as client,
        ):
            await author.announce(123)
            await client.until_shown(1)
            assert client.raw == [(GOLDEN / "client_message.json").read_text()]
        [record] = await topics.raw_records(system.environment["KAFKA_URL"], system.feed)
        golden = (GOLDEN / "feed_record.json").read_bytes()
        assert re.sub(rb'"window":\d+000,', b'"window":1704067200000,', record) == golden


@pytest.fixture
def nobody() -> Iterator[socket.socket]:
    """Listen where nobody may connect."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


Case = tuple[str, str, Mapping[str, str | None]]

WRONG: Final[list[Case]] = [
    ("worker", "AMQP_URL", {"AMQP_URL": None}),
    ("worker", "DATABASE_URL", {"DATABASE_URL": None}),
    ("worker", "KAFKA_URL", {"KAFKA_URL": None}),
    ("worker", "AMQP_URL", {"AMQP_URL": f"http://postcast:{WRONG_SECRET}@127.0.0.1/"}),
    ("worker", "DATABASE_URL", {"DATABASE_URL": f"mysql://postcast:{WRONG_SECRET}@127.0.0.1/postgres"}),
    ("worker", "DATABASE_URL", {"DATABASE_URL": f"postgres://postcast:se/{WRONG_SECRET}@127.0.0.1/postgres"}),
    ("worker", "DATABASE_URL", {"DATABASE_URL": f"postgres://postcast:{WRONG_SECRET}@127.0.0.1:5432x/postgres"}),
    ("worker", "LOOKUP_SQL", {"LOOKUP_SQL": "/nowhere/lookup.sql"}),
    ("worker", "KAFKA_URL", {"KAFKA_URL": f"postcast:{WRONG_SECRET}@127.0.0.1"}),
    ("worker", "WINDOW_SECONDS", {"WINDOW_SECONDS": "never"}),
    ("edge", "KAFKA_URL", {"KAFKA_URL": None}),
    ("edge", "KAFKA_URL", {"KAFKA_URL": f"kafka://postcast:{WRONG_SECRET}@127.0.0.1:9092"}),
    ("edge", "EDGE_PORT", {"EDGE_PORT": "http"}),
]


def test_a_wrong_or_missing_setting_ends_the_process_before_it_connects_to_anything(
    install: Install, nobody: socket.socket
) -> None:
    """With exit code 1 and one sentence, which names the variable and does not repeat what it holds."""
    host = f"127.0.0.1:{nobody.getsockname()[1]}"
    system = install(
        AMQP_URL=f"amqp://{host}/", DATABASE_URL=f"postgres://{host}/postgres", KAFKA_URL=f"kafka://{host}"
    )
    processes = [
        system.worker(**variables) if kind == "worker" else system.edge(**variables) for kind, _, variables in WRONG
    ]
    for process, (_, name, _) in zip(processes, WRONG, strict=True):
        assert process.until_ended(patience=60) == 1
        said = process.log.read_text()
        assert re.fullmatch(r"[^\n]+\.\n", said), said
        assert re.search(rf"\b{name}\b", said), said
        assert WRONG_SECRET not in said
    with pytest.raises(BlockingIOError):
        nobody.accept()


def test_what_the_database_refuses_for_good_ends_the_worker_with_a_sentence(
    install: Install, product: dict[str, str], tmp_path: Path
) -> None:
    """A setting of the session that the server does not take, and a statement whose columns are not those we read."""
    (tmp_path / "lookup.sql").write_text("SELECT id, description AS payload FROM posts WHERE id = ANY(:ids)")
    url = urlsplit(product["DATABASE_URL"])
    system = install()
    place = f"{url.hostname}:{url.port}"
    wrong = {
        f'DATABASE_URL cannot work: {place}: invalid value for parameter "TimeZone": "typo".': system.worker(
            DATABASE_URL=urlunsplit(url._replace(query=f"{url.query}&TimeZone=typo"))
        ),
        "LOOKUP_SQL is wrong: its column payload is varchar, and must be json or jsonb.": system.worker(
            LOOKUP_SQL=tmp_path / "lookup.sql"
        ),
    }
    for sentence, worker in wrong.items():
        assert worker.until_ended(patience=60) == 1
        assert sentence in worker.log.read_text().splitlines()


async def test_wrong_passwords_are_waited_out_and_never_told(install: Install, product: dict[str, str]) -> None:
    """They may be put right on the other side; /readyz and the log say what is refused, and not with what."""
    wrong = {name: re.sub(r":[^:/]*@", f":{WRONG_SECRET}@", product[name]) for name in ("AMQP_URL", "DATABASE_URL")}
    system = install(**wrong)
    kafka_url = system.environment["KAFKA_URL"]
    await topics.create(kafka_url, {system.created: 8, system.feed: 1, system.dead: 1})
    await topics.place(kafka_url, system.created, [Placed(0, 0, 1)])
    worker = system.worker()

    def complains() -> bool:
        status, text = worker.ask("/readyz")
        parts = {line.partition(":")[0] for line in text.splitlines()}
        return status == 503 and parts == {"bridge", "look up"}

    await asyncio.to_thread(worker.until, complains, "waits for RabbitMQ and for PostgreSQL")
    _, said = worker.ask("/readyz")
    for text in (said, worker.log.read_text(), worker.ask("/metrics")[1]):
        assert WRONG_SECRET not in text
        assert "Traceback" not in text
