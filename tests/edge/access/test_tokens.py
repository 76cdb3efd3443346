"""What a token allows, and which tokens allow nothing."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_curve_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from hypothesis import given
from hypothesis import strategies as st

from edge.access.grant import LEEWAY_SECONDS, Fault, Grant, TokenRefused
from edge.access.keys import Key, Keys, public_key_of, secrets_of
from edge.access.tokens import MAX_BYTES, Rules, Token, read, verify
from tests.edge.kit.issuer import public_pem
from tests.edge.kit.tokens import NOW, SECRET, flask, part, signed

RSA = new_rsa_key(65537, 2048)
CURVE = new_curve_key(SECP256R1())
EDWARDS = Ed25519PrivateKey.generate()
PEMS = [public_pem(key) for key in (RSA, CURVE, EDWARDS)]
ALL = Keys([*secrets_of(SECRET), *map(public_key_of, PEMS)])
OURS = Keys(secrets_of(SECRET))
OPEN = Rules()


def says(token: str, keys: Keys = OURS, rules: Rules = OPEN, now: float = NOW) -> Grant | Fault | None:
    """Return what a token allows, or why it is refused."""
    found = read(token)
    if isinstance(found, Token):
        answer = verify(found, keys, rules, now)
        assert answer is None or isinstance(answer, Grant | TokenRefused)
        found_out = answer
    else:
        found_out = found
    return found_out.why if isinstance(found_out, TokenRefused) else found_out


def test_tokens_of_flask_jwt_extended_work_unchanged() -> None:
    """The identity is a string in sub, type is access, whatever else is there is ignored."""
    assert says(flask("7", roles=["admin"])) == Grant("7", None, NOW + 900)


def test_a_refresh_token_only_refreshes() -> None:
    """Whoever holds one can have an access token, which ends much earlier."""
    assert [says(flask(kind=kind)) for kind in ("refresh", "", "Access")] == ["claims"] * 3
    assert says(signed({"sub": "7"})) == Grant("7", None, None)


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", RSA), ("ES256", CURVE), ("EdDSA", EDWARDS)])
def test_each_kind_of_key_verifies_its_own(algorithm: str, key: Any) -> None:
    token = signed({"sub": "7"}, key, algorithm)
    assert says(token, ALL) == Grant("7", None, None)
    head, payload, signature = token.split(".")
    assert says(f"{head}.{part({'sub': '8'})}.{signature}", ALL) == "signature"
    assert says(f"{head}.{payload}.{part(b'short')}", ALL) == "signature"
    assert says(token, OURS) is None


def test_a_claim_restricts_and_an_empty_one_allows_nothing() -> None:
    assert [claimed({"authors": ids}) for ids in ([9, 7, 7], [], [0], [(1 << 63) - 1])] == [
        [7, 9],
        [],
        [0],
        [(1 << 63) - 1],
    ]


def claimed(claim: object) -> list[int] | None:
    """Return the authors that a claim allows; None when the token is refused."""
    grant = says(signed({"sub": "7", "postcast": claim}))
    if grant == "claims":
        return None
    assert isinstance(grant, Grant)
    assert grant.claim is not None
    return list(grant.claim.authors)


@pytest.mark.parametrize(
    "claim",
    [
        None,
        {},
        [],
        "7",
        {"authors": None},
        {"authors": 7},
        {"authors": "7"},
        {"authors": ["7"]},
        {"authors": [7.5]},
        {"authors": [True]},
        {"authors": [-1]},
        {"authors": [1 << 63]},
        {"authors": [None]},
        {"authors": [7], "until": 5},
    ],
)
def test_a_claim_of_another_form_refuses_the_token(claim: object) -> None:
    """What was meant to restrict, and is not understood, is never taken for everything."""
    assert claimed(claim) is None


def test_no_token_is_good_without_a_signature() -> None:
    """RFC 7515 §3.6 has an algorithm none, in all spellings."""
    for spelling in ("none", "None", "NONE", "nOnE", ""):
        head = f"{part({'alg': spelling})}.{part({'sub': '7'})}"
        assert says(f"{head}.{part(b'x')}", ALL) == "key"
        assert says(f"{head}.", ALL) == "unreadable"


@pytest.mark.parametrize("public", PEMS)
@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_public_key_is_never_a_secret(public: bytes, algorithm: str) -> None:
    """Everybody has it: a token that is signed with it as with a secret is nobody's, whatever it says."""
    text = f"{part({'alg': algorithm})}.{part({'sub': '7'})}"
    for secret in (public, public.strip(), public.replace(b"\n", b"")):
        token = f"{text}.{part(hmac.digest(secret, text.encode(), sha256))}"
        assert says(token, ALL) == "signature"
        assert says(token, Keys([public_key_of(public)])) in ("signature", None)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS512", "PS256", "ES384", "ES256K", "hs256"])
