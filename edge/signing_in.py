"""Makes what signs clients in, from the edge's settings, and warns of what is weak in them."""

from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from edge.access.bearers import Bearers, Given
from edge.access.jwks import PublishedKeys
from edge.access.keys import LONG, Keys, short_secrets
from edge.access.sign_in import Demands, NobodySignsIn, SignIn
from edge.access.tokens import Rules
from edge.token_settings import TokenSettings

_NO_KEY: Final = "Nobody can sign in yet: JWT_JWKS_URL has given no key, and AUTH_REQUIRED asks everybody for a token."

_logger = structlog.get_logger("edge.signing_in")


@dataclass(frozen=True, slots=True)
class SigningIn:
    """What signs clients in, and what is counted of that."""

    sign_in: SignIn
    key_fetches: Counter[str] = field(default_factory=Counter)
    """How often an issuer was asked for its keys, by what became of it."""
    published: PublishedKeys | None = None
    is_required: bool = False
    """Whether only who signs in is taken."""

    def unready(self) -> str | None:
        """Return why new clients had better go elsewhere: none of them could sign in, and each has to.

        Once there was a key this is over for good: all edges lose an issuer at the same moment.
        """
        if self.is_required and self.published is not None and not self.published.had_keys:
            return _NO_KEY
        return None

    def parts(self) -> Sequence[Coroutine[None, None, None]]:
        """Return what has to run for it, for ever."""
        return [] if self.published is None else [self.published.run()]


def signing_in_of(settings: TokenSettings) -> SigningIn:
    """Make what says whose tokens are."""
    if not settings.has_keys:
        if idle := settings.idle:
            why = f"no effect without JWT_SECRET_KEY, JWT_PUBLIC_KEY_FILE or JWT_JWKS_URL: {', '.join(idle)}"
            _logger.warning("sign_in.idle", why=why)
        return SigningIn(NobodySignsIn())
    keys = [*settings.secret_keys, *settings.public_keys]
    if short := short_secrets(keys):
        have, them = ("has", "it") if short == 1 else ("have", "them")
        why = (
            f"{short} of JWT_SECRET_KEY's secrets {have} less than {LONG} bytes, and who has one token can guess "
            f"{them}: replace {them} (openssl rand -base64 32)"
        )
        _logger.warning("sign_in.weak", why=why)
    rules = Rules(settings.jwt_audience or None, settings.jwt_issuer or None)
    if not settings.jwt_jwks_url:
        return SigningIn(Bearers(Given(Keys(keys)), rules))
    fetches: Counter[str] = Counter()
    published = PublishedKeys(settings.jwt_jwks_url, keys, outcomes=fetches)
    return SigningIn(Bearers(published, rules), fetches, published, settings.auth_required)


def demands_of(settings: TokenSettings) -> Demands:
    """Say what is asked of clients."""
    return Demands(required=settings.auth_required, in_query=settings.token_in_query)
