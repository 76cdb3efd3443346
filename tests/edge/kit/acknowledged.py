"""Positions that are stored when a test says so."""

from collections.abc import Callable

from edge.positions.device import Device, Key
from edge.positions.pending import Stored


class HeldPositions:
    """Stores positions when it is told to."""

    def __init__(self) -> None:
        self.is_away = self.is_full = False
        self.waiting: list[tuple[str, str, int, Stored]] = []
        self.hurried_devices: set[Device] = set()
        self.left: list[Device] = []
        self.hurried: list[Callable[[], None]] = []

    def acknowledge(self, device: Device, position: str, number: int, stored: Stored) -> bool:
        """Keep it in mind."""
        if not self.is_full:
            self.waiting.append((device.key.device, position, number, stored))
        return not self.is_full

    def hurry(self, device: Device, put_off: Callable[[], None]) -> None:
        """Keep it in mind."""
        self.hurried_devices.add(device)
        self.hurried.append(put_off)

    def leave(self, device: Device) -> None:
        """Keep it in mind."""
        self.left.append(device)

    async def find(self, key: Key) -> str:
        """Never look here."""
        raise AssertionError(key)

    def store(self, *, but: int = 0) -> None:
        """Store all but the newest, so many of them."""
        some = self.waiting[: len(self.waiting) - but]
        some[-1][3](some[-1][2], max(position for _, position, _, _ in some))
