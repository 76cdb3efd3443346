"""The ways to read the feed: each makes :data:`~integration.faults.sight.Told` of what an edge sends."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import aiohttp
import websockets

from integration.faults.bearers import ENDING, Bearer
from integration.faults.sight import Breach, Told

CONNECT_SECONDS: Final = 3.0
"""A frozen edge takes a connection (its kernel does) and says nothing: go elsewhere after this long."""
FAILURES: Final = (OSError, TimeoutError, websockets.WebSocketException, aiohttp.ClientError, EOFError)
"""How a connection that is cut, or cannot be made, may show."""

_FINAL: Final = frozenset({1002, 1008, 1009})
_UNAUTHORIZED: Final = 4501
_OURS_AND_FINAL: Final = range(4500, 5000)


class Later(Exception):
    """The edge said when to come back."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"in {seconds} s")
        self.seconds = seconds


class Connection(Protocol):
    """A client's connection to an edge."""

    def told(self) -> AsyncIterator[Told]:
        """Yield what it is told until its end; raises :class:`Later` and :class:`Breach` too."""
        ...

    def abort(self) -> None:
        """Be gone without a word."""
        ...


class Transport(ABC):
    """A way to read the feed, for one client: it may remember what the edges told it."""

    name: str
    """What it is called in outcomes."""
    bearer: Bearer | None = None
    """Whose token it brings; None for none."""

    device: str | None = None
    """The name under which an edge keeps its place; None where it brings its place itself."""

    @property
    def authorization(self) -> dict[str, str]:
        """The header with the token, one that begins now."""
        return {} if self.bearer is None else {"Authorization": f"Bearer {self.bearer.token()}"}

    @abstractmethod
    def connect(
        self, edge: str, cursor: str | None, authors: frozenset[int] | None
    ) -> AbstractAsyncContextManager[Connection]:
        """Connect to an edge (``host:port``), where the client was, and ask for the posts of some authors or of all."""

    changes: bool = False
    """Whether it asks for other authors now and then."""

    def settle(self) -> None:  # noqa: B027 - most have nothing to do
        """Ask for other authors no more."""


def refuse_final(code: int, reason: str, bearer: Bearer | None = None) -> None:
    """Raise :class:`Breach` when a code says not to come back: no client here has done anything for that.

    A client whose token has run out comes back with another one: then it is :class:`Later`.
    """
    if code == _UNAUTHORIZED and bearer is not None and bearer.seconds == ENDING:
        raise Later(0.0)
    if code in _FINAL or code in _OURS_AND_FINAL:
        raise Breach(f"it was told not to come back: {code} {reason}")


def author_query(authors: frozenset[int] | None) -> dict[str, str]:
    """Return the query that asks for these authors' posts; none for everybody's."""
    return {} if authors is None else {"author": ",".join(map(str, sorted(authors)))}
