"""What the edge can be told about tokens, checked once, before anything is connected."""

from typing import Self

from pydantic import SecretStr, model_validator

from edge.access.keys import BadKey, Key, secrets_of
from runtime.settings import ProcessSettings


class TokenSettings(ProcessSettings):
    """With which keys tokens are verified, and who has to bring one."""

    jwt_secret_key: SecretStr = SecretStr("")
    """Secrets of HS256, with commas between them: a token is good with any of them."""
    jwt_audience: str = ""
    """For whom tokens are; empty for nobody in particular."""
    jwt_issuer: str = ""
    """Whose tokens they are; empty for anybody's who has a key."""
    auth_required: bool = False
    """Whether posts are shown only to who has signed in."""
    token_in_query: bool = False
    """Whether a token may come in a URL, as ``?token=``, where logs and histories show it."""

    @property
    def secret_keys(self) -> list[Key]:
        """The keys of ``jwt_secret_key``; raises :class:`edge.access.keys.BadKey`."""
        secrets = self.jwt_secret_key.get_secret_value()
        return secrets_of(secrets) if secrets else []

    @property
    def has_keys(self) -> bool:
        """Whether anybody can sign in."""
        return bool(self.jwt_secret_key.get_secret_value())

    @model_validator(mode="after")
    def _keys(self) -> Self:
        try:
            self.secret_keys  # noqa: B018 - it is asked whether they can be made
        except BadKey as bad:
            raise ValueError(f"JWT_SECRET_KEY is wrong: {bad}") from None
        if self.auth_required and not self.has_keys:
            raise ValueError("AUTH_REQUIRED needs keys to sign in with: JWT_SECRET_KEY")
        return self
