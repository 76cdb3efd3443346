"""A client's socket, beside aiohttp's WebSocket: the one place that leans on how aiohttp works.

aiohttp does the handshake, reads what the client sends, and closes. What we
send are frames that were made once for everybody, so they go to the transport directly. For that
we need three things that its WebSocket does not give:

* when the transport holds unsent bytes, and when it has none again: with write limits of zero it
  calls ``pause_writing`` and ``resume_writing`` at exactly these moments;
* when the peer was last heard, whatever it sent;
* that aiohttp and we never cut into each other's frames: both hand whole frames to
  ``transport.write``, in one call or in two with nothing between them.

So a thin protocol takes the place of aiohttp's at the transport and passes everything on
(``asyncio.BaseTransport.set_protocol``). Relied upon, read in aiohttp 3.14 and held by tests: its
protocol finds the transport in its own attribute and never asks who is connected to it, and
``WebSocketWriter`` writes to the transport at once, without a buffer of its own.

And one thing that it gives in another way than we need it: compression. Our messages are
compressed once for everybody, so its writer must never compress; but a client that has agreed to
compression may use it, and what it sends must be inflated, without keeping 40 KiB of zlib's for
it ever after, as aiohttp's reader does. Relied upon, and held by tests: ``_post_start`` is where
the reader is made and given to the protocol, and the reader hands each frame, once it is whole and
unmasked, to its ``_handle_frame``. There, too, is let go what aiohttp would keep for as long as the
connection lasts and never use: of HTTP the parser and the queue of further requests, of the writer
what it masks and compresses with.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any, Final, cast

from aiohttp import WebSocketError, WSCloseCode, WSMsgType, hdrs, web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.http import WebSocketReader, WebSocketWriter

from edge.fanout.link import Client
from edge.wire.closing import Disconnect
from edge.wire.deflate import NotDeflate, TooLong, inflated
from edge.wire.frames import PING, close_frame

CLOSE_SECONDS: Final = 5.0
"""How long a close may take to be sent, before the connection is aborted (law 11)."""


class Connection(asyncio.Protocol):
    """One client's connection, from the handshake on."""

    __slots__ = (
        "_client",
        "_closing",
        "_inner",
        "_is_over",
        "_loop",
        "_transport",
        "_websocket",
        "heard",
        "key",
        "unsent_since",
    )

    def __init__(self, websocket: "WebSocket", transport: asyncio.Transport) -> None:
        self._websocket = websocket
        self._transport = transport
        self._inner = cast("asyncio.Protocol", transport.get_protocol())
        self._loop = asyncio.get_running_loop()
        self.key: int = transport.get_extra_info("socket").fileno()
        """The number of its socket."""
        self._closing: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._is_over = False
        self.heard = self._loop.time()
        """When the peer was last heard, by the loop's clock."""
        self.unsent_since: float | None = None
        """Since when the transport has held unsent bytes; None when it holds none."""
        websocket.before_close = self._end
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=0)

    def tell(self, client: Client) -> None:
        """Have this client told when unsent bytes are held, and when they are gone."""
        self._client = client

    def write(self, frames: bytes) -> None:
        """Send whole frames, or what :func:`write_each` left; the transport keeps what the socket does not take."""
        if not self._is_over:
            self._transport.write(frames)

    def ping(self) -> None:
        """Ask the peer for a sign of life."""
        if not self._is_over:
            self._transport.write(PING)

    def close(self, disconnect: Disconnect) -> None:
        """Close with a code, after what was begun; abort when that cannot be sent in time."""
        if self._closing is None and not self._is_over:
            self._closing = self._loop.create_task(self._close(disconnect))

    def part(self, disconnect: Disconnect) -> None:
        """Send the close and leave the connection open, for somebody else to cut.

        aiohttp would close it at once; with bytes unread that resets it, and the peer may never see the code.
        """
        if self._closing is None and not self._is_over:
            self._end()
            self._transport.write(close_frame(disconnect.code, disconnect.reason))

    def abort(self) -> None:
        """Cut the connection; the client sees 1006."""
        self._transport.abort()

    def _end(self) -> None:
        """Write nothing more: a close is the last that is sent (RFC 6455 §5.5.1)."""
        self._is_over = True
        if self._client is not None:
            self._client.held()

    async def _close(self, disconnect: Disconnect) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._websocket.close(code=disconnect.code, message=disconnect.reason.encode())
        except TimeoutError:
            self._transport.abort()

    def pause_writing(self) -> None:
        """Note that the transport holds unsent bytes."""
        self.unsent_since = self._loop.time()
        self._inner.pause_writing()
        if self._client is not None:
            self._client.held()

    def resume_writing(self) -> None:
        """Note that it holds none any more."""
        self.unsent_since = None
        self._inner.resume_writing()
        if self._client is not None and not self._is_over:
            self._client.drained()

    def data_received(self, data: bytes) -> None:
        """Note that the peer lives."""
        self.heard = self._loop.time()
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on, let go, and write no more: the socket's number is somebody else's soon."""
        self._end()
        self._inner.connection_lost(exc)
        self._client = self._websocket.before_close = None
        # Its own method, which it keeps until Python 3.12 lets go of it in close().
        self._transport._read_ready_cb = None  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public way


def write_each(keys: Sequence[int], frames: bytes) -> list[tuple[int, bytes]]:
    """Send whole frames to open connections whose transports hold nothing.

    The sockets are written to directly, which saves the time that asyncio takes around the same system call, 2 µs of 7,
    and without a loop in Python, which would take a twentieth of what is left. Returns who could not take all, with the
    rest: it goes to the transport before anything else does, so that nobody's frame comes in between (law 10).
    """
    writes = map(os.write, keys, repeat(frames))
    sent: list[int] = []
    while len(sent) < len(keys):
        try:
            # What was sent before one fails stays in the list, and the next attempt goes on with the one after it.
            sent.extend(writes)
        except OSError:
            # It would block, or the peer is gone: the transport finds out, and knows what to do.
            sent.append(0)
    if sent.count(len(frames)) == len(sent):
        return []
    return [(key, frames[size:]) for key, size in zip(keys, sent, strict=True) if size != len(frames)]


_NO_REQUESTS: Final[deque[Any]] = deque(maxlen=0)
"""Everybody's: an empty queue takes 0.7 KiB."""


