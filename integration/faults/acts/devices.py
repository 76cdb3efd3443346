"""Clients whose place an edge keeps, and that come back: nothing is broken, and a wrong place comes to light."""

from collections.abc import Sequence
from typing import Final

from integration.faults.scene import Scene
from integration.faults.schedule import Fault
from integration.faults.viewer import Viewer

_RETURNS: Final = 2
_PATIENCE_SECONDS: Final = 150.0
"""It takes some 15 s. On a machine that is busy with other things a client may need as long for one return."""


async def come_back(scene: Scene, _: Fault) -> str:
    """Wait until a device has come back twice for which an edge's word counts, and which has missed posts meanwhile.

    By then an edge that goes on at another place than it had said to keep has shown something again, or left it out.
    """
    devices = [viewer for viewer in scene.viewers if viewer.is_kept]
    await scene.until(
        lambda: any(
            len(device.returns) >= _RETURNS and _returns(device, scene.viewers) >= _RETURNS for device in devices
        ),
        f"a device has come back {_RETURNS} times to what was acknowledged",
        _PATIENCE_SECONDS,
    )
    told = ", ".join(f"{device.view.client} {_returns(device, scene.viewers)} times" for device in devices)
    return f"came back: {told}"


def _returns(device: Viewer, viewers: Sequence[Viewer]) -> int:
    """Count those before which a post that the device was to see was shown for the first time, while it was away."""
    shown: dict[int, float] = {}
    for viewer in viewers:
        for post, at in viewer.view.arrivals:
            shown[post] = min(at, shown.get(post, at))
    due = [at for post, at in shown.items() if device.wants(post)]
    return sum(any(away.begin < at < away.end for at in due) for away in device.returns)
