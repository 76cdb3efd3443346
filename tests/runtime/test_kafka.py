"""How Kafka is reached: addresses in every form, and only combinations of TLS and SASL that work."""

import ssl
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from aiokafka.errors import SaslAuthenticationFailed
from pydantic import SecretStr, ValidationError

from runtime import kafka
from runtime.kafka import KafkaSettings, broker_addresses

PASSWORD = "open-sesame"
SASL = {
    "kafka_security_protocol": "SASL_PLAINTEXT",
    "kafka_sasl_mechanism": "SCRAM-SHA-512",
    "kafka_sasl_username": "postcast",
    "kafka_sasl_password": PASSWORD,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority, a client's certificate, and another key."""
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    client, other = authority.issue_cert("postcast"), authority.issue_cert("other")
    client.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    client.private_key_pem.write_to_path(folder / "key.pem")
    client.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    other.private_key_pem.write_to_path(folder / "other.pem")
    (folder / "text.pem").write_text("no certificate")
    return folder


def settings(**values: str) -> KafkaSettings:
    return KafkaSettings.model_validate({"kafka_url": "kafka://broker:9092", **values})


def sentence(**values: str) -> str:
    """Return what is wrong with settings, which must be one thing."""
    with pytest.raises(ValidationError) as raised:
        settings(**values)
    [error] = raised.value.errors()
    assert PASSWORD not in error["msg"]
    return error["msg"].removeprefix("Value error, ")


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("kafka://broker:9092", ["broker:9092"]),
        ("kafka://broker", ["broker:9092"]),
        ("kafka://broker/", ["broker:9092"]),
        ("kafka://a_1.b-2:1; kafka://10.0.0.1:65535", ["a_1.b-2:1", "10.0.0.1:65535"]),
        ("kafka://[::1]:9093", ["[::1]:9093"]),
        ("kafka://[2001:db8:0:0::1];kafka://b:9094", ["[2001:db8::1]:9092", "b:9094"]),
    ],
)
def test_addresses_of_all_kinds(url: str, addresses: list[str]) -> None:
    assert broker_addresses(url) == addresses


