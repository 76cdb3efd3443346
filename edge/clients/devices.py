"""Where a device goes on that brings no cursor: at the position that it has acknowledged, on whatever edge that was."""

import asyncio
from dataclasses import replace
from typing import Final

from edge.clients.acknowledging import Positions
from edge.clients.joining import JoinRequest
from edge.feed.position import parse
from edge.positions.device import Device, Key, is_storable
from edge.positions.store import Away
from edge.wire.handshake import Rejected

_RETRY_SECONDS: Final = 2.0
"""As often as a database that is away is tried."""
_NOBODY: Final = Rejected(401, "A device's position is kept for who has signed in: bring a token.", why="anonymous")
_UNSTORABLE: Final = Rejected(400, "The token's subject is too long, or holds what cannot be stored, for a position.")
_AWAY: Final = Rejected(503, "Stored positions cannot be read now. Try again.", _RETRY_SECONDS, why="positions")


class Devices:
    """Finds where devices go on, in ``seconds`` at most; where nothing stores positions there are no ``positions``."""

    def __init__(self, positions: Positions | None, *, seconds: float) -> None:
        self._positions = positions
        self._seconds = seconds

    async def placed(self, asked: JoinRequest) -> JoinRequest | Rejected:
        """Return a request that says where its device goes on; a cursor that it brings goes before what is stored."""
        if self._positions is None or asked.device is None:
            return asked
        if asked.grant is None:
            return _NOBODY
        if not is_storable(asked.grant.subject):
            return _UNSTORABLE
        key = Key(asked.grant.subject, asked.device)
        if asked.cursor is not None:
            return replace(asked, seat=Device(key))
        stored = await self._stored(self._positions, key)
        if stored is None:
            return _AWAY
        if stored:
            asked = replace(asked, cursor=parse(stored), history=0)
        return replace(asked, seat=Device(key, stored))

    async def _stored(self, positions: Positions, key: Key) -> str | None:
        """Return the position of a device, empty where it has none; None when that cannot be known now."""
        try:
            async with asyncio.timeout(self._seconds):
                return await positions.find(key)
        except (Away, TimeoutError):
            return None
