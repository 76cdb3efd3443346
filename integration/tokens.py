"""Tokens for tests, signed with a secret that is made for each run, and a service where clients fetch theirs."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import jwt
from aiohttp import web

from integration.ports import free_port

SECRET: Final = secrets.token_hex(32)
"""What edges under test verify tokens with."""


def token(subject: str = "alice", seconds: float = 3600, secret: str = SECRET, **claims: Any) -> str:
    """Sign a token that expires in so many seconds."""
    return jwt.encode({"sub": subject, "exp": int(time.time() + seconds), **claims}, secret, "HS256")


class Issuer:
    """A service that gives every page a token. Made by :func:`issuing`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.seconds = 3600.0
        """How long the next tokens are good for."""
        self.claims: dict[str, Any] = {}
        self.secret = SECRET
        self.is_away = False
        """Whether it has none to give."""
        self.given: list[str] = []

    async def answer(self, _: web.Request) -> web.Response:
        """Give a token, to pages of all origins."""
        headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"}
        if self.is_away:
            return web.Response(status=503, headers=headers)
        self.given.append(token(seconds=self.seconds, secret=self.secret, **self.claims))
        return web.Response(text=self.given[-1], headers=headers)


@asynccontextmanager
async def issuing() -> AsyncIterator[Issuer]:
    """Give tokens meanwhile."""
    issuer = Issuer(free_port())
    application = web.Application()
    application.router.add_get("/", issuer.answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", int(issuer.url.rstrip("/").rpartition(":")[2])).start()
        yield issuer
    finally:
        await runner.cleanup()
