"""Makes what signs clients in, from the edge's settings, and warns of what is weak in them."""

import structlog

from edge.access.bearers import Bearers
from edge.access.keys import LONG, Keys, short_secrets
from edge.access.sign_in import Demands, NobodySignsIn, SignIn
from edge.access.tokens import Rules
from edge.token_settings import TokenSettings

_logger = structlog.get_logger("edge.signing_in")


def sign_in_of(settings: TokenSettings) -> SignIn:
    """Make what says whose tokens are."""
    if not settings.has_keys:
        return NobodySignsIn()
    keys = [*settings.secret_keys, *settings.public_keys]
    if short := short_secrets(keys):
        why = f"of JWT_SECRET_KEY's secrets {short} have less than {LONG} bytes: who has one token can guess them"
        _logger.warning("sign_in.weak", why=why)
    return Bearers(Keys(keys), Rules(settings.jwt_audience or None, settings.jwt_issuer or None))


def demands_of(settings: TokenSettings) -> Demands:
    """Say what is asked of clients."""
    return Demands(required=settings.auth_required, in_query=settings.token_in_query)
