"""Pages of posts, asked for one after the other, as a client of Durable Streams does."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, NamedTuple

import aiohttp

from integration.faults.bearers import Bearer
from integration.faults.sight import Breach, Moved, Shown, Told, Welcomed
from integration.faults.transports import CONNECT_SECONDS, Later, Transport, author_query

_NOW: Final = "now"
_WAIT_SECONDS: Final = 35.0
"""How long a long poll may take: 25 s and a tenth, and something for a machine with much else to do."""
_LATER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class Page(NamedTuple):
    """An answer: what it tells, where to go on, whether to wait there, and what to repeat then."""

    told: tuple[Told, ...]
    offset: str
    is_up_to_date: bool
    echo: str | None


def page_of(status: int, headers: Mapping[str, str], body: bytes, *, asked: str, is_back: bool) -> Page:
    """Read the answer to ``asked``, an offset; raises :class:`Later` and :class:`Breach`.

    ``is_back`` when it is the first one on a connection: then it tells, too, whether anything was missed.
    """
    if status in _LATER:
        raise Later(float(headers["Retry-After"]))
    offset = headers.get("Stream-Next-Offset")
    if offset is None:
        raise Breach(f"/posts was answered with {status} and no place: {body.decode()}")
    told: list[Told] = []
    if status == HTTPStatus.GONE:
        payload = json.loads(body)
        if payload["recovered"] or payload["cursor"] != offset:
            raise Breach(f"410 with {payload} and the place {offset}")
        told = [Welcomed(offset, is_recovered=False)]
    elif status == HTTPStatus.OK:
        shown = [Shown(message["payload"]["id"], message["cursor"]) for message in json.loads(body)]
        places = [asked if asked != _NOW else "", *(post.cursor or "" for post in shown)]
        if places != sorted(set(places)) or offset < places[-1]:
            raise Breach(f"a page of {asked} up to {offset} has the cursors {places[1:]}")
        told = [*([Welcomed(offset if asked == _NOW else asked, is_recovered=True)] if is_back else []), *shown]
        told.append(Moved(offset))
    elif status == HTTPStatus.NO_CONTENT and not is_back:
        told = [Moved(offset)]
    else:
        raise Breach(f"/posts was answered with {status}")
    return Page(tuple(told), offset, headers.get("Stream-Up-To-Date") == "true", headers.get("Stream-Cursor"))


class PageConnection:
    """One request after the other to one edge."""

    def __init__(self, session: aiohttp.ClientSession, url: str, query: dict[str, str], cursor: str | None) -> None:
        self._session = session
        self._url = url
        self._query = query
        self._offset = cursor or _NOW

    async def told(self) -> AsyncIterator[Told]:
        """Yield what it is told: first what it has missed, page by page, then what comes."""
        page = await self._page({}, is_back=True)
        while True:
            for told in page.told:
                yield told
            self._offset = page.offset
            waiting = {"live": "long-poll"} if page.is_up_to_date else {}
            page = await self._page(waiting if page.echo is None else {**waiting, "cursor": page.echo}, is_back=False)

    def abort(self) -> None:
        """Nothing more is to be done: a request that is cancelled is gone without a word."""

    async def _page(self, more: Mapping[str, str], *, is_back: bool) -> Page:
        query = {**self._query, "offset": self._offset, **more}
        async with (
            asyncio.timeout(CONNECT_SECONDS if is_back else _WAIT_SECONDS),
            self._session.get(self._url, params=query) as answer,
        ):
            return page_of(answer.status, answer.headers, await answer.read(), asked=self._offset, is_back=is_back)


class Pages(Transport):
    """Pages for one client."""

    name = "/posts"

    def __init__(self, bearer: Bearer | None = None) -> None:
        self.bearer = bearer

    @asynccontextmanager
    async def connect(
        self, edge: str, cursor: str | None, authors: frozenset[int] | None
    ) -> AsyncIterator[PageConnection]:
        """Ask an edge from now on; nothing is sent yet."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout, headers=self.authorization) as session:
            yield PageConnection(session, f"http://{edge}/posts", author_query(authors), cursor)
