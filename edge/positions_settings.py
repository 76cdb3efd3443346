"""What the edge can be told about stored positions."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edge.token_settings import TokenSettings
from runtime.database_url import Database, parse
from runtime.settings import Sourced


def _postgres(value: SecretStr) -> SecretStr:
    if value.get_secret_value():
        parse(value.get_secret_value())
    return value


class StoreSettings(Sourced):
    """Where the positions that devices acknowledge are stored: all that who makes the table has to know."""

    positions_url: Annotated[SecretStr, AfterValidator(_postgres)] = SecretStr("")
    """The database; empty where none are stored."""

    @property
    def positions(self) -> Database | None:
        """Where positions are stored; None where none are."""
        url = self.positions_url.get_secret_value()
        return parse(url) if url else None


class PositionsSettings(TokenSettings, StoreSettings):
    """Where positions are stored, how often, and that they are somebody's."""

    ack_seconds: float = Field(2, ge=0.1, le=60)
    """How long a position waits to be stored, with all others that have come by then."""

    @model_validator(mode="after")
    def _somebody_has_positions(self) -> Self:
        if self.positions_url.get_secret_value() and not self.has_keys:
            raise ValueError(
                "POSITIONS_URL needs keys to sign in with, since a position is somebody's: set JWT_SECRET_KEY, "
                "JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL, or leave POSITIONS_URL empty"
            )
        return self
