"""An issuer that publishes its keys by HTTPS, as whoever signs in meets it at a real edge."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import jwt
import pytest
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from edge.client import Refused, connect
from integration import topics
from integration.conftest import Install
from integration.ports import free_port

_KEY: Final = generate_private_key(SECP256R1())
_PATIENCE_SECONDS: Final = 30.0


@asynccontextmanager
async def publishing(authority: trustme.CA) -> AsyncIterator[str]:
    """Publish the key meanwhile; yields the URL."""
    published = {**json.loads(ECAlgorithm.to_jwk(_KEY.public_key())), "kid": "1", "alg": "ES256", "use": "sig"}

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"keys": [published]}, headers={"Cache-Control": "max-age=600"})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    application = web.Application()
    application.router.add_get("/keys", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        port = free_port()
        await web.TCPSite(runner, "localhost", port, ssl_context=context).start()
        yield f"https://localhost:{port}/keys"
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_token_is_good_where_its_issuers_certificate_is_trusted(install: Install, tmp_path: Path) -> None:
    """An authority of one's own is trusted by SSL_CERT_FILE; without it nobody is let in, and the log says why."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    token = jwt.encode({"sub": "a", "exp": int(time.time()) + 600}, _KEY, "ES256", {"kid": "1"})
    async with publishing(authority) as url:
        system = install(JWT_JWKS_URL=url)
        await topics.create(system.environment["KAFKA_URL"], {system.feed: 1})
        trusting, strange = system.edge(SSL_CERT_FILE=tmp_path / "authority.pem"), system.edge(SSL_CERT_FILE=None)
        for edge in (trusting, strange):
            await asyncio.to_thread(edge.until_ready)
        async with connect(f"http://127.0.0.1:{trusting.port}/", token=token) as feed:
            await until(lambda: feed.state == "live")
        forged = jwt.encode({"sub": "a"}, generate_private_key(SECP256R1()), "ES256", {"kid": "1"})
        async with connect(f"http://127.0.0.1:{trusting.port}/", token=forged) as feed:
            with pytest.raises(Refused, match="4501"):
                await anext(feed)
        async with connect(f"http://127.0.0.1:{strange.port}/", token=token) as feed:
            await until(lambda: feed.state == "waiting")
        # It asks again after a while.
        said = {each["why"] for each in strange.events("sign_in.keys_not_fetched")}
        assert said == {"JWT_JWKS_URL: it cannot be asked: its certificate is not to be trusted"}
        assert trusting.events("sign_in.keys_not_fetched") == []
