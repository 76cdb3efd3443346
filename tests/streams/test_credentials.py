"""Faust's own clients reach Kafka as ours do."""

from pathlib import Path

import pytest
import trustme
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from runtime.kafka import KafkaSettings
from streams.credentials import credentials


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"])
def test_they_get_the_same_arguments(tmp_path: Path, protocol: str) -> None:
    values = {"kafka_url": "kafka://broker", "kafka_security_protocol": protocol}
    if "SSL" in protocol:
        trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
        values["kafka_ca_file"] = str(tmp_path / "ca.pem")
    if "SASL" in protocol:
        values |= {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "u", "kafka_sasl_password": "secret"}
    settings = KafkaSettings.model_validate(values)
    ours = settings.kafka_client("x")
    fausts = dict(credentials_to_aiokafka_auth(credentials(settings)))
    contexts = ours.pop("ssl_context"), fausts.pop("ssl_context", None)
    assert [context is not None for context in contexts] == ["SSL" in protocol.split("_")] * 2
    assert fausts == {name: ours[name] for name in ours if name not in {"bootstrap_servers", "client_id"}}
    assert "secret" not in repr(credentials(settings))
