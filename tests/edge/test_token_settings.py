"""What the edge can be told about tokens: every wrong value is a sentence, and no secret is in one."""

import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr, ValidationError

from edge.token_settings import TokenSettings
from tests.edge.kit.environment import forget
from tests.edge.kit.issuer import public_pem
from tests.edge.kit.tokens import SECRET


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget(monkeypatch, TokenSettings, tmp_path)


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
    path.write_bytes(public_pem(Ed25519PrivateKey.generate()))
    settings = told(jwt_public_key_file=str(path), auth_required=True)
    assert [key.algorithm for key in settings.public_keys] == ["EdDSA"]
    assert settings.has_keys


def test_a_file_without_a_public_key_is_a_sentence(tmp_path: Path) -> None:
    """A private key in it is one that should not be there."""
    path = tmp_path / "key.pem"
    missing = f"JWT_PUBLIC_KEY_FILE is wrong: {re.escape(str(path))} cannot be read: No such file"
    with pytest.raises(ValidationError, match=missing):
        told(jwt_public_key_file=str(path))
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private)
    with pytest.raises(ValidationError, match=r"key\.pem: it is a private key: put the public one there") as raised:
        told(jwt_public_key_file=str(path))
    assert private.decode().splitlines()[1] not in str(raised.value)
    path.write_text("x")
    with pytest.raises(ValidationError, match=r"key\.pem: it is no public key and no certificate in PEM"):
        told(jwt_public_key_file=str(path))


def test_a_key_in_the_place_of_its_files_name_is_not_shown() -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(ValidationError, match="it must name a file, and has a key itself") as raised:
        told(jwt_public_key_file=pem)
    [error] = raised.value.errors()
    assert pem.splitlines()[1] not in error["msg"]


@pytest.mark.parametrize(
    "url", ["https://issuer.example/keys", "http://127.0.0.1:9/k", "http://[::1]/", "http://localhost/"]
)
def test_keys_come_from_where_nobody_on_the_way_can_change_them(url: str) -> None:
    assert told(jwt_jwks_url=url, auth_required=True).has_keys


SCHEME = "must be a URL of https, or of http on localhost"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://issuer.example/keys", SCHEME),
        ("http://10.0.0.1/keys", SCHEME),
        ("http://localhost.evil.example/", SCHEME),
        ("file:///etc/passwd", SCHEME),
        ("issuer.example", SCHEME),
        ("https://", SCHEME),
        ("https://user:pass@issuer.example/", "must have no user and no password"),
        ("https://issuer.example/#x", "must have no fragment"),
        ("https://issuer.example/ x", "has spaces, or characters that a URL has percent-encoded"),
        ("https://issuer.example:99999/", "has a host or a port that is none"),
        ("https://[issuer/", "has a host or a port that is none"),
    ],
)
def test_other_urls_are_a_sentence_that_fits(url: str, why: str) -> None:
    with pytest.raises(ValidationError) as raised:
        told(jwt_jwks_url=url)
    [error] = raised.value.errors()
    assert error["msg"].startswith(f"Value error, {why}")
    assert url not in error["msg"]
