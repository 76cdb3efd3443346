"""A client of Postcast's feed: it resumes at its newest cursor, and waits before it comes back (docs/python.md).

    async with connect("https://posts.example/", history=20) as feed:
        async for item in feed:
            print(item.payload["description"] if isinstance(item, Post) else f"posts may be missing: {item.reason}")

It follows docs/protocol.md, by the rules of ``assets/client.js``. It imports aiohttp and the standard library alone, so
that it can be copied into any project: that is why it is longer than a module of ours may be. ``python -m edge.client``
prints a feed.

Part of Postcast 0.1.0, under the Apache License 2.0.
"""

import argparse
import asyncio
import inspect
import io
import json
import logging
import os
import random
import re
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, Self, TypeVar, get_args
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

import aiohttp

# Seconds between attempts: doubled up to a minute, and drawn at random from the upper half, so that the clients of an
# edge that restarts do not all come back at the same moment.
_LONGEST_SECONDS: Final = 60.0
# A wait that an edge asks for is obeyed up to a day, and after so many failures in a row only if it is the longer one.
_LONGEST_ASKED_SECONDS: Final = 86_400.0
_MOST_ASKED: Final = 5
# An edge answers within JOIN_SECONDS (5); one that has not welcomed us after so long is not going to.
_WELCOME_SECONDS: Final = 20.0
# An answer to a long poll takes 27.5 s at most, unless LONG_POLL_SECONDS says otherwise.
_POLL_SECONDS: Final = 75.0
# A client that polls because no WebSocket got through looks after so long whether one does, and then after twice as
# long each time: an edge that was just starting refused it, or something in between that never lets one through.
_POLLING_SECONDS: Final = 30.0
_LONGEST_POLLING_SECONDS: Final = 600.0
# After so many heartbeats without a word a connection is given up.
_PATIENCE: Final = 2.5
# How many items may wait to be asked for. Beyond it nothing is read, so that the edge waits, or ends the connection.
_WAITING_ITEMS: Final = 1000
_SAVE_SECONDS: Final = 1.0
# An edge ends a session of more than ten errors a minute for good. After so many it is told no more what was handled.
_MOST_ERRORS: Final = 5
_BUSY_SECONDS: Final = 1.0
# A token that cannot be had at expiring is asked for again: an edge says a minute before that the old one expires.
_AGAIN_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 1.0
# Who was cancelled may take so long for its end, such as a close, and is cancelled again if it goes on.
_END_SECONDS: Final = 2.0
# Far above any post: Kafka takes records of 1 MiB unless it is told otherwise.
_MESSAGE_BYTES: Final = 1 << 26
# These stand for a close without a code, and for a connection that ended without a close (RFC 6455, section 7.1.5).
_NO_CODE: Final = 1005
_CUT: Final = 1006
_UNAUTHORIZED: Final = 4501
_LARGEST_ID: Final = 2**63 - 1
# So many tokens in a row may be refused where there is a function that returns another one: the clock that tells it
# when a token expires may be late by some seconds.
_MOST_REFUSED: Final = 5
# What the statuses of HTTP that do not ask to come back are as close codes.
_FINAL_STATUSES: Final = {400: 4500, 401: _UNAUTHORIZED, 403: 4503, 414: 4500}

_log: Final = logging.getLogger("postcast.client")
_T = TypeVar("_T")

State = Literal["connecting", "live", "waiting", "closed"]
Transport = Literal["websocket", "long-polling"]
Token = str | Callable[[], str | Awaitable[str | None] | None]


@dataclass(frozen=True, slots=True)
class Post:
    """A post. ``cursor`` is the position behind it; ``window`` the start of its window, in ms since 1970 (UTC)."""

    payload: dict[str, Any]
    cursor: str
    window: int | None = None

    @property
    def id(self) -> int:
        """The post's id. Raises :class:`KeyError` where an installation's own lookup gives its payloads none."""
        id_: int = self.payload["id"]
        return id_


