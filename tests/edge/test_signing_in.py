"""What signs clients in, of the settings."""

import asyncio
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from structlog.testing import capture_logs

from edge.access.bearers import Bearers
from edge.access.grant import Grant, TokenRefused
from edge.access.sign_in import ANYBODY, Demands, NobodySignsIn
from edge.settings import Settings
from edge.signing_in import demands_of, signing_in_of
from tests.edge.kit.issuer import Issuer, Signer, public_pem, publishing
from tests.edge.kit.tokens import SECRET, signed


def told(**settings: Any) -> Settings:
    """Make settings."""
    return Settings(kafka_url="kafka://kafka:9092", **settings)


def test_without_a_key_nobody_signs_in() -> None:
    settings = told(jwt_audience="us", token_in_query=True)
    with capture_logs() as logs:
        assert isinstance(signing_in_of(settings).sign_in, NobodySignsIn)
    # What was set for tokens was meant to do something.
    [warning] = logs
    assert (warning["event"], warning["log_level"]) == ("sign_in.idle", "warning")
    assert warning["why"] == (
        "no effect without JWT_SECRET_KEY, JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL: JWT_AUDIENCE, TOKEN_IN_QUERY"
    )
    with capture_logs() as logs:
        signing_in_of(told())
    assert logs == []
    settings = told(jwt_audience="us")
    assert demands_of(settings) == ANYBODY


async def test_a_token_is_verified_as_the_settings_say() -> None:
    with capture_logs() as logs:
        sign_in = signing_in_of(told(jwt_secret_key=SecretStr(SECRET), jwt_audience="us", jwt_issuer="we")).sign_in
    assert logs == []
    assert isinstance(sign_in, Bearers)
    assert await sign_in.grant(signed({"sub": "7", "aud": "us", "iss": "we"})) == Grant("7", None, None)
    refused = [await sign_in.grant(signed({"sub": "7", **claims})) for claims in ({"aud": "us"}, {"iss": "we"})]
    assert [each.why for each in refused if isinstance(each, TokenRefused)] == ["issuer", "audience"]


def test_secrets_and_a_public_key_stand_side_by_side(tmp_path: Path) -> None:
    """While a service goes from the one to the other."""
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(public_pem(key))
    sign_in = signing_in_of(told(jwt_secret_key=SecretStr(SECRET), jwt_public_key_file=str(path))).sign_in
    assert (
        sign_in.known(signed({"sub": "7"}))
        == sign_in.known(signed({"sub": "7"}, key, "EdDSA"))
        == Grant("7", None, None)
    )


def test_a_short_secret_is_warned_of_and_not_shown() -> None:
    """It works, as it did before; who has one token can guess it."""
    short = secrets.token_hex(8)
    with capture_logs() as logs:
        sign_in = signing_in_of(told(jwt_secret_key=SecretStr(f"{SECRET},{short}"))).sign_in
    assert isinstance(sign_in.known(signed({"sub": "7"}, short)), Grant)
    [warning] = logs
    assert (warning["event"], warning["log_level"]) == ("sign_in.weak", "warning")
    assert warning["why"] == (
        "1 of JWT_SECRET_KEY's secrets has less than 32 bytes, and who has one token can guess it: "
        "replace it (openssl rand -base64 32)"
    )
    assert short not in str(warning)


def test_what_is_demanded_is_a_setting() -> None:
    settings = told(jwt_secret_key=SecretStr(SECRET), auth_required=True, token_in_query=True)
    assert demands_of(settings) == Demands(required=True, in_query=True)


async def test_the_keys_of_an_issuer_are_fetched_and_kept_fresh() -> None:
    """At the start, so that nobody has to wait for them."""
    signer = Signer()
    issuer = Issuer(signer)
    async with publishing(issuer) as url:
        signing_in = signing_in_of(told(jwt_jwks_url=url))
        [part] = signing_in.parts()
        running = asyncio.create_task(part)
        await issuer.was_asked.wait()
        assert await signing_in.sign_in.grant(signer.token()) == Grant("7", None, None)
        assert (signing_in.key_fetches, issuer.asked) == ({"fetched": 1}, 1)
        running.cancel()
        await asyncio.wait([running])


async def test_where_everybody_has_to_sign_in_the_edge_is_unready_until_there_is_a_first_key() -> None:
    """Once there was one it stays ready: all edges lose an issuer at the same moment."""
    issuer = Issuer(Signer())
    async with publishing(issuer) as url:
        signing_in = signing_in_of(told(jwt_jwks_url=url, auth_required=True))
        assert signing_in.published is not None
        right = issuer.body
        for issuer.status, issuer.body, is_ready in (
            (503, b"", False),
            (200, b'{"keys":[]}', False),
            (200, right, True),
            (503, b"", True),
            (200, b'{"keys":[]}', True),
        ):
            await signing_in.published.ask()
            assert (signing_in.unready() is None) == is_ready


def test_an_edge_that_can_take_somebody_waits_for_no_issuer() -> None:
    """It has another key, or asks nobody for a token."""
    url = "https://issuer.example/keys"
    secret = SecretStr(SECRET)
    assert signing_in_of(told(jwt_jwks_url=url)).unready() is None
    assert signing_in_of(told(jwt_jwks_url=url, jwt_secret_key=secret, auth_required=True)).unready() is None
    assert signing_in_of(told(jwt_secret_key=secret, auth_required=True)).unready() is None
    assert signing_in_of(told(jwt_jwks_url=url, auth_required=True)).unready() == (
        "Nobody can sign in yet: JWT_JWKS_URL has given no key, and AUTH_REQUIRED asks everybody for a token."
    )


def test_keys_that_are_given_need_nothing_that_runs() -> None:
    assert list(signing_in_of(told(jwt_secret_key=SecretStr(SECRET))).parts()) == []
