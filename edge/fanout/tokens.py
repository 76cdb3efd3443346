"""What becomes of clients' tokens while they are connected: they are told before one expires, and may bring another.

A session goes on with another token as it does with another filter (:mod:`edge.fanout.choosing`): from its own place,
and with nothing sent behind that which the new token does not allow.
"""

import math
from collections.abc import Callable
from typing import Final

from edge.access.grant import Grant
from edge.fanout.expiry import expiry_of
from edge.fanout.loop import Loop
from edge.fanout.member import Member
from edge.feed.selection import Selection
from edge.wire.messages import expiring

AGAIN_SECONDS: Final = 1.0
"""After so long a client is told that cannot be told now where it stands."""


class Tokens:
    """The tokens of all clients; ``utc`` returns the time since 1970.

    ``cursor_of`` returns the cursor behind all that a client was sent, if there is one; ``select`` has it see other
    posts behind that, and returns None where it cannot.
    """

    def __init__(
        self,
        loop: Loop,
        utc: Callable[[], float],
        *,
        cursor_of: Callable[[Member], str | None],
        select: Callable[[Member, Selection | None], str | None],
    ) -> None:
        self._loop = loop
        self._utc = utc
        self._cursor_of = cursor_of
        self._select = select

    def begin(self, member: Member) -> None:
        """Note when a client is to be told of its token, and when its session ends with it."""
        session = member.session
        member.expiry = expiry_of(
            session.grant,
            session.id,
            now=self._loop.time(),
            utc=self._utc(),
            # Others cannot be told, nor bring another token.
            is_told=session.encoding.has_cursor,
        )

    def warn(self, member: Member) -> None:
        """Tell a client, whose transport holds nothing, that its token expires; or later, if it has no place now."""
        expiry, session = member.expiry, member.session
        if expiry is None or member.is_over:
            return
        now, cursor = self._loop.time(), self._cursor_of(member)
        if cursor is None or not session.is_greeted:
            # Where the transport carries the cursor, it would be one behind or before what is sent next.
            expiry.warns_at = now + AGAIN_SECONDS
            return
        expiry.warns_at = math.inf
        member.tell(session.encoding.notice(expiring(expiry.expires_at, cursor)))
        session.note_told(now)

    def renew(self, member: Member, grant: Grant, selection: Selection | None) -> bool:
        """Have a client go on with another token, and see what is selected; tell whether that could be done."""
        session = member.session
        if member.is_over or (selection is not session.selection and self._select(member, selection) is None):
            return False
        old, session.grant = session.grant, grant
        if old is None or grant.expires_at != old.expires_at:
            # Else the client was told of that end already, or will be.
            self.begin(member)
        return True
