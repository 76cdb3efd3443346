"""Which keys there are, and which may have signed a token."""

import datetime as dt
import json
import secrets
from contextlib import suppress
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from edge.access.keys import (
    LONG,
    MAX_KEYS,
    MAX_SECRETS,
    BadKey,
    Key,
    Keys,
    public_key_of,
    published_keys,
    secrets_of,
    short_secrets,
)
from tests.edge.kit.issuer import Signer, jwks, public_pem

RSA = rsa.generate_private_key(65537, 2048)


def test_secrets_have_commas_between_them() -> None:
    """The first may be the new one, and the others those of tokens that are still out."""
    keys = secrets_of("one,two")
    assert [(key.algorithm, key.material, key.kid) for key in keys] == [("HS256", b"one", ""), ("HS256", b"two", "")]


@pytest.mark.parametrize("text", ["", ",", "a,", " a", "a, b", "a\n", ",".join("a" * (MAX_SECRETS + 1))])
def test_a_secret_is_none_that_was_mistyped(text: str) -> None:
    with pytest.raises(BadKey):
        secrets_of(text)


def test_a_public_key_is_no_secret() -> None:
    """Whoever has it could sign with it."""
    text = public_pem(RSA).decode().strip()
    with pytest.raises(BadKey, match="JWT_PUBLIC_KEY_FILE") as raised:
        secrets_of(text)
    assert text not in str(raised.value)


