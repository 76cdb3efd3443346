"""Tokens, signed with keys that are made when a test runs."""

import json
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

import jwt

NOW: Final = 1_800_000_000.0
"""A time for tests of what a token allows when."""
SECRET: Final = secrets.token_hex(32)


def part(value: object) -> str:
    """Encode a part of a token: bytes as they are, anything else as JSON."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(
    claims: Mapping[str, Any] | bytes,
    key: Any = SECRET,
    algorithm: str = "HS256",
    header: Mapping[str, Any] | None = None,
) -> str:
    """Make a token as its issuer does, of any payload, with any header beside the algorithm."""
    head = {"alg": algorithm, "typ": "JWT", **(header or {})}
    text = f"{part(head)}.{part(claims)}"
    method = jwt.get_algorithm_by_name(algorithm)
    return f"{text}.{part(method.sign(text.encode(), method.prepare_key(key)))}"


def flask(subject: str = "7", kind: str = "access", *, at: float = NOW, seconds: float = 900, **more: object) -> str:
    """Make a token with the claims of flask-jwt-extended."""
    claims = {
        "fresh": False,
        "iat": int(at),
        "jti": secrets.token_hex(16),
        "type": kind,
        "sub": subject,
        "nbf": int(at),
        "csrf": secrets.token_hex(16),
        "exp": int(at + seconds),
    }
    return signed({**claims, **more})
