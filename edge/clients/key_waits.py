"""Waits for the keys of tokens that connected clients bring, and tells whose each is then."""

import asyncio
from collections.abc import Callable

import structlog

from edge.access.grant import Grant, TokenRefused
from edge.access.sign_in import SignIn

_logger = structlog.get_logger("edge.server")

_FAILED = TokenRefused("Whose the token is cannot be told now. Try again.", "key", retry_after=1.0)


class KeyWaits:
    """The waits of all clients; one that leaves is told, too, and knows what to do."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def ask(self, sign_in: SignIn, token: str, told: Callable[[Grant | TokenRefused], None]) -> None:
        """Have ``told`` called once, later, with what a token allows."""
        task = asyncio.get_running_loop().create_task(_ask(sign_in, token, told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _ask(sign_in: SignIn, token: str, told: Callable[[Grant | TokenRefused], None]) -> None:
    try:
        found = await sign_in.grant(token)
    except Exception:
        _logger.exception("sign_in.failed")
        found = _FAILED
    told(found)