@dataclass(frozen=True, slots=True)
class Gap:
    """Posts may be missing here: the protocol's reason, and how many records of the feed, where that is known."""

    reason: str
    cursor: str
    lost: int | None = None


class Refused(Exception):
    """The edge asks not to come back: a close code of docs/protocol.md, and its reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"the feed was closed with {code}: {reason}")
        self.code = code
        self.reason = reason


class Unauthorized(Refused):
    """The token is refused, or has run out. A token function may raise it, too, to end the feed."""

    def __init__(self, code: int = _UNAUTHORIZED, reason: str = "there is no token") -> None:
        super().__init__(code, reason)


class Store(Protocol):
    """Keeps the cursor from one run to the next. Both methods may be coroutines."""

    def get(self) -> str | Awaitable[str | None] | None:
        """Return the cursor that was set last, None if there is none."""
        ...

    def set(self, cursor: str, /) -> Awaitable[None] | None:
        """Keep a cursor."""
        ...


class FileStore:
    """Keeps the cursor in a file, which is replaced as a whole: a crash leaves the old cursor or the new one."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._newest = ""
        self._writing = threading.Lock()

    def get(self) -> str | None:
        """Read it; None if there is no file yet. Raises :class:`OSError`."""
        try:
            return self._path.read_text("ascii", errors="replace").strip() or None
        except FileNotFoundError:
            return None

    async def set(self, cursor: str, /) -> None:
        """Write it in a thread, since a disk may take its time. Raises :class:`OSError`."""
        self._newest = cursor
        await asyncio.to_thread(self._write)

    def _write(self) -> None:
        # Of two threads, one of them of a cancelled set, each writes what is the newest by then.
        with self._writing:
            file, name = tempfile.mkstemp(prefix=f"{self._path.name}.", dir=self._path.parent)
            try:
                with os.fdopen(file, "w") as writer:
                    writer.write(f"{self._newest}\n")
                    writer.flush()
                    os.fsync(file)
                Path(name).replace(self._path)
            except BaseException:
                Path(name).unlink()
                raise


def is_final(code: int) -> bool:
    """Tell whether a close code asks a client not to come back (docs/protocol.md, "Close codes")."""
    return code in {1002, 1008, 1009} or 4500 <= code <= 4999  # noqa: PLR2004 - the protocol's


def pause(failures: int, asked: float | None, chance: float) -> float:
    """Return the seconds to wait, after so many failures in a row before this one.

    ``asked`` is what the edge has asked for; ``chance``, from 0 to 1, is where between half and the whole of our own
    wait it lies.
    """
    ours = min(_LONGEST_SECONDS, 2.0 ** min(failures, 10)) * (0.5 + 0.5 * chance)
    theirs = ours if asked is None else min(asked, _LONGEST_ASKED_SECONDS)
    return theirs if failures < _MOST_ASKED else max(ours, theirs)


class _Ended(Exception):
    """What an attempt or a connection ended with, and whether another transport may do better."""

    def __init__(self, code: int, reason: str, retry_after: str | None = None, *, others: bool = True) -> None:
        super().__init__(code, reason)
        self.code = code
        # It is shown on terminals, and may be anybody's.
        self.reason = _printable(reason)
        seconds = reason.partition("retry_after=")[2] if retry_after is None else retry_after
        self.asked = float(seconds) if re.fullmatch(r"\d+(\.\d*)?", seconds, re.ASCII) else None
        self.allows_others = others and code == _CUT and self.asked is None


@dataclass(slots=True)
class _Entry:
    """An item that waits or is in hand, and the position that is reached when it is handled."""

    item: Post | Gap
    cursor: str


