"""The environment: every wrong value is one sentence that names its variable."""

import pytest

from edge.settings import BadSettings, Settings, load


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Nothing of the machine's own environment is looked at."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("KAFKA_URL", "kafka://a:9092")
    return monkeypatch


def test_all_but_kafka_has_a_default() -> None:
    """The defaults are those of the design."""
    assert load().model_dump() == {
        "kafka_url": ("a:9092",),
        "edge_host": "0.0.0.0",
        "edge_port": 8080,
        "reuse_port": False,
        "feed_topic": "posts.feed",
        "dedup_records": 1000,
        "history_records": 1000,
        "log_bytes": 64 * 1024 * 1024,
        "write_bytes": 64 * 1024,
        "ping_seconds": 20,
        "dead_seconds": 60,
        "stalled_seconds": 600,
        "join_seconds": 5,
        "unready_seconds": 10,
        "drain_seconds": 10,
    }


def test_several_brokers(environment: pytest.MonkeyPatch) -> None:
    """They are separated by semicolons; an IPv6 address keeps its brackets."""
    environment.setenv("KAFKA_URL", "kafka://a:9092; kafka://[::1]:9093")
    assert load().kafka_url == ("a:9092", "[::1]:9093")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("KAFKA_URL", "", "KAFKA_URL is missing; .env.example says what it is."),
        *(
            (
                "KAFKA_URL",
                value,
                "KAFKA_URL is wrong: must be kafka://host:port, or several of these with a semicolon between them.",
            )
            for value in ("a:9092", "kafka://a", "kafka://:9092", "kafka://a:b", "kafka://u:secret@a:1", "kafka://a:1;")
        ),
        ("EDGE_PORT", "http", "EDGE_PORT is wrong: input should be a valid integer"),
        ("EDGE_PORT", "65536", "EDGE_PORT is wrong: input should be less than or equal to 65535."),
        ("LOG_BYTES", "1", "LOG_BYTES is wrong: input should be greater than or equal to 1048576."),
        ("FEED_TOPIC", "a b", "FEED_TOPIC is wrong: string should match pattern"),
        ("DEAD_SECONDS", "20", "DEAD_SECONDS must be more than PING_SECONDS: a client needs time for its pong."),
    ],
)
def test_a_wrong_value_is_one_sentence_without_the_value(
    environment: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    """A value may hold a password, so it is never shown."""
    environment.setenv(variable, value)
    with pytest.raises(BadSettings) as raised:
        load()
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_each_wrong_variable_has_its_own_sentence(environment: pytest.MonkeyPatch) -> None:
    """All of them at once: nobody has to start it five times."""
    environment.delenv("KAFKA_URL")
    environment.setenv("EDGE_PORT", "-1")
    with pytest.raises(BadSettings, match=r"^KAFKA_URL is missing; [^\n]*\.\nEDGE_PORT is wrong: .*\.$"):
        load()