def test_other_algorithms_are_none_of_ours(algorithm: str) -> None:
    """The key's type fixes the one that it is used with."""
    assert says(f"{part({'alg': algorithm})}.{part({'sub': '7'})}.{part(b'x')}", ALL) == "key"


def test_a_header_names_no_key_but_among_ours() -> None:
    """Where a header says that keys are is not even read: they would be the stranger's own."""
    theirs = new_rsa_key(65537, 2048)
    numbers = theirs.public_key().public_numbers()
    jwk = {"kty": "RSA", "n": part(numbers.n.to_bytes(256)), "e": "AQAB"}
    for header in ({"jwk": jwk}, {"jku": "https://evil.example"}, {"x5u": "https://evil.example"}, {"x5c": ["MII"]}):
        assert says(signed({"sub": "7"}, theirs, "RS256", header), ALL) == "signature"
        assert says(signed({"sub": "7"}, RSA, "RS256", header), ALL) == Grant("7", None, None)


@pytest.mark.parametrize("kid", ["../../dev/null", "/etc/passwd", "' OR 1=1 --", "|id", "\x00", "a" * 1000])
def test_a_kid_is_a_name_and_never_a_path(kid: str) -> None:
    """It is looked up among the names of ours: /dev/null is an empty secret for who opens it."""
    empty = f"{part({'alg': 'HS256', 'kid': kid})}.{part({'sub': '7'})}"
    assert says(f"{empty}.{part(hmac.digest(b'', empty.encode(), sha256))}") == "signature"
    named = Keys([Key("HS256", SECRET.encode(), "k")])
    assert says(signed({"sub": "7"}, header={"kid": kid}), named) is None
    assert says(signed({"sub": "7"}, header={"kid": "k"}), named) == Grant("7", None, None)


@pytest.mark.parametrize(
    "header", [{"kid": 7}, {"kid": None}, {"kid": ["k"]}, {"crit": ["exp"]}, {"crit": []}, {"alg": 7}]
)
def test_a_header_that_is_not_understood_is_refused(header: Mapping[str, Any]) -> None:
    head = part({"alg": "HS256", **header})
    assert says(f"{head}.{part({'sub': '7'})}.{part(b'x')}") == "unreadable"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({}, "claims"),
        ({"sub": None}, "claims"),
        ({"sub": 7}, "claims"),
        ({"sub": ["7"]}, "claims"),
        ({"sub": ""}, "claims"),
        ({"sub": "a\x00"}, "claims"),
        ({"sub": "a\n"}, "claims"),
        ({"sub": "a" * 256}, "claims"),
        ({"sub": "a" * 255}, None),
        ({"sub": "Zoë W."}, None),
    ],
)
def test_a_subject_is_a_short_printable_name(claims: Mapping[str, Any], why: str | None) -> None:
    """It becomes a key in a table and a part of what is counted."""
    expected = why or Grant(claims["sub"], None, None)
    assert says(signed(claims)) == expected


def test_8_kib_is_the_most_that_is_read() -> None:
    """And a subject that fills them is none."""
    assert says(signed({"sub": "a" * 5000})) == "claims"
    filled = signed({"sub": "7", "x": "y" * 5900})
    assert len(filled) < MAX_BYTES
    assert says(filled) == Grant("7", None, None)
    assert says(signed({"sub": "7", "x": "y" * 6200})) == "unreadable"


