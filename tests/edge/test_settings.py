"""The environment: every wrong value is one sentence that names its variable."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from pydantic import SecretStr

from edge.gates import gates
from edge.settings import Settings, load
from edge.wire.allowance import Allowance
from runtime.settings import BadSettings
from tests.edge.kit.environment import forget


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    forget(monkeypatch, Settings, tmp_path)
    monkeypatch.setenv("KAFKA_URL", "kafka://a:9092")
    return monkeypatch


def test_all_but_kafka_has_a_default() -> None:
    """The defaults are those of the design."""
    assert load().model_dump() == {
        "kafka_url": "kafka://a:9092",
        "kafka_security_protocol": "PLAINTEXT",
        "kafka_sasl_mechanism": "",
        "kafka_sasl_username": "",
        "kafka_sasl_password": SecretStr(""),
        "kafka_ca_file": "",
        "kafka_cert_file": "",
        "kafka_key_file": "",
        "log_level": "",
        "log_format": "auto",
        "jwt_secret_key": SecretStr(""),
        "jwt_public_key_file": "",
        "jwt_jwks_url": "",
        "jwt_audience": "",
        "jwt_issuer": "",
        "auth_required": False,
        "max_connections_per_subject": 0,
        "token_in_query": False,
        "positions_url": SecretStr(""),
        "ack_seconds": 2,
        "edge_host": "0.0.0.0",
        "edge_port": 8080,
        "admin_port": 0,
        "admin_host": "",
        "reuse_port": False,
        "feed_topic": "posts.feed",
        "window_seconds": 5,
        "compose_url": "",
        "dedup_records": 1000,
        "dedup_seconds": 86_400,
        "max_replays": 4,
        "max_replays_per_address": 2,
        "replay_bytes": 64 * 1024 * 1024,
        "history_records": 1000,
        "log_bytes": 64 * 1024 * 1024,
        "page_bytes": 1024 * 1024,
        "page_records": 100,
        "pages_bytes": 64 * 1024 * 1024,
        "long_poll_seconds": 25,
        "write_bytes": 64 * 1024,
        "compression": True,
        "ping_seconds": 20,
        "dead_seconds": 60,
        "stalled_seconds": 600,
        "heartbeat_seconds": 25,
        "max_age_seconds": 0,
        "join_seconds": 5,
        "join_rate": 600,
        "unready_seconds": 10,
        "drain_seconds": 10,
        "max_connections": 100_000,
        "max_connections_per_address": 0,
        "max_authors_total": 2_000_000,
        "trusted_proxies": (),
        "proxy_header": "x-forwarded-for",
        "allowed_origins": None,
        "handshake_seconds": 10,
        "max_head_bytes": 16 * 1024,
        "keepalive_seconds": 75,
        "max_message_bytes": 64 * 1024,
        "max_fragments": 64,
        "messages_per_second": 10,
        "bytes_per_second": 64 * 1024,
        "pings_per_second": 10,
    }


def test_trusted_proxies(environment: pytest.MonkeyPatch) -> None:
    """Networks or addresses, separated by commas."""
    environment.setenv("TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    assert load().trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def test_allowed_origins(environment: pytest.MonkeyPatch) -> None:
    """All, or those that are listed."""
    environment.setenv("ALLOWED_ORIGINS", "https://www.example.org, http://localhost:3000")
    assert load().allowed_origins == frozenset({"https://www.example.org", "http://localhost:3000"})
    environment.setenv("ALLOWED_ORIGINS", "*")
    assert load().allowed_origins is None


def test_several_brokers(environment: pytest.MonkeyPatch) -> None:
    """They are separated by semicolons; an IPv6 address keeps its brackets."""
    environment.setenv("KAFKA_URL", "kafka://a:9092; kafka://[::1]:9093")
    assert load().kafka_servers == ["a:9092", "[::1]:9093"]


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("KAFKA_URL", "", "KAFKA_URL is missing; python -m edge --settings says what it is."),
        *(
            (
                "KAFKA_URL",
                value,
                "KAFKA_URL is wrong: must be kafka://host:port, or several of these with a semicolon between them.",
            )
            for value in ("a:9092", "kafka://:9092", "kafka://a:b", "kafka://a:99999", "kafka://a:1;")
        ),
        ("KAFKA_URL", "kafka://u:secret@a:1", "KAFKA_URL is wrong: must be kafka://host:port alone: a user and a "),
        ("KAFKA_SECURITY_PROTOCOL", "SASL_SSL", "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_MECHANISM, "),
        ("WINDOW_SECONDS", "0", "WINDOW_SECONDS is wrong: input should be greater than or equal to 0.1."),
        ("COMPOSE_URL", "posts", "COMPOSE_URL is wrong: must be a URL such as https://posts.example.org/new."),
        (
            "COMPOSE_URL",
            "http://a; script-src *",
            "COMPOSE_URL is wrong: must be a URL such as https://posts.example.org/new.",
        ),
        ("EDGE_PORT", "http", "EDGE_PORT is wrong: input should be a valid integer"),
        ("EDGE_PORT", "65536", "EDGE_PORT is wrong: input should be less than or equal to 65535."),
        ("ADMIN_PORT", "8080", "ADMIN_PORT must be another port than EDGE_PORT: clients are served there."),
        ("ADMIN_PORT", "65536", "ADMIN_PORT is wrong: input should be less than or equal to 65535."),
        (
            "PAGE_BYTES",
            str(1 << 27),
            "PAGES_BYTES must be at least PAGE_BYTES: else no page can be sent.",
        ),
        ("LOG_BYTES", "1", "LOG_BYTES is wrong: input should be greater than or equal to 1048576."),
        ("FEED_TOPIC", "a b", "FEED_TOPIC is wrong: must be 1 to 249 letters, digits, dots, underscores or dashes"),
        ("TRUSTED_PROXIES", "secret.example", "TRUSTED_PROXIES is wrong: must be networks such as 10.0.0.0/8, "),
        (
            "ALLOWED_ORIGINS",
            "https://a.example/",
            "ALLOWED_ORIGINS is wrong: an origin ends behind its host and port, ",
        ),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "TRUSTED_PROXIES is wrong: must be networks such as 10.0.0.0/8, "),
        ("PROXY_HEADER", "x-real-ip", "PROXY_HEADER is wrong: input should be 'x-forwarded-for' or 'forwarded'."),
        ("MAX_CONNECTIONS", "0", "MAX_CONNECTIONS is wrong: input should be greater than or equal to 1."),
        ("BYTES_PER_SECOND", "13000", "BYTES_PER_SECOND must be at least a fifth of MAX_MESSAGE_BYTES: "),
        ("WRITE_BYTES", str(1 << 31), "WRITE_BYTES is wrong: input should be less than or equal to 1073741824."),
        (
            "MAX_MESSAGE_BYTES",
            str(1 << 63),
            "MAX_MESSAGE_BYTES is wrong: input should be less than or equal to 1073741824.",
        ),
        ("HEARTBEAT_SECONDS", "1e19", "HEARTBEAT_SECONDS is wrong: input should be less than or equal to 86400."),
        ("DEDUP_SECONDS", "1e308", "DEDUP_SECONDS is wrong: input should be less than or equal to 3153600000."),
        (
            "MESSAGES_PER_SECOND",
            "0.09",
            "MESSAGES_PER_SECOND is wrong: input should be greater than or equal to 0.1.",
        ),
        ("PINGS_PER_SECOND", "0.09", "PINGS_PER_SECOND is wrong: input should be greater than or equal to 0.1."),
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


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e400"])
@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if field.annotation is float])
def test_no_number_is_infinite(environment: pytest.MonkeyPatch, name: str, value: str) -> None:
    """It would pass a lower bound, and fail for the first client."""
    environment.setenv(name.upper(), value)
    with pytest.raises(BadSettings, match=rf"^{name.upper()} is wrong: input should be a finite number\.$"):
        load()


@pytest.mark.parametrize("name", ["MESSAGES_PER_SECOND", "PINGS_PER_SECOND"])
def test_the_lowest_rate_lets_one_through(environment: pytest.MonkeyPatch, name: str) -> None:
    """Of messages, and of pongs to the edge's own pings."""
    environment.setenv(name, "0.1")
    clients, _ = gates(load())
    assert [Allowance(clients.rules.traffic).frame(opcode, 0, now=1.0) for opcode in (0x1, 0xA)] == [None, None]


def test_each_wrong_variable_has_its_own_sentence(environment: pytest.MonkeyPatch) -> None:
    """All of them at once: nobody has to start it five times."""
    environment.delenv("KAFKA_URL")
    environment.setenv("EDGE_PORT", "-1")
    with pytest.raises(BadSettings, match=r"^KAFKA_URL is missing; [^\n]*\.\nEDGE_PORT is wrong: .*\.$"):
        load()
