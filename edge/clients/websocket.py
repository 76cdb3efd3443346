"""A client's WebSocket from the 101 on: the one protocol of its connection.

It reads what the client says (:mod:`edge.wire.websocket`), answers pings, and closes as RFC 6455 §7 says. What is sent
to the client are frames that were made once for everybody.

Law: a close is the last frame that is written; after it bytes are read and dropped until the client has closed, too.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import ClassVar, Final

from edge.access.limits import Slot
from edge.clients.conversation import Conversation
from edge.clients.link import CLOSE_SECONDS, Surroundings, TransportLink
from edge.fanout.link import Client
from edge.fanout.session import Session
from edge.wire.allowance import EARLY, MESSAGES, Violation
from edge.wire.closing import NO_CODE, Disconnect, answer_to, with_return
from edge.wire.encoding import Notice
from edge.wire.events import Close, Message, Ping, TooBig
from edge.wire.frames import PING, close_frame, pong_frame
from edge.wire.websocket import Reader

LINGER_SECONDS: Final = 1.0
"""How long a client that broke a rule has to read why, from then on."""

_TALKATIVE: Final = Violation("messages", Disconnect(4029, "too many messages a second; retry_after=5"))
"""For a client that has asked for more than posts; see :data:`edge.wire.allowance.MESSAGES` for others."""
_UNREAD: Final = Violation("answers", Disconnect(4029, "too many answers that are not read; retry_after=5"))


class WebSocket(TransportLink):
    """One client's WebSocket."""

    __slots__ = ("_conversation", "_has_failed", "_pong", "_reader")

    spoken: ClassVar = "websocket"

    def __init__(
        self, around: Surroundings, transport: asyncio.Transport, reader: Reader, *, peer: str, slot: Slot
    ) -> None:
        super().__init__(around, transport, peer=peer, slot=slot)
        self._reader = reader
        self._conversation: Conversation | None = None
        self._has_failed = False
        """Whether what comes is not even read any more."""
        # The payload of the newest ping that came while unsent bytes were held: one answer is enough (§5.5.3).
        self._pong: bytes | None = None

    def open(self, answer: bytes, session: Session, *, is_early: bool) -> None:
        """Write the 101 and begin; end at once if ``is_early``. Raises nothing: there is nobody left to answer."""
        if self._begin(answer, session) and is_early:
            self._fail(EARLY)

    def ping(self) -> None:
        """Ask the client for a sign of life."""
        if not self._has_closed:
            self._transport.write(PING)

    def message(self, said: Message | TooBig) -> None:
        """Answer a client that has asked for more than posts; ignore what any other says."""
        client, session, now = self._client, self._session, self._loop.time()
        if client is None or session is None or not session.encoding.has_cursor:
            return
        if self._conversation is None:
            around = self._around
            self._conversation = Conversation(
                session,
                client,
                around.tally,
                around.selections,
                ready=self._answer_owed,
                bearers=around.bearers,
                unacknowledged=around.unacknowledged,
                positions=around.positions,
            )
        self._tell(client, session, self._conversation.answer(said, now))

    def _answer_owed(self) -> None:
        """Give the answers that were not known when they were asked for; nobody gets them once the session ends."""
        client, session, conversation = self._client, self._session, self._conversation
        if client is not None and session is not None and conversation is not None and not self._has_closed:
            self._tell(client, session, conversation.answers(self._loop.time()))

    def _tell(self, client: Client, session: Session, answers: Sequence[Notice] | Violation) -> None:
        if isinstance(answers, Violation):
            self._fail(answers)
        elif answers and not client.tell(b"".join(map(session.encoding.notice, answers))):
            self._fail(_UNREAD)

    def data_received(self, data: bytes) -> None:
        """Read what the client says."""
        now = self.heard = self._loop.time()
        if self._has_failed:
            if not self._reader.drop(len(data), now):
                # The kernel keeps the rest from coming.
                self._transport.pause_reading()
            return
        for event in self._reader.feed(data, now):
            match event:
                case Ping(payload):
                    self._answer(payload)
                case Message() | TooBig():
                    if not self._has_closed:
                        self.message(event)
                case Close():
                    self._end(event)
                case Violation():
                    self._fail(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._has_failed = True
        if self._conversation is not None:
            self._conversation.leave()
        super().connection_lost(exc)

    def _write_held(self) -> None:
        if self._pong is not None:
            payload, self._pong = self._pong, None
            self._answer(payload)

    def _answer(self, payload: bytes) -> None:
        # A transport that has failed logs what is written to it.
        if self._has_closed or self._transport.is_closing():
            return
        if self.unsent_since is None:
            self._transport.write(pong_frame(payload))
        else:
            self._pong = payload

    def _end(self, close: Close) -> None:
        """Answer the client's close, if it is not the answer to ours, and close the connection (§7.1.1)."""
        if not self._has_closed:
            code = NO_CODE if close.code is None else close.code
            self._close(Disconnect(code, "the client closed", "client"), close_frame(answer_to(close.code)))
        # What was written goes out first, for as long as that takes; see _await_close.
        self._transport.close()

    def _fail(self, violation: Violation) -> None:
        """Close over what the client did; what it sends from now on is not read, not even its close (§7.1.7)."""
        self._has_failed = True
        if violation == MESSAGES and self._session is not None and self._session.encoding.has_cursor:
            violation = _TALKATIVE
        if violation.limit is not None:
            self._around.gate.breaches[violation.limit] += 1
        if not self._has_closed:
            self._close(violation.disconnect, self._farewell(violation.disconnect))
        # Were the socket closed with bytes unread, the kernel would reset it, and the reason might be lost.
        with suppress(OSError):
            self._transport.write_eof()

    def _farewell(self, disconnect: Disconnect, turn: float | None = None) -> bytes:
        return close_frame(disconnect.code, with_return(disconnect.reason, turn))

    @property
    def _close_seconds(self) -> float:
        return LINGER_SECONDS if self._has_failed else CLOSE_SECONDS
