"""How a session ends, as a client is told it, and as it is counted."""

import math
from dataclasses import dataclass
from typing import Final, Literal

By = Literal["server", "client"]

NO_CODE: Final = 1005
"""Stands for the code of a close without one; never sent (RFC 6455 §7.1.5)."""
CUT: Final = 1006
"""Stands for the code of a connection that ended without a close; never sent."""
_NORMAL: Final = 1000
_AWAY: Final = 1001
_EXTENSION: Final = 1010
_COUNTED: Final = frozenset((_NORMAL, _AWAY, NO_CODE, CUT))


_REASON_BYTES: Final = 123
"""RFC 6455 §5.5.1: a control frame has at most 125 bytes, of which the code takes two."""


def with_return(reason: str, seconds: float | None) -> str:
    """End a close's reason with when to come back, if that is told; cut the reason where there is no room for it."""
    end = "" if seconds is None else f" retry_after={max(1, math.ceil(round(seconds * 10, 6))) / 10:g}"
    return reason.encode()[: _REASON_BYTES - len(end)].decode(errors="ignore") + end


@dataclass(frozen=True, slots=True)
class Disconnect:
    """The end of a session: a close code, a reason of at most 123 bytes (RFC 6455 §5.5.1), and whose doing it was."""

    code: int
    reason: str
    by: By = "server"

    @property
    def label(self) -> str:
        """The code as the metrics have it: a client may choose any, and shall not make a series for each."""
        return str(self.code) if self.by == "server" or self.code in _COUNTED else "other"


def answer_to(code: int | None) -> int | None:
    """Return the code that a client's close is answered with: its own (RFC 6455 §5.5.1), or none when it has none."""
    # That an extension is missing only a client can say (§7.4.1).
    return _NORMAL if code == _EXTENSION else code
