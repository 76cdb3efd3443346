"""The keys that an issuer publishes as a JWK Set at one fixed URL.

Laws: one question at a time, however many want a key; an issuer that is away takes no key away, and none that it has
taken back is used when it has said so. A question has ``SECONDS`` and ``MAX_BYTES``, and goes nowhere but to that URL.
"""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
)

from edge.access.freshness import Freshness
from edge.access.keys import BadKey, Key, Keys, Published, published_keys

SECONDS: Final = 5.0
MAX_BYTES: Final = 256 * 1024

_HEADERS: Final = {"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"}

_logger = structlog.get_logger("edge.sign_in")


class NotFetched(Exception):
    """A sentence that says why there is no answer; the URL is not in it, since it may have a secret."""


async def fetch(url: str, *, seconds: float = SECONDS) -> bytes:
    """Ask a URL; raises :class:`NotFetched`."""
    try:
        async with (
            ClientSession(
                timeout=ClientTimeout(total=seconds),
                # Nothing of an earlier answer, of the environment or of a compressed bomb counts.
                cookie_jar=DummyCookieJar(),
                auto_decompress=False,
                headers=_HEADERS,
            ) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
                raise NotFetched(
                    f"the answer is {response.status}: it leads elsewhere, which is not followed: give the final URL"
                )
            if response.status != HTTPStatus.OK:
                raise NotFetched(f"the answer is {response.status}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise NotFetched("the answer is compressed, which was not asked for")
            body = b""
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_BYTES:
                    raise NotFetched(f"the answer has more than {MAX_BYTES} bytes")
            return body
    except TimeoutError:
        raise NotFetched(f"there was no whole answer within {seconds:g} s") from None
    except (ClientError, OSError, ValueError) as error:
        raise NotFetched(f"it cannot be asked: {_cause(error)}") from None


def _cause(error: Exception) -> str:
    """Say what is in the way; of the URL nothing is said, and so nothing of what an error's own text has."""
    match error:
        case ClientConnectorDNSError():
            return "its host's name is not known"
        case ClientConnectorCertificateError():
            return "its certificate is not to be trusted"
        case ClientSSLError():
            return "TLS with it fails"
        case ClientConnectorError(os_error=OSError(errno=int(number))):
            return os.strerror(number)
    return type(error).__name__


class PublishedKeys:
    """The keys of a URL, beside those that the edge was given; ``outcomes`` counts the questions.

    ``fetch`` puts a question; it raises :class:`NotFetched`.
    """

    def __init__(
        self,
        url: str,
        fixed: Sequence[Key] = (),
        *,
        outcomes: Counter[str],
        fetch: Callable[[str], Awaitable[bytes]] = fetch,
    ) -> None:
        self._url = url
        self._fixed = fixed
        self._outcomes = outcomes
        self._fetch = fetch
        self._freshness = Freshness()
        self._question: asyncio.Task[bool] | None = None
        self._turns = asyncio.Lock()
        self.keys = Keys(fixed)
        """All keys that are known."""
        self.had_keys = bool(fixed)
        """Whether any was ever known."""

    @property
    def wait(self) -> float:
        """In how many seconds there will be an answer to who asks now, as far as that depends on this edge; 0: soon."""
        if self._question is not None:
            return 0.0
        return self._freshness.wait(asyncio.get_running_loop().time())

    async def ask(self) -> bool:
        """Ask, or wait for the question that is under way; tell whether it is answered.

        Who gives up waiting leaves the question to others. Ask only when there is nothing to :attr:`wait` for.
        """
        if self._question is None:
            self._freshness.ask(asyncio.get_running_loop().time())
            self._question = asyncio.create_task(self._ask())
        question = self._question
        # The lock lets them go on one by one: what each does next would together be a turn of the loop of a second.
        async with self._turns:
            return await asyncio.shield(question)

    async def run(self) -> None:
        """Keep the keys fresh, for ever."""
        try:
            while True:
                if rest := self._freshness.rest(asyncio.get_running_loop().time()):
                    await asyncio.sleep(rest)
                else:
                    await self.ask()
        finally:
            if self._question is not None:
                self._question.cancel()
                await asyncio.wait([self._question])

    async def _ask(self) -> bool:
        try:
            found = published_keys(await self._fetch(self._url))
        except (NotFetched, BadKey) as why:
            _logger.warning("sign_in.keys_not_fetched", why=f"JWT_JWKS_URL: {why}", keys=len(self.keys))
        except Exception:
            _logger.exception("sign_in.keys_not_fetched", keys=len(self.keys))
        else:
            self._take(found)
            return True
        finally:
            self._question = None
        self._outcomes["failed"] += 1
        return False

    def _take(self, found: Published) -> None:
        self._outcomes["fetched"] += 1
        self.keys = Keys([*self._fixed, *found.keys])
        if not found.keys:
            # It is asked for again as soon as one that was not answered: an edge that needs keys waits for the first.
            why = "the JWK Set of JWT_JWKS_URL has no key that can be used"
            _logger.warning("sign_in.no_keys", why=why, left_out=found.left_out)
            return
        self._freshness.answer()
        self.had_keys = True
        _logger.info("sign_in.keys_fetched", keys=len(found.keys), left_out=found.left_out)
