"""The keys that tokens are verified with.

Law: a key's type fixes its one algorithm; what a token's header says only chooses among keys. So a public key is never
taken for a secret, and no token is good without a signature.

This module reads no file and asks nobody: it is given what keys are made of.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import InvalidKeyError, get_algorithm_by_name
from msgspec import UNSET, Raw, Struct, UnsetType

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]

LONG: Final = 32
"""How many bytes a secret should have at least: as many as the signature (RFC 7518 §3.2)."""
MAX_SECRETS: Final = 8
"""A bad token is tried with each of them, and with as many keys without a name."""
MAX_KEYS: Final = 64
"""How many keys a set may have: to make so many takes some 2 ms at most. Issuers have two or three."""
_RSA_BITS: Final = range(2048, 8192 + 1)
"""RFC 7518 §3.3; longer ones take too long to verify."""


class BadKey(ValueError):
    """A sentence that says why something cannot be used as a key; nothing of a secret stands in it."""


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key for one algorithm; ``kid`` is its name, empty for a key that verifies whatever name a token says."""

    algorithm: Algorithm
    material: Any
    kid: str = ""

    def __repr__(self) -> str:
        """Tell nothing of the key itself."""
        return f"Key({self.algorithm!r}, kid={self.kid!r})"

    def has_signed(self, signed: bytes, signature: bytes) -> bool:
        """Tell whether a signature is this key's."""
        return bool(get_algorithm_by_name(self.algorithm).verify(signed, self.material, signature))


class Keys:
    """Keys by their algorithm and name."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._named: dict[tuple[Algorithm, str], Key] = {}
        self._of: dict[Algorithm, list[Key]] = {}
        for key in keys:
            if key.kid:
                # Names are for keys that differ (RFC 7517 §4.5): of two equal ones the first is taken.
                self._named.setdefault((key.algorithm, key.kid), key)
            self._of.setdefault(key.algorithm, []).append(key)

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def has(self, algorithm: Algorithm, kid: str | None) -> bool:
        """Tell whether there is a key of a name."""
        return kid is not None and (algorithm, kid) in self._named

    def find(self, algorithm: Algorithm, kid: str | None) -> Sequence[Key]:
        """Return the keys that may have signed a token whose header says so; few, since each of them is tried.

        Where keys have names a token that says none is tried only if there is one key that it can mean.
        """
        nameless = [key for key in self._of.get(algorithm, ()) if not key.kid]
        if kid is not None:
            named = self._named.get((algorithm, kid))
            return nameless if named is None else [named, *nameless]
        keys = self._of.get(algorithm, ())
        return keys if len(keys) == len(nameless) or len(keys) == 1 else nameless


def secrets_of(text: str) -> list[Key]:
    """Make keys of secrets with commas between them; raises :class:`BadKey`."""
    secrets = text.split(",")
    if len(secrets) > MAX_SECRETS:
        raise BadKey(f"there may be {MAX_SECRETS} secrets at most")
    return [_secret_of(secret) for secret in secrets]


def _secret_of(secret: str) -> Key:
    if not secret.strip() or secret != secret.strip():
        raise BadKey("a secret is empty, or has spaces around it")
    try:
        material = get_algorithm_by_name("HS256").prepare_key(secret)
    except InvalidKeyError:
        # Everybody may know a public key, and could sign with it.
        raise BadKey(
            "a secret looks like a public key or a certificate, which belongs into JWT_PUBLIC_KEY_FILE"
        ) from None
    return Key("HS256", material)


def short_secrets(keys: Iterable[Key]) -> int:
    """Count the secrets that are shorter than their algorithm asks for."""
    return sum(1 for key in keys if key.algorithm == "HS256" and len(key.material) < LONG)


def public_key_of(pem: bytes) -> Key:
    """Make a key of a public key or a certificate in PEM; raises :class:`BadKey`."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            material: object = load_pem_x509_certificate(pem).public_key()
        else:
            material = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        if b"PRIVATE KEY-----" in pem:
            raise BadKey("it is a private key: put the public one there (openssl pkey -pubout)") from None
        raise BadKey("it is no public key and no certificate in PEM") from None
    return key_of(material)


def key_of(material: object, kid: str = "") -> Key:
    """Make a key of a public key as it was read; raises :class:`BadKey`."""
    match material:
        case RSAPublicKey() if material.key_size in _RSA_BITS:
            return Key("RS256", material, kid)
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return Key("ES256", material, kid)
        case Ed25519PublicKey():
            return Key("EdDSA", material, kid)
    raise BadKey("a public key is RSA of 2,048 to 8,192 bits, P-256 or Ed25519")


class _Set(Struct):
    keys: list[Raw]


class _Jwk(Struct):
    """The public part of a key (RFC 7517, 7518 §6, 8037 §2); what else it has is not even read."""

    kty: str
    kid: str = ""
    use: str = "sig"
    key_ops: list[str] | UnsetType = UNSET
    alg: str | UnsetType = UNSET
    n: str | UnsetType = UNSET
    e: str | UnsetType = UNSET
    crv: str | UnsetType = UNSET
    x: str | UnsetType = UNSET
    y: str | UnsetType = UNSET


_set_of: Final = msgspec.json.Decoder(_Set).decode
_jwk_of: Final = msgspec.json.Decoder(_Jwk).decode
_TYPES: Final[dict[tuple[str, str | UnsetType], Algorithm]] = {
    ("RSA", UNSET): "RS256",
    ("EC", "P-256"): "ES256",
    ("OKP", "Ed25519"): "EdDSA",
}
"""Which algorithm keys have, by type and curve. A secret has no business in a set that everybody can read."""


class Published(NamedTuple):
    """The keys of a set, and how many others it has that are none of ours, or cannot be used."""

    keys: list[Key]
    left_out: int


def published_keys(document: bytes) -> Published:
    """Make keys of a JWK Set (RFC 7517 §5), leaving out those that cannot be used; raises :class:`BadKey`."""
    try:
        found = _set_of(document).keys
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadKey("it is no JWK Set") from None
    if len(found) > MAX_KEYS:
        raise BadKey(f"it has more than {MAX_KEYS} keys")
    keys: list[Key] = []
    nameless = 0
    for each in found:
        try:
            key = _published(_jwk_of(each))
        except (BadKey, InvalidKeyError, ValueError, TypeError, RecursionError):
            # What others publish is theirs: one that is odd does not take away the rest (RFC 7517 §5).
            continue
        nameless += not key.kid
        if key.kid or nameless <= MAX_SECRETS:
            keys.append(key)
    return Published(keys, len(found) - len(keys))


def _published(jwk: _Jwk) -> Key:
    algorithm = _TYPES.get((jwk.kty, jwk.crv))
    is_for_this = jwk.use == "sig" and (jwk.key_ops is UNSET or "verify" in jwk.key_ops)
    if algorithm is None or not is_for_this or jwk.alg not in (UNSET, algorithm):
        raise BadKey("it is a key for something else")
    numbers = {name: value for name in ("n", "e", "crv", "x", "y") if (value := getattr(jwk, name)) is not UNSET}
    return key_of(get_algorithm_by_name(algorithm).from_jwk({"kty": jwk.kty, **numbers}), jwk.kid)
