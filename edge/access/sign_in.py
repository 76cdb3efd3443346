"""Says whose a token is: the port through which everything about tokens is asked, and an edge without any keys."""

from typing import Final, Literal, NamedTuple, Protocol

from edge.access.grant import Fault, Grant, TokenRefused

_UNCONFIGURED: Final = TokenRefused("Nobody can sign in here: come without a token.", "unconfigured")

Outcome = Literal["granted", "anonymous"] | Fault
"""What becomes of a client, as the metrics have it; ``anonymous``: it had no token where one is demanded."""


class Demands(NamedTuple):
    """What is asked of clients."""

    required: bool = False
    """Whether posts are shown only to who has a token."""
    in_query: bool = False
    """Whether a token may stand in a URL."""


ANYBODY: Final = Demands()
"""Who comes without a token is welcome."""


class SignIn(Protocol):
    """Tells tokens that are good from others."""

    def known(self, token: str) -> Grant | TokenRefused | None:
        """Say what a token allows, or why it is refused; None when its key has to be fetched first."""
        ...

    async def grant(self, token: str) -> Grant | TokenRefused:
        """Say it: at once where that is known, else when the key is there, or is not to be had."""
        ...


class NobodySignsIn:
    """Refuses all tokens: there is no key to verify one with."""

    def known(self, token: str) -> Grant | TokenRefused:  # noqa: ARG002 - whatever it says
        """Refuse it."""
        return _UNCONFIGURED

    async def grant(self, token: str) -> Grant | TokenRefused:
        """Refuse it."""
        return self.known(token)
