"""What the edge can be told about tokens: every wrong value is a sentence, and no secret is in one."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr, ValidationError

from edge.token_settings import TokenSettings
from tests.edge.kit.tokens import SECRET


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the machine's own environment is looked at, nor a file in its working directory."""
    monkeypatch.chdir(tmp_path)
    for name in TokenSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def told(**settings: Any) -> TokenSettings:
    """Make settings."""
    return TokenSettings(kafka_url="kafka://kafka:9092", **settings)


def test_without_keys_nobody_can_sign_in() -> None:
    settings = told()
    assert (settings.has_keys, settings.secret_keys) == (False, [])


def test_secrets_become_keys() -> None:
    other = secrets.token_hex(16)
    settings = told(jwt_secret_key=SecretStr(f"{SECRET},{other}"))
    assert [key.material for key in settings.secret_keys] == [SECRET.encode(), other.encode()]
    assert settings.has_keys


def test_a_secret_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One newline at its end is the editor's."""
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    monkeypatch.setenv("JWT_SECRET_KEY_FILE", str(path))
    assert [key.material for key in told().secret_keys] == [SECRET.encode()]


def test_a_wrong_secret_is_a_sentence_without_it() -> None:
    with pytest.raises(ValidationError, match="JWT_SECRET_KEY is wrong: a secret is empty") as raised:
        told(jwt_secret_key=SecretStr(f"{SECRET}, {SECRET}"))
    assert SECRET not in str(raised.value)


def test_a_token_is_demanded_only_where_one_can_be_had() -> None:
    """Else nobody could come in, and no client would say why."""
    with pytest.raises(ValidationError, match="AUTH_REQUIRED needs keys"):
        told(auth_required=True)


def test_a_public_key_is_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    settings = told(jwt_public_key_file=str(path), auth_required=True)
    assert [key.algorithm for key in settings.public_keys] == ["EdDSA"]
    assert settings.has_keys


def test_a_file_without_a_public_key_is_a_sentence(tmp_path: Path) -> None:
    """A private key in it is one that should not be there."""
    path = tmp_path / "key.pem"
    with pytest.raises(ValidationError, match="JWT_PUBLIC_KEY_FILE is wrong: the file cannot be read: No such file"):
        told(jwt_public_key_file=str(path))
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private)
    with pytest.raises(ValidationError, match="JWT_PUBLIC_KEY_FILE is wrong: it is no public key") as raised:
        told(jwt_public_key_file=str(path))
    assert private.decode().splitlines()[1] not in str(raised.value)


@pytest.mark.parametrize(
    "url", ["https://issuer.example/keys", "http://127.0.0.1:9/k", "http://[::1]/", "http://localhost/"]
)
def test_keys_come_from_where_nobody_on_the_way_can_change_them(url: str) -> None:
    assert told(jwt_jwks_url=url, auth_required=True).has_keys


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/keys",
        "http://10.0.0.1/keys",
        "http://localhost.evil.example/",
        "file:///etc/passwd",
        "issuer.example",
        "https://",
        "https://user:pass@issuer.example/",
        "https://issuer.example/#x",
        "https://issuer.example/ x",
        "https://issuer.example:99999/",
        "https://[issuer/",
    ],
)
def test_other_urls_are_a_sentence(url: str) -> None:
    with pytest.raises(ValidationError, match="must be a URL of https, or of http on localhost"):
        told(jwt_jwks_url=url)
