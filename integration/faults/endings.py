"""What exit codes say against processes that a fault attends to, and that no supervisor looks after meanwhile.

This module knows neither processes nor clocks.
"""

import signal
from collections.abc import Collection, Mapping
from typing import Final

_KILLED: Final = -signal.SIGKILL
_HUNG: Final = 70
"""A worker's own end of a stop that takes longer than 15 s."""


def charge_stops(codes: Mapping[str, int], disturbed: Collection[str]) -> list[str]:
    """Charge the processes that did not end in good order when they were told to.

    ``disturbed`` are the services that were away or held back: a worker may give up waiting for one of them, since
    what it leaves is read again. No process may have to be killed.
    """
    hung = [f"{name} was told to end, and had to be killed" for name, code in codes.items() if code == _KILLED]
    if not disturbed:
        hung += [
            f"{name} was told to end, and ended itself with {_HUNG}" for name, code in codes.items() if code == _HUNG
        ]
    return hung


def charge_deaths(codes: Mapping[str, int | None]) -> list[str]:
    """Charge the processes that ended otherwise than by killing themselves where they were told to; None: it runs."""
    return [
        f"{name} ended with {code} while another was to die"
        for name, code in codes.items()
        if code is not None and code != _KILLED
    ]