class WebSocket(web.WebSocketResponse):
    """aiohttp's WebSocket, which never compresses, and takes what is compressed when ``extension`` was agreed.

    ``longest`` is how many bytes a client's message may have, compressed and inflated.
    """

    def __init__(self, *, extension: str | None, longest: int, timeout: float, protocols: tuple[str, ...]) -> None:
        # aiohttp refuses a message of just the size that it is given.
        super().__init__(
            timeout=timeout,
            protocols=protocols,
            compress=False,
            max_msg_size=longest + 1,
            # Answered by the server, which knows when a post or a pong would come after a close.
            autoping=False,
            autoclose=False,
        )
        self._extension = extension
        self._longest = longest
        self.before_close: Callable[[], None] | None = None
        """What is called before a close is sent, by whoever."""
        if extension is not None:
            self.headers[hdrs.SEC_WEBSOCKET_EXTENSIONS] = extension

    async def close(self, *, code: int = WSCloseCode.OK, message: bytes = b"", drain: bool = True) -> bool:
        """Send a close, after which nothing may be sent; aiohttp calls this itself when a client breaks the rules."""
        if self.before_close is not None:
            self.before_close()
        return await super().close(code=code, message=message, drain=drain)

    def _post_start(self, request: web.BaseRequest, protocol: str | None, writer: WebSocketWriter) -> None:
        super()._post_start(request, protocol, writer)
        # What was for HTTP has done its work, and took 3 KiB of each client's memory. aiohttp lets go of its parser
        # when the connection is lost, and is ready for there being none; no request follows this one.
        http = request.protocol
        http._parser = None  # noqa: SLF001 - there is no public way
        http._messages = _NO_REQUESTS  # noqa: SLF001
        self.headers.clear()
        # A server's frames are not masked and ours are not compressed here: 0.6 KiB.
        for unused in ("get_random_bits", "_send_lock", "_background_tasks"):
            setattr(writer, unused, None)
        if self._extension is not None:
            assert self._reader is not None  # noqa: S101 - it was made in the line before; told to the type checker
            self._parser = _Inflater(self._reader, self._longest)
            # Not given with set_parser(), which is for the first one. That one has seen nothing yet: a client sends
            # nothing before it has read our answer (RFC 6455 §4.1).
            http._payload_parser = self._parser  # noqa: SLF001


class _Inflater(WebSocketReader):
    """aiohttp's reader, but what is compressed is inflated by us: each message by itself, and nothing is kept."""

    __slots__ = ("_begun", "_held", "_longest")

    def __init__(self, queue: WebSocketDataQueue, longest: int) -> None:
        super().__init__(queue, longest + 1, compress=True, decode_text=True)
        self._longest = longest
        # A compressed message of which some frames have come: its opcode, else 0, and what they held.
        self._begun = 0
        self._held: bytearray | None = None

    def _handle_frame(self, fin: bool, opcode: int, payload: bytes | bytearray, compressed: int) -> None:
        # `compressed` is of the message begun last, so it says nothing of a control frame among its frames.
        if opcode >= WSMsgType.CLOSE or not compressed:
            super()._handle_frame(fin, opcode, payload, compressed)
            return
        if (opcode == WSMsgType.CONTINUATION) != bool(self._begun):
            raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "a message must end before the next one begins")
        begun, held = self._begun or opcode, self._held or bytearray()
        held += payload
        if len(held) > self._longest:
            raise WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "the message is too long")
        self._begun, self._held = (0, None) if fin else (begun, held)
        if fin:
            try:
                message = inflated(held, self._longest)
            except TooLong as error:
                raise WebSocketError(WSCloseCode.MESSAGE_TOO_BIG, "the message inflates to too much") from error
            except NotDeflate as error:
                raise WebSocketError(WSCloseCode.PROTOCOL_ERROR, "the message cannot be inflated") from error
            super()._handle_frame(fin, begun, message, 0)