def test_short_secrets_are_counted() -> None:
    """With one token they can be guessed: RFC 7518 §3.2 wants as many bytes as the signature has."""
    long, short = secrets.token_hex(LONG // 2), secrets.token_hex(LONG // 2)[1:]
    keys = [*secrets_of(f"{long},{short},é{long[2:]}"), Key("EdDSA", b"")]
    assert short_secrets(keys) == 1


def test_a_public_key_or_a_certificate_says_its_algorithm() -> None:
    found = [
        public_key_of(public_pem(key)).algorithm
        for key in (RSA, ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate())
    ]
    assert found == ["RS256", "ES256", "EdDSA"]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
    today = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    certificate = x509.CertificateBuilder(name, name, RSA.public_key(), 1, today, today + dt.timedelta(days=1)).sign(
        RSA, SHA256()
    )
    key = public_key_of(certificate.public_bytes(Encoding.PEM))
    assert (key.algorithm, key.material) == ("RS256", RSA.public_key())


def test_what_is_no_good_public_key_is_refused() -> None:
    """Among it a private key, which has no business here, and keys that are too short or of other kinds."""
    private = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    others: list[Any] = [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - that it is short is the point
        ec.generate_private_key(ec.SECP384R1()),
        dsa.generate_private_key(1024),  # noqa: S505 - likewise
        ed448.Ed448PrivateKey.generate(),
    ]
    for text in (b"", b"-----BEGIN CERTIFICATE-----", b"secret", private, *map(public_pem, others)):
        with pytest.raises(BadKey):
            public_key_of(text)


def test_a_name_chooses_among_named_keys_and_nothing_else() -> None:
    """A key without a name verifies whatever name a token says; of equal names the first counts."""
    nameless, first, again, other = Key("RS256", 0), Key("RS256", 1, "a"), Key("RS256", 2, "a"), Key("RS256", 3, "b")
    keys = Keys([nameless, first, again, other])
    assert len(keys) == 4
    assert keys.find("RS256", "a") == [first, nameless]
    assert keys.find("RS256", "c") == [nameless]
    assert keys.find("ES256", "a") == []
    assert keys.find("RS256", None) == [nameless]


def test_a_token_without_a_name_is_tried_only_if_it_can_mean_one_key() -> None:
    """Each try costs: a set may have hundreds of keys."""
    one, other = Key("RS256", 1, "a"), Key("RS256", 2, "b")
    assert list(Keys([one]).find("RS256", None)) == [one]
    assert list(Keys([one, other]).find("RS256", None)) == []
    secret = Key("HS256", 3)
    assert next(iter(Keys([one, secret, Key("HS256", 4)]).find("HS256", None))) is secret
    assert list(Keys().find("HS256", None)) == []


def test_a_key_shows_nothing_of_itself() -> None:
    assert repr(Key("HS256", b"secret", "k")) == "Key('HS256', kid='k')"


CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
SIGNERS = [Signer("r", RSA, "RS256"), Signer("c", CURVE, "ES256"), Signer("e", EDWARDS)]


def published(*keys: object) -> tuple[list[tuple[str, str]], int]:
    """Return which keys a set has, by algorithm and name, and how many were left out."""
    found = published_keys(json.dumps({"keys": keys}).encode())
    return [(key.algorithm, key.kid) for key in found.keys], found.left_out


def test_a_set_has_keys_of_each_type() -> None:
    found = published_keys(jwks(*SIGNERS))
    assert [(key.algorithm, key.kid) for key in found.keys] == [("RS256", "r"), ("ES256", "c"), ("EdDSA", "e")]
    assert found.left_out == 0
    assert [key.material for key in found.keys] == [key.public_key() for key in (RSA, CURVE, EDWARDS)]


def test_a_secret_in_a_set_is_everybodys_and_none() -> None:
    """It would be known to all who can ask for the set."""
    assert published({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256", "kid": "s"}) == ([], 1)


def test_the_private_part_of_a_key_is_not_read() -> None:
    """An issuer that publishes it has a fault; a token is verified by the public part all the same."""
    private = {**SIGNERS[2].jwk, "d": "A" * 43}
    assert published(private) == ([("EdDSA", "e")], 0)


def test_a_key_for_something_else_is_left_out() -> None:
    """And so is one that cannot be read; the others count."""
    good, curve = SIGNERS[0].jwk, SIGNERS[1].jwk
    odd = [
        {**good, "use": "enc"},
        {**good, "key_ops": ["sign"]},
        {**good, "alg": "RS512"},
        {**good, "alg": "PS256"},
        {**good, "alg": "HS256"},
        {**good, "alg": "none"},
        {**good, "kty": "EC"},
        {**good, "n": "!"},
        {**good, "n": ""},
        {**good, "e": "AA"},
        {**good, "n": 7},
        {**good, "kid": 7},
        {**curve, "crv": "P-384"},
        {**curve, "x": curve["y"]},
        {**curve, "y": "AAAA"},
        {"kty": "RSA"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"},
        {"kty": "OKP", "crv": "Ed448", "x": "AAAA"},
        {},
        7,
        None,
    ]
    assert published(*odd, {**good, "key_ops": ["verify"], "alg": "RS256"}) == ([("RS256", "r")], len(odd))


def test_short_and_monstrous_keys_are_left_out() -> None:
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is short is the point
    monstrous = {"kty": "RSA", "e": "AQAB", "n": "_" * 12_000}
    assert published(Signer("s", short, "RS256").jwk, monstrous) == ([], 2)


def test_a_set_has_so_many_keys_and_few_without_a_name() -> None:
    """To make a key costs time, and a bad token is tried with each that has no name."""
    key = SIGNERS[2].jwk
    nameless = {name: value for name, value in key.items() if name != "kid"}
    assert published(*[nameless] * MAX_KEYS) == ([("EdDSA", "")] * MAX_SECRETS, MAX_KEYS - MAX_SECRETS)
    with pytest.raises(BadKey, match="more than 64 keys"):
        published(*[nameless] * (MAX_KEYS + 1))


@pytest.mark.parametrize("document", [b"", b"{}", b"[]", b'{"keys":7}', b'{"keys":{}}', b"\xff", b"[" * 100_000])
def test_what_is_no_set_is_refused(document: bytes) -> None:
    with pytest.raises(BadKey, match="no JWK Set"):
        published_keys(document)


MEMBERS = st.sampled_from(["keys", "kty", "kid", "n", "e", "crv", "x", "y", "alg", "use"])
VALUES = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(VALUES, lambda each: st.lists(each) | st.dictionaries(MEMBERS, each)))
def test_whatever_is_published_is_read_or_refused(document: object) -> None:
    """Nothing that an issuer says raises anything else."""
    with suppress(BadKey):
        published_keys(json.dumps({"keys": [document, {"kty": "RSA", "n": document}]}).encode())
        published_keys(json.dumps(document).encode())


def test_a_name_is_known_or_not() -> None:
    keys = Keys([Key("RS256", 1, "a"), Key("RS256", 2)])
    assert [keys.has("RS256", kid) for kid in ("a", "b", "", None)] == [True, False, False, False]
    assert not keys.has("ES256", "a")
