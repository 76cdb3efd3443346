"""Where positions are stored: what the edge needs of it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from edge.positions.device import Key


class Row(NamedTuple):
    """A position to be stored; ``replaces`` is the one whose place it takes although it may be further on, or empty."""

    key: Key
    position: str
    replaces: str = ""


class Away(Exception):
    """Nothing can be stored or read now; a sentence for operators, without a password."""


class Store(Protocol):
    """Stores positions.

    Law: a position is stored where there is none, where it is further on than the one that is there, or where it
    replaces exactly that one; of a subject only the newest :data:`edge.positions.device.DEVICES` are kept.
    """

    async def write(self, rows: Sequence[Row]) -> Mapping[Key, str]:
        """Store positions, one for each key; return what is stored where that is further on. Raises :class:`Away`."""
        ...

    async def close(self) -> None:
        """Close its connections."""
        ...

    async def read(self, keys: Sequence[Key]) -> Mapping[Key, str]:
        """Return what is stored for keys, where anything is; raises :class:`Away`."""
        ...
