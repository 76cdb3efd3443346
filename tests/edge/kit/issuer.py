"""An issuer of tokens: keys, and where it publishes them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge.access.jwks import NotFetched
from tests.edge.kit.listening import listening
from tests.edge.kit.tokens import signed


def public_pem(key: Any) -> bytes:
    """Write the public part of a private key as its owner hands it out."""
    pem: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return pem


class Signer:
    """A key of an issuer, with a name."""

    def __init__(self, kid: str = "k", key: Any = None, algorithm: str = "EdDSA") -> None:
        self.kid = kid
        self.key = Ed25519PrivateKey.generate() if key is None else key
        self.algorithm = algorithm

    @property
    def jwk(self) -> dict[str, Any]:
        """The public part."""
        method: Any = jwt.get_algorithm_by_name(self.algorithm)
        return {**method.to_jwk(self.key.public_key(), as_dict=True), "kid": self.kid, "use": "sig"}

    def token(self, subject: str = "7", **claims: Any) -> str:
        """Sign a token."""
        return signed({"sub": subject, **claims}, self.key, self.algorithm, {"kid": self.kid})


def jwks(*signers: Signer) -> bytes:
    """Write down what is published of these."""
    return json.dumps({"keys": [signer.jwk for signer in signers]}).encode()


class Issuer:
    """What is published, and how that is answered; ``asked`` counts."""

    def __init__(self, *signers: Signer) -> None:
        self.body = jwks(*signers)
        self.status = 200
        self.headers: Mapping[str, str] = {"Content-Type": "application/json"}
        self.asked = 0
        self.paths: list[str] = []
        self.requests: list[web.Request] = []
        self.is_away = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    async def fetch(self, url: str) -> bytes:
        """Answer without a network, as :func:`edge.access.jwks.fetch` does."""
        self.paths.append(url)
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()
        if self.is_away:
            raise NotFetched("away")
        return self.body

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        self.requests.append(request)
        self.paths.append(request.path)
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()
        return web.Response(status=self.status, body=self.body, headers=self.headers)


@asynccontextmanager
async def publishing(issuer: Issuer) -> AsyncIterator[str]:
    """Answer on loopback meanwhile, and name the URL."""
    application = web.Application()
    application.router.add_get("/{path:.*}", issuer.answer)
    async with listening(application) as port:
        yield f"http://127.0.0.1:{port}/keys"
