"""What the edge can be told about tokens, checked once, before anything is connected."""

from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from edge.access.keys import BadKey, Key, public_key_of, secrets_of
from runtime.settings import ProcessSettings

_NAMES: Final = {"secret_keys": "JWT_SECRET_KEY", "public_keys": "JWT_PUBLIC_KEY_FILE"}


class TokenSettings(ProcessSettings):
    """With which keys tokens are verified, and who has to bring one."""

    jwt_secret_key: SecretStr = SecretStr("")
    """Secrets of HS256, with commas between them: a token is good with any of them."""
    jwt_public_key_file: str = ""
    """A file with a public key or a certificate in PEM, of RS256, ES256 or EdDSA."""
    jwt_jwks_url: str = ""
    """Where the issuer publishes its public keys, as a JWK Set: https, or http on this machine."""
    jwt_audience: str = ""
    """For whom tokens are; empty for nobody in particular."""
    jwt_issuer: str = ""
    """Whose tokens they are; empty for anybody's who has a key."""
    auth_required: bool = False
    """Whether posts are shown only to who has signed in."""
    max_connections_per_subject: int = Field(0, ge=0)
    """Connections of one subject on this edge; 0 for no limit."""
    token_in_query: bool = False
    """Whether a token may come in a URL, as ``?token=``, where logs and histories show it."""

    @property
    def secret_keys(self) -> list[Key]:
        """The keys of ``jwt_secret_key``; raises :class:`edge.access.keys.BadKey`."""
        secrets = self.jwt_secret_key.get_secret_value()
        return secrets_of(secrets) if secrets else []

    @property
    def public_keys(self) -> list[Key]:
        """The key in ``jwt_public_key_file``; raises :class:`edge.access.keys.BadKey`."""
        if not self.jwt_public_key_file:
            return []
        path = self.jwt_public_key_file
        if "-----BEGIN" in path:
            raise BadKey("it must name a file, and has a key itself")
        try:
            return [public_key_of(Path(path).read_bytes())]
        except OSError as error:
            raise BadKey(f"{path} cannot be read: {error.strerror}") from None
        except BadKey as bad:
            raise BadKey(f"{path}: {bad}") from None

    @property
    def has_keys(self) -> bool:
        """Whether anybody can sign in."""
        return bool(self.jwt_secret_key.get_secret_value() or self.jwt_public_key_file or self.jwt_jwks_url)

    @property
    def idle(self) -> list[str]:
        """The settings that are set and have no effect without keys."""
        names = ("jwt_audience", "jwt_issuer", "max_connections_per_subject", "token_in_query")
        return [name.upper() for name in names if getattr(self, name) and not self.has_keys]

    @field_validator("jwt_jwks_url")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if value:
            _check_out_of_reach(value)
        return value

    @model_validator(mode="after")
    def _keys(self) -> Self:
        # Whether keys can be made of them is asked here, so that it is said with all else that is wrong.
        for name in ("secret_keys", "public_keys"):
            try:
                getattr(self, name)
            except BadKey as bad:
                raise ValueError(f"{_NAMES[name]} is wrong: {bad}") from None
        if self.auth_required and not self.has_keys:
            raise ValueError(
                "AUTH_REQUIRED needs keys to sign in with: JWT_SECRET_KEY, JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL"
            )
        return self


def _check_out_of_reach(url: str) -> None:
    """Refuse a URL unless nobody on the way can change what comes from it: who can could sign for everybody.

    Nothing of the URL is said, since it may have a secret.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("has spaces, or characters that a URL has percent-encoded")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a host or a port that is none") from None
    if "@" in parts.netloc:
        raise ValueError("must have no user and no password: a key that is published is asked for without")
    if parts.fragment:
        raise ValueError("must have no fragment (#…): it would not be sent")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and _is_here(host))):
        raise ValueError("must be a URL of https, or of http on localhost")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
