"""Gives tokens to whoever asks, as the login of a real installation would to its users.

The secret is made when the mock starts, and known to its edge alone.
"""

import secrets
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import jwt
from aiohttp import web

from edge.access.grant import LEEWAY_SECONDS
from streams.contract import MAX_ID

PATH: Final = "/mock/token"
_SECONDS: Final = 3600.0
_SECRET_BYTES: Final = 32
# An edge takes no token beyond the year 9999.
_MOST_SECONDS: Final = 1e9


class Issuer:
    """Signs tokens, each good for ``seconds`` unless another number is asked for; ``utc`` says the time."""

    def __init__(self, seconds: float = _SECONDS, utc: Callable[[], float] = time.time) -> None:
        self.secret = secrets.token_hex(_SECRET_BYTES)
        self._seconds = seconds
        self._utc = utc
        self._last_seconds: float | None = None
        self._had: set[str] = set()

    def give_last(self, seconds: float) -> None:
        """Give each subject one token more, whose session ends in so many seconds, and then none."""
        self._last_seconds = seconds
        self._had.clear()

    def give(self) -> None:
        """Give tokens again."""
        self._last_seconds = None

    def route(self) -> web.RouteDef:
        """Return where tokens are asked for."""
        return web.get(PATH, self._answer)

    def token(self, subject: str, authors: list[int] | None = None, seconds: float | None = None) -> str | None:
        """Return a token, which allows to see these authors' posts alone if there are any; None for none."""
        left = self._seconds if seconds is None else seconds
        if self._last_seconds is not None:
            if subject in self._had:
                return None
            self._had.add(subject)
            # It has expired already, and is taken for a while because clocks differ.
            left = self._last_seconds - LEEWAY_SECONDS
        claims: dict[str, Any] = {"sub": subject, "exp": self._utc() + left}
        if authors is not None:
            claims["postcast"] = {"authors": authors}
        return jwt.encode(claims, self.secret, "HS256")

    async def _answer(self, request: web.Request) -> web.Response:
        query = request.query
        headers = {"Cache-Control": "no-store"}
        try:
            authors = [int(each) for each in query["authors"].split(",") if each] if "authors" in query else None
            seconds = float(query["seconds"]) if "seconds" in query else None
            if not all(0 <= each <= MAX_ID for each in authors or ()) or not abs(seconds or 0) < _MOST_SECONDS:
                raise ValueError  # noqa: TRY301 - one sentence for all
        except ValueError:
            why = "authors must be ids with commas between them, and seconds a number.\n"
            return web.Response(status=HTTPStatus.BAD_REQUEST, text=why, headers=headers)
        token = self.token(query.get("subject") or "me", authors, seconds)
        if token is None:
            why = "There are no tokens just now.\n"
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, text=why, headers=headers)
        return web.Response(text=token, headers=headers)