@pytest.mark.parametrize(
    "url",
    [
        "",
        "broker:9092",
        "http://broker:9092",
        "kafka://",
        "kafka://:9092",
        "kafka://broker:0",
        "kafka://broker:99999",
        "kafka://broker:-1",
        "kafka://broker:port",
        "kafka://a:1,b:2",
        "kafka://a:1;",
        "kafka://a b:1",
        "kafka://::1:9092",
        "kafka://[::1:9092",
        "kafka://[::g]:9092",
        "kafka://broker:9092/topic",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^must be kafka://host:port, or several of these with a semicolon between"):
        broker_addresses(url)


@pytest.mark.parametrize("url", ["kafka://user@broker:1", f"kafka://user:{PASSWORD}@broker:1", "kafka://broker:1?a=b"])
def test_an_address_holds_no_user(url: str) -> None:
    with pytest.raises(ValueError, match="KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD") as raised:
        broker_addresses(url)
    assert PASSWORD not in str(raised.value)


def test_without_settings_nothing_is_encrypted_and_nobody_is_named() -> None:
    assert settings().kafka_client("postcast-test") == {
        "bootstrap_servers": ["broker:9092"],
        "client_id": "postcast-test",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }


def test_a_password_is_handed_to_the_client_and_shown_nowhere() -> None:
    found = settings(**SASL)
    assert found.kafka_client("postcast-test") == {
        "bootstrap_servers": ["broker:9092"],
        "client_id": "postcast-test",
        "security_protocol": "SASL_PLAINTEXT",
        "ssl_context": None,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "postcast",
        "sasl_plain_password": PASSWORD,
    }
    assert found.kafka_sasl_password == SecretStr(PASSWORD)
    assert PASSWORD not in repr(found) + str(found)


def test_names_of_protocols_and_mechanisms_are_read_in_any_case() -> None:
    found = settings(**{**SASL, "kafka_security_protocol": "sasl_plaintext", "kafka_sasl_mechanism": "plain"})
    assert (found.kafka_security_protocol, found.kafka_sasl_mechanism) == ("SASL_PLAINTEXT", "PLAIN")


def test_tls_verifies_the_brokers_by_the_authorities_of_the_system_or_of_a_file(files: Path) -> None:
    systems = settings(kafka_security_protocol="SSL").kafka_tls()
    ours = settings(kafka_security_protocol="SSL", kafka_ca_file=str(files / "ca.pem")).kafka_tls()
    assert systems is not None
    assert ours is not None
    for context in (systems, ours):
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert len(ours.get_ca_certs()) == 1


@pytest.mark.parametrize(("cert", "key"), [("cert.pem", "key.pem"), ("both.pem", None)])
def test_a_clients_certificate_comes_with_its_key_in_one_file_or_in_two(
    files: Path, cert: str, key: str | None
) -> None:
    found = settings(
        kafka_security_protocol="SASL_SSL",
        **{name: value for name, value in SASL.items() if name != "kafka_security_protocol"},
        kafka_cert_file=str(files / cert),
        kafka_key_file=str(files / key) if key else "",
    )
    assert isinstance(found.kafka_client("postcast-test")["ssl_context"], ssl.SSLContext)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"kafka_security_protocol": "SASL_SSL"},
            "KAFKA_SECURITY_PROTOCOL=SASL_SSL needs KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD",
        ),
        ({**SASL, "kafka_sasl_password": ""}, "KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT needs KAFKA_SASL_PASSWORD"),
        (
            {**SASL, "kafka_security_protocol": "PLAINTEXT"},
            (
                "KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD would not be used with "
                "KAFKA_SECURITY_PROTOCOL=PLAINTEXT: set it to SASL_SSL or SASL_PLAINTEXT"
            ),
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_sasl_username": "postcast"},
            (
                "KAFKA_SASL_USERNAME would not be used with KAFKA_SECURITY_PROTOCOL=SSL: set it to SASL_SSL or "
                "SASL_PLAINTEXT"
            ),
        ),
        (
            {**SASL, "kafka_ca_file": "/ca.pem", "kafka_cert_file": "/cert.pem"},
            (
                "KAFKA_CA_FILE and KAFKA_CERT_FILE would not be used with KAFKA_SECURITY_PROTOCOL=SASL_PLAINTEXT: set "
                "it to SSL or SASL_SSL"
            ),
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_key_file": "/key.pem"},
            "KAFKA_KEY_FILE needs KAFKA_CERT_FILE, the certificate that belongs to the key",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ca_file": "/not/there.pem"},
            "KAFKA_CA_FILE /not/there.pem cannot be read: No such file or directory",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_ca_file": "text.pem"},
            "KAFKA_CA_FILE text.pem holds no certificate in PEM",
        ),
        (
            {"kafka_security_protocol": "SSL", "kafka_cert_file": "cert.pem", "kafka_key_file": "/not/there.pem"},
            "KAFKA_KEY_FILE /not/there.pem cannot be read: No such file or directory",
        ),
        *(
            (
                {"kafka_security_protocol": "SSL", "kafka_cert_file": "cert.pem", "kafka_key_file": key},
                (
                    "KAFKA_CERT_FILE and KAFKA_KEY_FILE cannot be used: they must be PEM, the key without a password, "
                    "and belong together"
                ),
            )
            for key in ("other.pem", "text.pem", "")
        ),
        (
            {"kafka_security_protocol": "TLS"},
            "Input should be 'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'",
        ),
        (
            {**SASL, "kafka_sasl_mechanism": "GSSAPI"},
            "Input should be '', 'PLAIN', 'SCRAM-SHA-256' or 'SCRAM-SHA-512'",
        ),
    ],
)
def test_what_cannot_work_or_would_protect_less_than_it_looks_is_one_sentence(
    files: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(files)
    assert sentence(**values) == said


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (
            [OSError("refused"), SaslAuthenticationFailed("bad"), TimeoutError()],
            "b:2: [Error 58] SaslAuthenticationFailed: bad",
        ),
        ([OSError("refused"), TimeoutError(), TimeoutError()], "c:3: no answer"),
        ([OSError("refused"), SaslAuthenticationFailed("bad"), None], "None"),
    ],
)
async def test_why_no_broker_lets_us_in_is_what_one_says_rather_than_that_another_is_silent(
    monkeypatch: pytest.MonkeyPatch, answers: list[Exception | None], why: str
) -> None:
    given = iter(answers)

    async def connect(*_: object, **__: object) -> SimpleNamespace:
        if answer := next(given):
            raise answer
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(kafka, "create_conn", connect)
    assert str(await kafka.obstacle({"bootstrap_servers": ["a:1", "b:2", "c:3"]})) == why
