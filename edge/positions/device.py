"""A device of a subject, as one session has it: what its acknowledged position is stored under.

A subject has ``DEVICES`` devices at most. The position of one more takes the place of the one that was stored the
longest time ago: who lost a device must not be kept out for ever, and nobody else is concerned.
"""

import re
from typing import Final, NamedTuple

DEVICES: Final = 20
"""How many devices of a subject have a position."""
_SUBJECT_BYTES: Final = 255
"""An entry of PostgreSQL's index holds some 2,700 bytes."""
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")


class Key(NamedTuple):
    """What a position is stored under: who signed in, and what their client calls the device."""

    subject: str
    device: str


def is_name(text: str) -> bool:
    """Tell whether a device can be called so."""
    return _NAME.fullmatch(text) is not None


def is_storable(subject: str) -> bool:
    """Tell whether a position can be stored for a subject: PostgreSQL's text has no zero, and no half characters."""
    try:
        return 0 < len(subject.encode()) <= _SUBJECT_BYTES and "\0" not in subject
    except UnicodeEncodeError:
        return False


class Device:
    """A session's device. Positions are cursors' tokens; empty for none.

    ``stored`` is the newest that this session knows to be stored, ``acknowledged`` the newest that it has acknowledged.
    """

    __slots__ = ("_refuted", "acknowledged", "key", "stored")

    def __init__(self, key: Key, stored: str = "") -> None:
        self.key = key
        self.stored = stored
        self.acknowledged = ""
        self._refuted = ""

    def refute(self, position: str = "") -> None:
        """Hear that the client was told that it cannot go on at a position: unless told, at what is (being) stored."""
        self._refuted = position or self.stored or self.acknowledged

    def note_stored(self, position: str, *, is_own: bool) -> None:
        """Hear that a position is stored: one that this session has acknowledged, or another that is further on."""
        if is_own and self._refuted and self._refuted == self.stored:
            # It was being stored when the client was told.
            self._refuted = position
        self.stored = position

    def take_refuted(self) -> str:
        """Return the position that the next one that is acknowledged takes the place of; once."""
        refuted, self._refuted = self._refuted, ""
        return refuted
