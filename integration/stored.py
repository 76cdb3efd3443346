"""Waits until a device's position is stored: another edge may not know yet what was acknowledged a moment ago."""

import asyncio
from typing import Final

from edge.positions.device import Key
from edge.positions.store import Store

_PATIENCE_SECONDS: Final = 60
_LOOK_SECONDS: Final = 0.02


async def until_stored(store: Store, key: Key, position: str | None) -> None:
    """Return when this is what is stored for the device."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while (await store.read([key])).get(key) != position:
            await asyncio.sleep(_LOOK_SECONDS)