class Feed:
    """Items in order, by ``async for`` inside ``async with``; for one task.

    It follows the feed of the edge at ``url`` (``https:``, ``wss:``, ``http:`` or ``ws:``), and begins behind
    ``cursor``; else behind the one in ``store``; else where the edge knows that ``device`` was; else with the last
    ``history`` posts. ``author`` is whose posts to show, None for everybody's. ``token`` is a token, or a function that
    returns one, asked at each connect and when the token expires. ``session`` is for one's own TLS, proxy or headers,
    and stays open. Raises :class:`ValueError` for what can never be, and :class:`Refused` while it is iterated.
    """

    def __init__(
        self,
        url: str,
        *,
        cursor: str | None = None,
        history: int = 0,
        author: int | str | Iterable[int | str] | None = None,
        token: Token | None = None,
        device: str | None = None,
        store: Store | None = None,
        transports: Sequence[Transport] = ("websocket", "long-polling"),
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._url = urlsplit(url)
        authors = None if author is None else _joined(author)
        for is_wrong, why in (
            (not _is_followed(self._url), "the URL is not one of http, https, ws or wss with a host"),
            ("@" in self._url.netloc, "the URL has a user or a password: give a token"),
            (not _is_number(history), "history is not a number of posts, 0 or more"),
            (authors == "", "author is empty, which would show all posts: leave it out for that"),
            (authors is not None and not all(map(_is_id, authors.split(","))), "an author is not from 0 to 2**63 - 1"),
            (not (token is None or isinstance(token, str) or callable(token)), "token is not a string or a function"),
            (device is not None and not _is_name(device), "device is not 1 to 64 of A-Z a-z 0-9 . _ ~ -"),
            (store is not None and not (hasattr(store, "get") and hasattr(store, "set")), "store has no get or no set"),
            (not transports, "there is no transport"),
            (not set(transports) <= set(get_args(Transport)), f"a transport is not one of {get_args(Transport)}"),
            (device is not None and "websocket" not in transports, "a device counts by websocket alone: add that"),
        ):
            if is_wrong:
                raise ValueError(why)
        self._filter = {} if authors is None else {"author": authors}
        self._history = history
        self._token = token
        self._device = device
        self._store = store
        self._transports = transports
        self._polling = _POLLING_SECONDS
        self._session: Any = session
        self._own_session: aiohttp.ClientSession | None = None
        self._state: State = "connecting"
        self._by = transports[0]
        self._running: asyncio.Task[None] | None = None
        # The newest position that was received, the one that was handled, the one that was kept; and what the edge was
        # told of, and has answered for.
        self._newest = self._cursor = self._saved = cursor
        self._told: str | None = None
        self._acknowledged: str | None = None
        self._is_moved = False
        self._saving: asyncio.Task[None] | None = None
        self._items: deque[_Entry] = deque()
        self._in_hand: _Entry | None = None
        self._changed = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        # What follows is the connection's that there is.
        self._socket: Any = None
        self._heartbeat = 0.0
        self._requests = 0
        self._errors = 0
        self._renewing: asyncio.Task[None] | None = None
        self._renewal = 0

    @property
    def state(self) -> State:
        """What it does: ``waiting`` is between two attempts."""
        return self._state

    @property
    def cursor(self) -> str | None:
        """The position behind the last item that was handled; None before there is one."""
        return self._cursor

    @property
    def acknowledged(self) -> str | None:
        """The position that the edge has stored for ``device`` by its last answer; None before there is one."""
        return self._acknowledged

    def reconnect(self) -> None:
        """Connect now, without waiting. Nothing where it does not wait."""
        self._hurry.set()

    async def __aenter__(self) -> Self:
        if self._cursor is None and self._store is not None:
            self._newest = self._cursor = self._saved = await _result(self._store.get())
        if self._session is None:
            self._session = self._own_session = aiohttp.ClientSession()
        self._running = asyncio.create_task(self._run())
        self._running.add_done_callback(lambda _: self._enter("closed"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End for good. What was not asked for is dropped, and comes again when you resume with :attr:`cursor`."""
        try:
            await _cancelled(self._saving)
            await self._save()
        finally:
            await _cancelled(self._running)
            await _cancelled(self._saving)
            # Until nothing comes any more: what comes behind an item that nobody handled must not move the cursor.
            self._in_hand = None
            self._items.clear()
            if self._own_session is not None:
                await self._own_session.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Post | Gap:
        if self._running is None:
            raise RuntimeError("iterate over a feed inside of async with")
        self.handled()
        while not self._items:
            if self._running.done():
                if not self._running.cancelled():
                    self._running.result()
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        self._in_hand = self._items.popleft()
        self._room.set()
        return self._in_hand.item

    def handled(self) -> None:
        """Count the item in hand as handled. Asking for the next one does so, too; leaving the loop does not."""
        entry, self._in_hand = self._in_hand, None
        if entry is not None:
            self._cursor = entry.cursor
            self._save_soon()

    def _save_soon(self) -> None:
        self._is_moved = True
        is_needed = self._store is not None or self._device is not None
        if is_needed and (self._saving is None or self._saving.done()):
            self._saving = asyncio.create_task(self._save_later())

    async def _save_later(self) -> None:
        while self._is_moved:
            await asyncio.sleep(_SAVE_SECONDS)
            await self._save()

    async def _save(self) -> None:
        self._is_moved = False
        cursor = self._cursor
        if self._store is not None and cursor is not None and cursor != self._saved:
            try:
                await _result(self._store.set(cursor))
                self._saved = cursor
            except Exception as error:  # noqa: BLE001 - whatever the caller's store fails with, the feed goes on
                _log.warning("the cursor could not be kept: %s: %s", type(error).__name__, error)
        is_heard = self._device is not None and self._socket is not None and self._errors < _MOST_ERRORS
        if is_heard and cursor is not None and cursor != self._told:
            self._told = cursor
            await self._request("ack", {"cursor": cursor})

    async def _run(self) -> None:
        """Make one connection after the other, until the edge says that it is of no use."""
        failures = refused = 0
        transport = self._usable(0)[0]
        while True:
            self._by = self._transports[transport]
            self._enter("connecting")
            try:
                await self._attempt(transport)
                end = None
            except _Ended as ended:
                end = ended
            is_welcomed = self._state == "live"
            failures, refused = (0, 0) if is_welcomed else (failures, refused)
            others = self._usable(transport + 1)
            transport = self._usable(0)[0]
            if end is not None and end.allows_others and not is_welcomed and others:
                transport = others[0]
                self._tell_of_the_next(self._transports[transport], end)
            elif end is not None:
                refused += end.code == _UNAUTHORIZED
                self._refuse_final(end, refused)
                seconds = pause(failures, end.asked, random.random())  # noqa: S311 - no secret
                failures += 1
                # Who lost a connection has no use for the code that stands for it.
                code = "" if end.code == _CUT else f" ({end.code})"
                _log.warning("%s%s; connecting again in %.1f s", end.reason, code, seconds)
                self._enter("waiting")
                self._hurry.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._hurry.wait()

    def _usable(self, first: int) -> list[int]:
        """Return which transports may be tried, from one on; of all of them there is always one."""
        # By polling it would begin with the posts that come from now on, and move the stored position past the others.
        is_at_the_stored = self._device is not None and self._newest is None
        by = enumerate(self._transports)
        return [index for index, each in by if index >= first and not (is_at_the_stored and each == "long-polling")]

    def _refuse_final(self, end: _Ended, refused: int) -> None:
        """Raise for an end that is final; ``refused`` tokens in a row were, this one included."""
        may_have_another = end.code == _UNAUTHORIZED and callable(self._token) and refused <= _MOST_REFUSED
        if is_final(end.code) and not may_have_another:
            raise (Unauthorized if end.code == _UNAUTHORIZED else Refused)(end.code, end.reason)

    def _enter(self, state: State) -> None:
        self._state = state
        self._changed.set()
        if state != "waiting":
            _log.info("%s: %s by %s", state, self._shown(self._by), self._by)

    def _tell_of_the_next(self, by: Transport, end: _Ended) -> None:
        but = ", where history and device do not count" if by == "long-polling" else ""
        _log.warning("%s: %s; trying %s by %s%s", self._shown(self._by), end.reason, self._shown(by), by, but)

    def _shown(self, by: Transport) -> str:
        """Return the address of a transport, without the query, which may have a secret."""
        path = self._url.path if by == "websocket" else self._posts
        return self._url._replace(path=path, query="", fragment="").geturl()

    @property
    def _posts(self) -> str:
        return self._url.path.rpartition("/")[0] + "/posts"

    async def _attempt(self, transport: int) -> None:
        """Connect and take what comes; return when another transport is to be tried, else raise :class:`_Ended`."""
        token = await self._ask()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            async with asyncio.timeout(_WELCOME_SECONDS) as limit:
                if self._by == "websocket":
                    await self._follow(headers, limit)
                else:
                    await self._poll(headers, limit, ends_at=_now() + self._polling if transport else None)
                    self._polling = min(2 * self._polling, _LONGEST_POLLING_SECONDS)
        except TimeoutError:
            raise _Ended(_CUT, "nothing was heard of the edge") from None
        except aiohttp.ClientResponseError as error:
            # Its own text has the URL's query, which may have a secret.
            what = "WebSocket" if self._by == "websocket" else "page"
            retry_after = (error.headers or {}).get("Retry-After")  # type: ignore[call-overload] # the {} is of Never
            raise _Ended(_CUT, f"no {what}, but the HTTP status {error.status}", retry_after) from error
        except aiohttp.InvalidURL as error:
            raise _Ended(_CUT, "it was redirected to what is no URL") from error
        except aiohttp.ClientConnectorError as error:
            # Nobody is there: another transport would find nobody either.
            # aiohttp names its setting for TLS, for http: too.
            raise _Ended(_CUT, str(error).replace(" ssl:default", ""), others=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _Ended(_CUT, str(error) or type(error).__name__) from error

    async def _ask(self) -> str | None:
        """Return the token, None for none. Raises :class:`Unauthorized` if the token function does."""
        try:
            async with asyncio.timeout(_WELCOME_SECONDS):
                token = await _result(self._token() if callable(self._token) else self._token)
        except Unauthorized:
            raise
        except Exception as error:
            # What it says may have a secret: an error of aiohttp's has the headers of the request.
            _log.warning("the token function has failed: %s", type(error).__name__)
            raise _Ended(_CUT, "there is no token", others=False) from error
        if token and not _is_sendable(token):
            raise ValueError("the token cannot stand in a header")
        return token or None

    async def _follow(self, headers: dict[str, str], limit: asyncio.Timeout) -> None:
        query: dict[str, Any] = {**self._filter} if self._device is None else {**self._filter, "device": self._device}
        # One of the two, always: it says that we understand more than posts, should a proxy drop the subprotocol.
        query |= {"history": self._history} if self._newest is None else {"cursor": self._newest}
        socket = await self._session.ws_connect(
            _address(self._url, {"http": "ws", "https": "wss"}, self._url.path, query),
            protocols=("postcast.v1",),
            headers=headers,
            max_msg_size=_MESSAGE_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_SECONDS),
        )
        self._errors, self._told = 0, None
        try:
            _raise_late(limit)
            while True:
                message = await socket.receive()
                if message.type is aiohttp.WSMsgType.CLOSE:
                    raise _Ended(message.data or _NO_CODE, message.extra or "")
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise _Ended(_CUT, "the connection was lost")
                welcome_by = limit.when()
                # It is we who are waited for when there is no room.
                limit.reschedule(None)
                await self._receive(_parsed(message.data, dict), socket)
                if self._state != "live":
                    limit.reschedule(welcome_by)
                elif self._heartbeat:
                    limit.reschedule(_now() + _PATIENCE * self._heartbeat)
        finally:
            self._socket = None
            if self._renewing is not None:
                self._renewing.cancel()
            await socket.close()

    async def _poll(self, headers: dict[str, str], limit: asyncio.Timeout, *, ends_at: float | None) -> None:
        live: dict[str, str] = {}
        while ends_at is None or _now() < ends_at:
            asked_at = _now()
            limit.reschedule(asked_at + (_POLL_SECONDS if live else _WELCOME_SECONDS))
            before = self._newest
            query = {**self._filter, "offset": before or "now", **live}
            url = _address(self._url, {"ws": "http", "wss": "https"}, self._posts, query)
            asked = {"headers": headers, "timeout": aiohttp.ClientTimeout(), "raise_for_status": False}
            async with self._session.get(url, **asked) as response:
                _raise_late(limit)
                text = await response.text(errors="replace")
            limit.reschedule(None)
            offset = response.headers.get("Stream-Next-Offset")
            if offset is None or response.status not in {200, 204, 410}:
                code = _FINAL_STATUSES.get(response.status, _CUT)
                reason = f"/posts was answered with {response.status}" if code == _CUT else text.strip()
                raise _Ended(code, reason, response.headers.get("Retry-After"))
            messages = _parsed(text, list) if response.status == 200 else []  # noqa: PLR2004 - HTTP's
            gap = _gap(_parsed(text, dict), offset) if response.status == 410 else None  # noqa: PLR2004 - HTTP's
            self._welcomed()
            for message in messages:
                await self._receive(message)
            await self._take(offset, gap)
            is_up_to_date = response.headers.get("Stream-Up-To-Date") == "true"
            if not messages and (live or (offset == before and not is_up_to_date)):
                # Something in between that does not wait must not make us ask without end.
                await asyncio.sleep(asked_at + 1.0 - _now())
            echo = response.headers.get("Stream-Cursor")
            live = {} if echo is None else {"cursor": echo}
            live = {"live": "long-poll", **live} if is_up_to_date else {}

    async def _receive(self, message: Any, socket: Any = None) -> None:
        try:
            action, payload, cursor = message["action"], message.get("payload"), _cursor(message)
            item: Post | Gap | None = None
            if action == "welcome":
                self._socket, self._heartbeat = socket, float(payload.get("heartbeat", 0))
                self._polling = _POLLING_SECONDS
                self._welcomed()
                item = None if payload["recovered"] else _gap(payload, cursor)
            elif action == "created":
                item = Post(payload, cursor, message.get("window"))
            elif action == "acked":
                self._acknowledged = payload["position"]
            elif action == "error" and payload["code"] == "busy":
                # The edge could not do it now, which is no error of ours: it is asked again.
                if message.get("id") == self._renewal:
                    self._renewing = asyncio.create_task(self._renew(_BUSY_SECONDS))
                else:
                    self._told = None
                    self._save_soon()
            elif action == "error":
                self._errors += 1
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise _unreadable() from error
        if item is not None or isinstance(cursor, str):
            # Whatever it is that we do not know: with a cursor it says where we stand.
            await self._take(cursor, item)
        elif action == "expiring" and callable(self._token):
            self._renewing = asyncio.create_task(self._renew(0.0))

    def _welcomed(self) -> None:
        if self._state != "live":
            self._enter("live")
            # What was acknowledged on another connection may not have arrived.
            self._save_soon()

    async def _take(self, cursor: str, item: Post | Gap | None = None) -> None:
        self._newest = cursor
        last = self._items[-1] if self._items else self._in_hand
        if item is not None:
            self._items.append(_Entry(item, cursor))
            self._changed.set()
        elif last is not None:
            last.cursor = cursor
        else:
            self._cursor = cursor
            self._save_soon()
        while len(self._items) >= _WAITING_ITEMS:
            self._room.clear()
            await self._room.wait()

    async def _renew(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        # What ends the feed, or a token that cannot be sent, is said at the next connect.
        with suppress(Unauthorized, ValueError):
            try:
                token = await self._ask()
            except _Ended:
                self._renewing = asyncio.create_task(self._renew(_AGAIN_SECONDS))
                return
            if token:
                self._renewal = self._requests + 1
                await self._request("token", {"token": token})

    async def _request(self, action: str, payload: dict[str, str]) -> None:
        if self._socket is not None:
            self._requests += 1
            with suppress(ConnectionError):
                await self._socket.send_str(json.dumps({"action": action, "id": self._requests, "payload": payload}))


connect: Final = Feed
"""Follow a feed, inside of ``async with``."""


def _is_followed(url: SplitResult) -> bool:
    return url.scheme in {"http", "https", "ws", "wss"} and bool(url.hostname) and url.port != 0


def _joined(author: int | str | Iterable[int | str]) -> str:
    return ",".join(map(str, [author] if isinstance(author, int | str) else author))


def _is_id(text: str) -> bool:
    return re.fullmatch("[0-9]{1,19}", text) is not None and int(text) <= _LARGEST_ID


def _is_number(history: object) -> bool:
    return isinstance(history, int) and history >= 0


def _is_name(device: object) -> bool:
    return isinstance(device, str) and re.fullmatch("[A-Za-z0-9._~-]{1,64}", device) is not None


def _is_sendable(token: str) -> bool:
    return re.fullmatch("[!-~]+", token) is not None


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _now() -> float:
    return asyncio.get_running_loop().time()


# A library may swallow a cancellation, and a time limit is one: aiohappyeyeballs does so, by which aiohttp connects, in
# the moment when a name with several addresses has been reached at one of them.


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_END_SECONDS)


def _raise_late(limit: asyncio.Timeout) -> None:
    if limit.expired():
        raise TimeoutError


async def _result(value: _T | Awaitable[_T]) -> _T:
    """Return what the caller's function or store has returned, or will."""
    try:
        return await value if inspect.isawaitable(value) else value
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        # Others have cancelled what it waits for. Passed on, it would end the feed as close() does.
        raise RuntimeError("what it waits for was cancelled") from error


def _address(url: SplitResult, schemes: Mapping[str, str], path: str, query: Mapping[str, Any]) -> str:
    both = "&".join(filter(None, [url.query, urlencode(query, safe=",")]))
    return url._replace(scheme=schemes.get(url.scheme, url.scheme), path=path or "/", query=both, fragment="").geturl()


def _unreadable() -> _Ended:
    # What follows it would move the cursor past it.
    return _Ended(_CUT, "a message could not be read")


def _parsed(text: str, form: type[dict[str, Any]] | type[list[Any]]) -> Any:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable() from error
    if not isinstance(parsed, form):
        raise _unreadable()
    return parsed


def _cursor(message: dict[str, Any]) -> Any:
    """Return a message's cursor. Raises :class:`TypeError` where one must be: what follows would have no place."""
    cursor = message["payload"]["cursor"] if message["action"] == "welcome" else message.get("cursor")
    if message["action"] in {"welcome", "created"} and not isinstance(cursor, str):
        raise TypeError
    return cursor


def _gap(payload: Any, cursor: str) -> Gap:
    try:
        return Gap(payload["reason"], cursor, payload.get("lost", {}).get("records"))
    except (TypeError, KeyError, AttributeError) as error:
        raise _unreadable() from error


def line(item: Post | Gap) -> str:
    """Return a line for people. What could act on a terminal is escaped, since posts are strangers' texts."""
    match item:
        case Post({"id": id_, "created_at": created_at, "user": {"username": name}, "description": text}):
            said = f"{created_at} #{id_} {name}: {text}"
        case Post(payload):
            said = json.dumps(payload, ensure_ascii=False)
        case Gap(reason, _, lost):
            said = f"-- some posts may be missing here: {reason}" + ("" if lost is None else f", {lost} records")
    return _printable(said)


def json_line(item: Post | Gap) -> str:
    """Return a line for programs."""
    match item:
        case Post(payload, cursor, window):
            return json.dumps({"post": payload, "cursor": cursor, "window": window})
        case Gap(reason, cursor, lost):
            return json.dumps({"gap": {"reason": reason, "lost": lost}, "cursor": cursor})


async def _print(feed: Feed, text: Callable[[Post | Gap], str], count: int | None) -> None:
    left = count
    async with feed:
        async for item in feed:
            print(text(item), flush=True)  # noqa: T201 - its purpose
            feed.handled()
            left = left if left is None or isinstance(item, Gap) else left - 1
            if left == 0:
                return


def _count(text: str) -> int:
    if not re.fullmatch("0*[1-9][0-9]*", text, re.ASCII):
        raise argparse.ArgumentTypeError("it is at least 1")
    return int(text)


def _cursor_file(name: str) -> FileStore:
    """Return the store, if it can be used: a feed that cannot keep its cursor would be noticed too late."""
    folder = Path(name).parent
    if not name or Path(name).is_dir():
        raise argparse.ArgumentTypeError(f"{name!r} is not the name of a file")
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise argparse.ArgumentTypeError(f"{name!r} is in a folder in which no file can be made")
    store = FileStore(name)
    try:
        store.get()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{name!r} cannot be read: {error.strerror}") from None
    return store


def _token_file(name: str) -> Callable[[], str]:
    """Return a function that reads it: a token is replaced before it expires."""

    def read() -> str:
        # What it has instead of a token may be a secret, too.
        token = Path(name).read_text("ascii", errors="replace").strip()
        if not _is_sendable(token.replace("\ufffd", " ")):
            raise ValueError("it holds no token")
        return token

    try:
        read()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise argparse.ArgumentTypeError(f"{name!r} cannot be used: {why}") from None
    return read


def _feed_of(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Feed:
    token: Token | None = options.token_file or os.environ.get("POSTCAST_TOKEN")
    if "token" in parse_qs(urlsplit(options.url).query):
        parser.error("other users can see a token on the command line: use POSTCAST_TOKEN or --token-file")
    if isinstance(token, str) and token and not _is_sendable(token):
        parser.error("POSTCAST_TOKEN holds no token")
    try:
        return Feed(options.url, history=options.history, author=options.author, token=token, store=options.cursor_file)
    except ValueError as error:
        parser.error(str(error))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a feed; return the exit code: 0 after ``--count`` posts, 1 when the edge has closed the feed for good."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}.client" if __package__ else None,
        allow_abbrev=False,
        description="Print the posts of an edge, a line for each, and go on where it was after a lost connection.",
        epilog="A token is read from --token-file, at each connect; without it from the variable POSTCAST_TOKEN. "
        "Exit codes: 0 after --count posts, 1 when the edge has closed the feed for good, 2 for wrong arguments, "
        "130 when interrupted, 141 when nobody reads what is printed.",
    )
    parser.add_argument("url", help="the edge's address, such as https://posts.example/")
    parser.add_argument("--history", type=int, default=0, metavar="N", help="begin with the last N posts")
    parser.add_argument(
        "--author", action="append", metavar="ID", help="show this author's posts alone; may be repeated"
    )
    parser.add_argument(
        "--cursor-file",
        type=_cursor_file,
        metavar="FILE",
        help="keep the position there, and go on there the next time; its folder must exist",
    )
    parser.add_argument("--count", type=_count, metavar="N", help="end after N posts, at least 1")
    parser.add_argument("--json", action="store_true", help="print JSON, with cursors")
    parser.add_argument(
        "--token-file", type=_token_file, metavar="FILE", help="sign in with the token in this file, not POSTCAST_TOKEN"
    )
    options = parser.parse_args(arguments)
    feed = _feed_of(parser, options)
    logging.basicConfig(format="%(message)s")
    _log.setLevel(logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Not every terminal has every character.
        sys.stdout.reconfigure(errors="backslashreplace")
    # What a shell starts in the background ignores SIGINT, by which SIGTERM is to end it as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        asyncio.run(_print(feed, json_line if options.json else line, options.count))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Python would flush it once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (Refused, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a sentence for whoever started it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
