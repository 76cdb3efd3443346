"""Server-Sent Events, read as an ``EventSource`` reads them, and more strictly."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final

import aiohttp

from integration.faults.bearers import Bearer
from integration.faults.sight import Breach, Moved, Shown, Told, Welcomed
from integration.faults.transports import CONNECT_SECONDS, FAILURES, Later, Transport, author_query, refuse_final
from tests.events import Event, EventReader

_RETRY_SECONDS: Final = 0.2
"""Until an edge has said something else."""


def told_of(event: Event, bearer: Bearer | None = None) -> Told | None:
    """Return what an event tells; None of the end. Raises :class:`Breach`, or :class:`Later` when a token ran out."""
    message, cursor = event.message, event.last_event_id
    if event.type == "end":
        refuse_final(message["payload"]["code"], message["payload"]["reason"], bearer)
        return None
    if not event.has_id:
        raise Breach(f"the event {event.type} has no id")
    if message["action"] != ("created" if event.type == "message" else event.type):
        raise Breach(f"the event {event.type} has a message {message['action']}")
    if event.type == "message":
        return Shown(message["payload"]["id"], cursor)
    if event.type != "welcome":
        return Moved(cursor)
    if message["payload"]["cursor"] != cursor:
        raise Breach(f"the welcome of {message['payload']['cursor']} has the id {cursor}")
    return Welcomed(cursor, message["payload"]["recovered"])


class EventConnection:
    """One stream."""

    def __init__(
        self, answer: aiohttp.ClientResponse, reader: EventReader, *, is_refusal: bool, bearer: Bearer | None = None
    ) -> None:
        self._answer = answer
        self._bearer = bearer
        self._reader = reader
        self._is_refusal = is_refusal

    async def told(self) -> AsyncIterator[Told]:
        """Yield what it is told; raises :class:`EOFError` at the stream's end."""
        async for data in self._answer.content.iter_any():
            for event in self._reader.feed(data):
                told = told_of(event, self._bearer)
                if told is not None and self._is_refusal:
                    raise Breach("a stream with Content-Length")
                if told is not None:
                    yield told
        raise EOFError

    def abort(self) -> None:
        """Be gone without a word."""
        connection = self._answer.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()


class Events(Transport):
    """Streams of one client.

    It comes back as an ``EventSource`` does, which says where it was beside the URL that it began with, and as a client
    that makes its URL anew, in turn.
    """

    name = "/events"

    def __init__(self, bearer: Bearer | None = None) -> None:
        self.bearer = bearer
        self._first: str | None = None
        self._returns = 0
        self._retry_ms: int | None = None

    @asynccontextmanager
    async def connect(
        self, edge: str, cursor: str | None, authors: frozenset[int] | None
    ) -> AsyncIterator[EventConnection]:
        """Ask an edge for a stream; raises :class:`Later` when that fails, and when the stream ends."""
        reader = EventReader(retry=self._retry_ms, last_event_id=cursor or "")
        query, headers = self._place(cursor)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        try:
            async with aiohttp.ClientSession(timeout=timeout) as session:
                async with asyncio.timeout(CONNECT_SECONDS):
                    answer = await session.get(
                        f"http://{edge}/events",
                        params={**author_query(authors), **query},
                        headers={**headers, **self.authorization},
                    )
                is_refusal = check_head(answer.status, answer.headers)
                yield EventConnection(answer, reader, is_refusal=is_refusal, bearer=self.bearer)
        except FAILURES as failure:
            self._retry_ms = reader.retry
            raise Later(_RETRY_SECONDS if reader.retry is None else reader.retry / 1000) from failure
        self._retry_ms = reader.retry

    def _place(self, cursor: str | None) -> tuple[dict[str, str], dict[str, str]]:
        """Return the query and the headers that say where it was."""
        if cursor is None:
            return {}, {}
        self._first = self._first or cursor
        self._returns += 1
        if self._returns % 2:
            return {"cursor": self._first}, {"Last-Event-ID": cursor}
        return {"cursor": cursor}, {}


def check_head(status: int, headers: Mapping[str, str]) -> bool:
    """Tell whether it is the head of a refusal, which has a length; raises :class:`Breach` when it is of no stream."""
    if status != HTTPStatus.OK:
        raise Breach(f"/events was refused with {status}")
    if headers.get("Content-Type") != "text/event-stream; charset=utf-8":
        raise Breach(f"a stream of the type {headers.get('Content-Type')}")
    if "Transfer-Encoding" in headers:
        raise Breach("a stream with Transfer-Encoding")
    return "Content-Length" in headers
