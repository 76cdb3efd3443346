"""Python's garbage collection: a little at a time, and never over what lives as long as a client.

An ended connection is freed by its reference counts alone (:mod:`edge.clients` takes care of that, and a test). So a
collection finds next to nothing here, and its cost is the traversal of what lives: with Python's own thresholds a
quarter of what a join took, and with 2,000 clients pauses of 150 to 400 ms.

Python looks when so many more objects were made than freed. Where clients come while others leave, as many are freed
as made: it would look at last, at all that have come meanwhile, in one turn. So it is the loop's work that counts.
docs/decisions/0012-short-turns.md says why the numbers are these.
"""

import gc
from typing import Final

LOOK_SECONDS: Final = 0.05
"""After so much CPU time of the loop new objects are looked at: some 80 clients can have come in that time."""
SECOND_LOOK: Final = 100
"""After so many looks what has come since the last second look is looked at once more, if that is little."""
LITTLE: Final = 30_000
"""So many objects are traversed in 10 ms. When there are more, clients have come, and whatever came with them stays."""
_UNCOUNTED: Final = 5 * LITTLE
"""Of so many that have come, a part of which is gone again, it takes 5 ms to know how many there are."""


def configure() -> None:
    """Exclude all present objects, which stay, from collections; new ones are left to a :class:`Collector`."""
    gc.disable()
    gc.collect()
    gc.freeze()


class Collector:
    """Collects garbage between the loop's turns."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looks = 0
        self._come = 0

    def work(self, cpu_seconds: float) -> None:
        """Do what is due after a turn that took so much CPU time."""
        self._seconds += cpu_seconds
        if self._seconds < LOOK_SECONDS:
            return
        self._seconds = 0.0
        self._come += len(gc.get_objects(generation=0))
        gc.collect(0)
        self._looks += 1
        if self._looks < SECOND_LOOK:
            return
        if self._come <= _UNCOUNTED and len(gc.get_objects(generation=1)) <= LITTLE:
            gc.collect(1)
        else:
            gc.freeze()
        self._looks = self._come = 0
