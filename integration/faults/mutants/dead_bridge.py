"""Workers of which the first that loses its subscription never subscribes again, and is ready all the same."""

import os
from pathlib import Path

from integration.faults.worker import app as app  # noqa: PLC0414 - it is what this module is for
from streams.bridge import Bridge
from streams.subscription import Lost

_consume = Bridge._consume  # noqa: SLF001 - a mutant
_first = Path(os.environ["ARMED_POINTS"]) / "bridge.lost"


async def _once(self: Bridge) -> None:
    try:
        await _consume(self)
    except Lost:
        try:
            _first.touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            await self.wait_until_stopped()
        raise


Bridge._consume = _once  # type: ignore[method-assign]  # noqa: SLF001 - a mutant
