"""A wrong environment ends the worker with one sentence for each variable, and no secret in it."""

from pathlib import Path

import pytest

from streams.settings import Settings, load, load_topics

NOT_ENCODED = (
    "a character of the user or the password is not percent-encoded: / is %2F, ? is %3F, # is %23, @ is %40, % is %25"
)
RIGHT = {
    "AMQP_URL": "amqp://user:queue-secret@broker:5672/",
    "DATABASE_URL": "postgres://postgres:12345678@localhost:5432/postgres?sslmode=disable",
    "KAFKA_URL": "kafka://broker:9092",
}


TOPIC_SENTENCE = (
    "FEED_TOPIC is wrong: must be 1 to 249 letters, digits, dots, underscores or dashes, and more than one or two dots."
)


@pytest.fixture(autouse=True)
def _right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in RIGHT.items():
        monkeypatch.setenv(name, value)


def test_the_replaced_services_values_work_unchanged() -> None:
    settings = load()
    assert settings.amqp_url.get_secret_value() == RIGHT["AMQP_URL"]
    assert settings.queue_name == "created-posts"
    assert settings.database.hosts == (("localhost", 5432),)
    assert settings.database.tls == {"sslmode": "disable"}
    assert settings.window_ms == 5000


def test_the_lookups_statement_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not load().lookup_sql
    (tmp_path / "lookup.sql").write_text("SELECT :ids", "utf-8-sig")
    monkeypatch.setenv("LOOKUP_SQL", str(tmp_path / "lookup.sql"))
    assert load().lookup_sql == "SELECT ($1::bigint[])"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "{} cannot be read: No such file or directory"),
        (b"SELECT 1", "it does not contain :ids"),
        (b"\xff", "{} is not UTF-8"),
    ],
)
def test_a_statement_that_cannot_be_read_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, why: str
) -> None:
    path = tmp_path / "lookup.sql"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("LOOKUP_SQL", str(path))
    with pytest.raises(SystemExit) as ended:
        load()
    assert str(ended.value) == f"LOOKUP_SQL is wrong: {why.format(path)}."


def test_several_hosts_of_rabbitmq_have_a_url_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AMQP_URL", "amqp://u:p@h1:5672,h2:5672/v")
    assert load().amqp_urls == ["amqp://u:p@h1:5672/v", "amqp://u:p@h2:5672/v"]


def test_the_topics_need_neither_rabbitmq_nor_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMQP_URL")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DEAD_TOPIC", "graveyard")
    assert load_topics().dead_topic == "graveyard"
    monkeypatch.delenv("KAFKA_URL")
    with pytest.raises(SystemExit, match=r"^KAFKA_URL is missing"):
        load_topics()


def test_several_brokers_are_joined_by_semicolons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_URL", "kafka://a:9092;kafka://b:9093")
    assert load().kafka_servers == ["a:9092", "b:9093"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AMQP_URL", None, "AMQP_URL is missing; python -m edge --settings says what it is."),
        ("AMQP_URL", "", "AMQP_URL is missing; python -m edge --settings says what it is."),
        (
            "AMQP_URL",
            "http://user:queue-secret@broker",
            "AMQP_URL is wrong: must look like amqp://user:password@host:port/, or amqps://.",
        ),
        (
            "DATABASE_URL",
            "mysql://postgres:12345678@localhost/x",
            "DATABASE_URL is wrong: must look like postgres://user:password@host:port/database.",
        ),
        (
            "DATABASE_URL",
            "postgres://postgres:1234/5678@localhost/x",
            f"DATABASE_URL is wrong: {NOT_ENCODED}.",
        ),
        (
            "KAFKA_URL",
            "broker:9092",
            "KAFKA_URL is wrong: must be kafka://host:port, or several of these with a semicolon between them.",
        ),
        (
            "WINDOW_SECONDS",
            "soon",
            "WINDOW_SECONDS is wrong: input should be a valid number, unable to parse string as a number.",
        ),
        (
            "FEED_TOPIC",
            "posts feed",
            TOPIC_SENTENCE,
        ),
        ("FEED_TOPIC", "..", TOPIC_SENTENCE),
        (
            "FEED_TOPIC",
            "posts.created",
            "CREATED_TOPIC and FEED_TOPIC must be different topics, also with dots for underscores.",
        ),
        (
            "DEAD_TOPIC",
            "posts_created",
            "CREATED_TOPIC and DEAD_TOPIC must be different topics, also with dots for underscores.",
        ),
        (
            "DEAD_TOPIC",
            "posts.feed",
            "FEED_TOPIC and DEAD_TOPIC must be different topics, also with dots for underscores.",
        ),
        ("WINDOW_SECONDS", "inf", "WINDOW_SECONDS is wrong: input should be a finite number."),
        (
            "STATEMENT_TIMEOUT_SECONDS",
            "0.0004",
            "STATEMENT_TIMEOUT_SECONDS is wrong: input should be greater than or equal to 0.1.",
        ),
        ("RETENTION_DAYS", "36501", "RETENTION_DAYS is wrong: input should be less than or equal to 36500."),
        ("DEAD_RETENTION_DAYS", "36501", "DEAD_RETENTION_DAYS is wrong: input should be less than or equal to 36500."),
        ("QUEUE_DECLARE", "always", "QUEUE_DECLARE is wrong: input should be 'auto' or 'never'."),
        (
            "AMQP_URL",
            "amqp://user:queue-secret@broker:5672x/",
            (
                "AMQP_URL is wrong: must look like amqp://user:password@host:port/, or amqps://; a host or a port in it"
                " is not one."
            ),
        ),
    ],
)
def test_a_wrong_value_ends_the_process_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, sentence: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load()
    assert str(ended.value) == sentence


def test_everything_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RIGHT:
        monkeypatch.delenv(name)
    with pytest.raises(SystemExit) as ended:
        load()
    sentences = [f"{name} is missing; python -m edge --settings says what it is." for name in sorted(RIGHT)]
    assert sorted(str(ended.value).splitlines()) == sentences


def test_secrets_do_not_show() -> None:
    shown = repr(load()) + str(load())
    assert "queue-secret" not in shown
    assert "12345678" not in shown
