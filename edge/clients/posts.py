"""``/posts``: the feed in JSON pages, the read half of Durable Streams (docs/protocol.md, decision 0023)."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Final

from aiohttp import web

from edge.access.grant import Grant
from edge.access.http import NOWHERE
from edge.clients.connection import Connection
from edge.clients.page_figures import PageFigures
from edge.clients.placement import OldRecords
from edge.clients.post_answers import NO_STORE, Answer
from edge.clients.post_old_pages import OldPages
from edge.clients.post_pages import Pages
from edge.clients.post_reading import Poll, PostReading
from edge.clients.post_requests import PostsRequest, posts_request
from edge.clients.post_sending import Sending
from edge.clients.post_waiters import Waiters
from edge.clients.reception import SPREAD, STOPPED, Reception
from edge.clients.refusals import refusal
from edge.fanout.expiry import end_of
from edge.feed.log import Log
from edge.feed.paging import Extent
from edge.wire.handshake import Rejected, Why

PATH: Final = "/posts"
_METHODS: Final = ("GET", "HEAD")
_READ_ONLY: Final = Rejected(405, "Posts come from the queue: here they are only read.")


class Posts:
    """Answers requests to ``/posts``."""

    def __init__(
        self,
        reception: Reception,
        reading: PostReading,
        *,
        pages: Pages,
        waiters: Waiters,
        sending: Sending,
        refusals: Counter[tuple[str, Why]],
    ) -> None:
        self._reception = reception
        self._reading = reading
        self._pages = pages
        self._waiters = waiters
        self._sending = sending
        self._refusals = refusals
        # To requests that were understood, by their status.
        self._answers: Counter[str] = Counter()
        self._polls: set[Poll] = set()
        self._deserted = asyncio.Event()
        self._deserted.set()

    @property
    def figures(self) -> PageFigures:
        """What the metrics tell."""
        pages, sending = self._pages, self._sending
        return PageFigures(self._answers, len(self._waiters), sending.bytes, sending.stalled, pages.made, pages.size)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        refused = [web.route(method, PATH, _forbid) for method in ("POST", "PUT", "PATCH", "DELETE")]
        return [web.get(PATH, self._answer, allow_head=False), web.head(PATH, self._answer), *refused]

    async def drain(self, seconds: float) -> None:
        """Answer all that wait, one after the other; return when nobody is answered any more, or after that time."""
        for poll in self._polls:
            poll.is_over = True
        self._waiters.release(SPREAD * seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._deserted.wait()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        connection = self._reception.admit(request)
        if connection is None:
            return NOWHERE
        if isinstance(connection, Rejected):
            return self._refuse(connection)
        if self._reception.is_stopping:
            return self._refuse(self._reception.in_turn(STOPPED))
        poll = Poll(connection.block)
        self._polls.add(poll)
        self._deserted.clear()
        try:
            with connection.answering(poll.end):
                return await self._respond(request, connection, poll)
        finally:
            connection.sign_out()
            self._polls.discard(poll)
            if not self._polls:
                self._deserted.set()

    async def _respond(self, request: web.Request, connection: Connection, poll: Poll) -> web.StreamResponse:
        grant = await self._reception.signed_in(request, connection)
        if isinstance(grant, Rejected):
            found: Answer | Rejected = grant
        elif request.method == "HEAD":
            found = await self._reading.head()
        else:
            found = await self._read(posts_request(request.query, request.headers), grant, poll)
        if connection.is_lost:
            return NOWHERE
        if isinstance(found, Rejected):
            # All who ask are told that the feed is not there. The others have a time of their own.
            return self._refuse(self._reception.in_turn(found) if found.why == "feed" else found)
        self._answers[str(found.status.value)] += 1
        response = _response(found)
        if self._reception.is_stopping:
            response.force_close()
        await self._sending.send(request, response, found.body)
        return response

    def _refuse(self, rejected: Rejected) -> web.Response:
        self._refusals["http", rejected.why] += 1
        return _refusal(rejected)

    async def _read(self, asked: PostsRequest | Rejected, grant: Grant | None, poll: Poll) -> Answer | Rejected:
        if isinstance(asked, Rejected):
            return asked
        seen = self._reception.view(grant, asked.selection)
        if isinstance(seen, Rejected):
            return seen
        poll.ends_at = end_of(grant, now=asyncio.get_running_loop().time(), utc=time.time())
        return await self._reading.answer(replace(asked, selection=seen.selection), poll)


def posts_of(
    reception: Reception,
    *,
    log: Log,
    old: OldRecords,
    waiters: Waiters,
    extent: Extent,
    room: int,
    join_seconds: float,
    poll_seconds: float,
    stalled_seconds: float,
    refusals: Counter[tuple[str, Why]],
    share: Callable[[], float] = random.random,
) -> Posts:
    """Put the parts of ``/posts`` together; ``room`` is for pages that are being sent, in bytes.

    ``poll_seconds`` is how long a long poll waits, give or take a tenth; ``share`` returns random numbers from 0 to 1.
    """
    sending = Sending(stalled_seconds)
    pages = Pages(log, extent, room, sending.press)
    reading = PostReading(
        log,
        reception.feed,
        pages,
        OldPages(old, pages, extent, share),
        waiters,
        join_seconds=join_seconds,
        patience=poll_seconds,
        share=share,
    )
    return Posts(reception, reading, pages=pages, waiters=waiters, sending=sending, refusals=refusals)


def _response(answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.headers["X-Content-Type-Options"] = "nosniff"
    if answer.status in (HTTPStatus.OK, HTTPStatus.GONE):
        response.content_type = "application/json"
    if answer.body:
        response.content_length = len(answer.body)
    return response


def _refusal(rejected: Rejected) -> web.Response:
    response = refusal(rejected)
    response.headers["Cache-Control"] = NO_STORE
    return response


async def _forbid(_request: web.Request) -> web.Response:
    response = _refusal(_READ_ONLY)
    response.headers["Allow"] = ", ".join(_METHODS)
    return response
