"""Says whose the tokens are that connected clients bring; where a key has to be fetched first, it says so later."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from edge.access.grant import Grant, TokenRefused
from edge.access.sign_in import SignIn

_logger = structlog.get_logger("edge.server")

FAILED: Final = TokenRefused("Whose the token is cannot be told now. Try again.", "key", retry_after=1.0)


class KeyWaits:
    """Asks ``sign_in``, in a task for each token that has to be waited for.

    The client of one may have left when it is told; it knows what to do.
    """

    def __init__(self, sign_in: SignIn) -> None:
        self._sign_in = sign_in
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def known(self, token: str) -> Grant | TokenRefused | None:
        """Say what a token allows, or why it is refused; None when its key has to be fetched first."""
        return self._sign_in.known(token)

    def ask(self, token: str, told: Callable[[Grant | TokenRefused], None]) -> None:
        """Have this called once, later, when the key is there or is not to be had."""
        task = asyncio.get_running_loop().create_task(self._ask(token, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, token: str, told: Callable[[Grant | TokenRefused], None]) -> None:
        try:
            found = await self._sign_in.grant(token)
        except Exception:
            _logger.exception("sign_in.failed")
            found = FAILED
        told(found)