@pytest.mark.parametrize(
    ("times", "why"),
    [
        ({"exp": NOW + 1}, None),
        ({"exp": NOW - LEEWAY_SECONDS + 1}, None),
        ({"exp": NOW - LEEWAY_SECONDS}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1e308}, "expired"),
        ({"exp": 1e308}, "claims"),
        ({"exp": NOW * 1000}, "claims"),
        # The end of the year 9999: a client is told by RFC 3339.
        ({"exp": 253402300799}, None),
        ({"exp": 253402300800}, "claims"),
        ({"exp": None}, "claims"),
        ({"exp": str(NOW + 1)}, "claims"),
        ({"exp": True}, "claims"),
        ({"nbf": NOW + LEEWAY_SECONDS}, None),
        ({"nbf": NOW + LEEWAY_SECONDS + 1}, "early"),
        ({"iat": NOW + LEEWAY_SECONDS + 1}, "early"),
        ({"nbf": "soon"}, "claims"),
    ],
)
def test_a_token_is_good_in_its_time(times: Mapping[str, Any], why: str | None) -> None:
    """With half a minute for clocks that differ."""
    expected = why or Grant("7", None, times.get("exp"))
    assert says(signed({"sub": "7", **times})) == expected


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", b"null", b"[]", b"7", b"{", b'{"sub":"7","exp":NaN}', b'{"sub":"\xff"}'),
        b'{"sub":"7","postca\x80st":{"authors":[7]}}',
    ],
)
def test_a_payload_that_is_no_object_of_claims_is_refused(payload: bytes) -> None:
    token = signed(payload)
    assert says(token) == ("unreadable" if not payload else "claims")


def test_deep_json_is_no_fault_of_ours() -> None:
    deep = b'{"sub":"7","aud":' + b"[" * 2900 + b"]" * 2900 + b"}"
    assert says(signed(deep)) == "claims"
    assert says(f"{part(b'[' * 3000)}.{part(b'x')}.{part(b'x')}") == "unreadable"


@pytest.mark.parametrize(
    ("rules", "claims", "why"),
    [
        (OPEN, {}, None),
        (OPEN, {"aud": "us"}, "audience"),
        (OPEN, {"aud": ["us"]}, "audience"),
        (OPEN, {"aud": []}, None),
        (OPEN, {"aud": None}, "audience"),
        (OPEN, {"aud": ["them", None]}, "audience"),
        (OPEN, {"iss": 7}, None),
        (Rules("us"), {}, "audience"),
        (Rules("us"), {"aud": "them"}, "audience"),
        (Rules("us"), {"aud": "us, them"}, "audience"),
        (Rules("us"), {"aud": ["them", "us"]}, None),
        (Rules("us"), {"aud": "us"}, None),
        (Rules("us"), {"aud": {"us": 1}}, "audience"),
        (Rules(issuer="we"), {}, "issuer"),
        (Rules(issuer="we"), {"iss": "we "}, "issuer"),
        (Rules(issuer="we"), {"iss": ["we"]}, "issuer"),
        (Rules(issuer="we"), {"iss": "we"}, None),
    ],
)
def test_a_token_for_somebody_else_or_by_somebody_else_is_refused(
    rules: Rules, claims: Mapping[str, Any], why: str | None
) -> None:
    """Other applications may have tokens that are signed with the same key."""
    assert says(signed({"sub": "7", **claims}), rules=rules) == (why or Grant("7", None, None))


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c.d", "a. b.c", "a.b.c=", "ä.b.c", "a.b.c\n", "a.aaaaa.c"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    assert says(token) == "unreadable"


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}\.[A-Za-z0-9_-]{1,20}"))
def test_anything_is_answered(token: str) -> None:
    """Law 16: a stranger's text is refused, and raises nothing."""
    assert says(token, ALL) in ("unreadable", "key", "signature", None)


@given(st.data())
def test_a_token_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    """Of a signed token no part can be another."""
    token = flask("7", postcast={"authors": [7]})
    place = data.draw(st.integers(0, len(token) - 2))
    other = data.draw(st.sampled_from("AZaz09_-.").filter(lambda letter: letter != token[place]))
    assert isinstance(says(token[:place] + other + token[place + 1 :]), str | None)


def test_nothing_of_a_token_is_shown() -> None:
    """A line of a log or a traceback may show a value."""
    token = flask("somebody")
    found = read(token)
    assert isinstance(found, Token)
    shown = f"{found!r} {secrets_of(SECRET)!r}"
    assert "somebody" not in shown
    assert not any(piece in shown for piece in (*token.split("."), SECRET))
