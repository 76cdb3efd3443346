"""Reads tokens: JSON Web Tokens in compact form (RFC 7515, 7519), and what they allow.

Laws: nothing of a token is believed before its signature is verified but which key to verify it with; a key is one of
ours, and what a header says about where keys are (``jku``, ``x5u``, ``jwk``) is not even read. What a token costs
before that is bounded by :data:`MAX_BYTES`. What is refused is refused with a sentence in which nothing of the token
stands. The time is an argument.

The compact form is taken apart here, strictly, and the signature verified by PyJWT's algorithms: see decision 0027.
"""

import re
from base64 import urlsafe_b64decode
from binascii import Error
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple, get_args

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edge.access.grant import LEEWAY_SECONDS, Grant, TokenRefused
from edge.access.keys import Algorithm, Keys
from edge.feed.selection import Selection
from streams.contract import MAX_ID

MAX_BYTES: Final = 8 * 1024
"""How long a token may be: as long as the header that it comes in is with other servers."""
_LAST_SECOND: Final = 253_402_300_799.0
"""The end of the year 9999, the last that RFC 3339 can say."""
_ALGORITHMS: Final = frozenset(get_args(Algorithm))
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_ACCESS: Final = "access"

UNREADABLE: Final = TokenRefused("The token is none that can be read.", "unreadable")
_TOO_LONG: Final = TokenRefused(f"The token has more than {MAX_BYTES} bytes.", "unreadable")
_CRITICAL: Final = TokenRefused("The token asks for what is not understood here.", "unreadable")
_ALGORITHM: Final = TokenRefused("The token is not signed in a way that is taken here.", "key")
_SIGNATURE: Final = TokenRefused("The token's signature is not good.", "signature")
_CLAIMS: Final = TokenRefused("The token's claims cannot be read.", "claims")
_SUBJECT: Final = TokenRefused("The token's subject is not 1 to 255 printable characters.", "claims")
_TYPE: Final = TokenRefused("The token is of another type than access.", "claims")
_FOREVER: Final = TokenRefused("The token's end is no time in seconds.", "claims")
_EXPIRED: Final = TokenRefused("The token has run out.", "expired")
_EARLY: Final = TokenRefused("The token is not valid yet.", "early")
_AUDIENCE: Final = TokenRefused("The token is for somebody else.", "audience")
_ISSUER: Final = TokenRefused("The token is of another issuer.", "issuer")

_SUBJECT_LENGTH: Final = 255
"""OpenID Connect Core §2."""


class _Header(Struct):
    alg: str
    kid: str | UnsetType = UNSET
    crit: Any = UNSET


class _Allowed(Struct, forbid_unknown_fields=True):
    """What a later release may know to restrict is not ignored by this one."""

    authors: list[Annotated[int, Meta(ge=0, le=MAX_ID)]]


class _Claims(Struct):
    sub: str
    exp: float | UnsetType = UNSET
    nbf: float | UnsetType = UNSET
    iat: float | UnsetType = UNSET
    aud: Any = UNSET
    iss: Any = UNSET
    type: Any = UNSET
    postcast: _Allowed | UnsetType = UNSET


_header_of: Final = msgspec.json.Decoder(_Header).decode
_claims_of: Final = msgspec.json.Decoder(_Claims).decode
_UNDECODABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Rules(NamedTuple):
    """For whom tokens have to be, and by whom."""

    audience: str | None = None
    """None: for nobody in particular."""
    issuer: str | None = None
    """None: by anybody who has a key."""


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A token that was taken apart, and is not verified yet."""

    algorithm: Algorithm
    kid: str | None
    signed: bytes
    payload: bytes
    signature: bytes


def read(token: str) -> Token | TokenRefused:
    """Take a token apart."""
    if len(token) > MAX_BYTES:
        return _TOO_LONG
    if not _COMPACT.fullmatch(token):
        return UNREADABLE
    signed, _, signature = token.rpartition(".")
    head, _, payload = signed.partition(".")
    try:
        header = _header_of(_bytes(head))
        found = _bytes(payload), _bytes(signature)
    except (*_UNDECODABLE, Error):
        return UNREADABLE
    if header.crit is not UNSET:
        # RFC 7515 §4.1.11: none is understood.
        return _CRITICAL
    if header.alg not in _ALGORITHMS:
        return _ALGORITHM
    kid = None if header.kid is UNSET else header.kid
    return Token(header.alg, kid, signed.encode(), *found)  # type: ignore[arg-type] # looked up a line before


def verify(token: Token, keys: Keys, rules: Rules, now: float) -> Grant | TokenRefused | None:
    """Say what a token allows at ``now``, in seconds since 1970; None when there is no key for it."""
    found = keys.find(token.algorithm, token.kid)
    if not found:
        return None
    if not any(key.has_signed(token.signed, token.signature) for key in found):
        return _SIGNATURE
    return _granted(token.payload, rules, now)


def _granted(payload: bytes, rules: Rules, now: float) -> Grant | TokenRefused:
    """Read claims that are believed."""
    try:
        # As text: else the names of claims that are not asked for would be passed over without a look, UTF-8 or not.
        claims = _claims_of(payload.decode())
    except _UNDECODABLE:
        return _CLAIMS
    fault = _fault_in(claims, rules) or _fault_of_time(claims, now)
    if fault is not None:
        return fault
    return Grant(
        claims.sub,
        None if claims.postcast is UNSET else Selection(claims.postcast.authors),
        None if claims.exp is UNSET else claims.exp,
    )


def _fault_in(claims: _Claims, rules: Rules) -> TokenRefused | None:
    if not (0 < len(claims.sub) <= _SUBJECT_LENGTH and claims.sub.isprintable()):
        return _SUBJECT
    if claims.type is not UNSET and claims.type != _ACCESS:
        # As flask-jwt-extended has it: with a refresh token only new tokens are to be had.
        return _TYPE
    if rules.issuer is not None and claims.iss != rules.issuer:
        return _ISSUER
    audiences = claims.aud if isinstance(claims.aud, list) else [] if claims.aud is UNSET else [claims.aud]
    # A token for somebody is for nobody else (RFC 7519 §4.1.3), and so not for us if we have no name.
    # (Whoever is named by null is somebody, and no more us than anybody else.)
    is_ours = not audiences if rules.audience is None else rules.audience in audiences
    return None if is_ours else _AUDIENCE


def _fault_of_time(claims: _Claims, now: float) -> TokenRefused | None:
    if claims.exp is not UNSET:
        if claims.exp <= now - LEEWAY_SECONDS:
            return _EXPIRED
        if claims.exp > _LAST_SECOND:
            return _FOREVER
    starts = [start for start in (claims.nbf, claims.iat) if start is not UNSET]
    return _EARLY if any(start > now + LEEWAY_SECONDS for start in starts) else None


def _bytes(part: str) -> bytes:
    """Decode base64 as tokens have it, without padding (RFC 7515 §2)."""
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
