"""When Python's collector of cycles may work: seldom, and never on what lives as long as a client.

An ended connection is freed by its reference counts alone (:mod:`edge.clients` sees to that, and a test). So the
collector finds next to nothing here, and what it costs is to go through everything that lives: with Python's own
thresholds a quarter of what a join took, and with 2,000 clients pauses of 150 to 400 ms.
"""

import gc
from typing import Final

# By objects that were made and not freed. The first takes 3 ms on the machine of docs/performance.md: what 140 clients
# consist of. The second and the third are for what we do not know of: 2 million objects are more than 25,000 clients
# consist of, and as garbage some 200 MB.
_YOUNG: Final = 10_000
_MIDDLE: Final = 200
_OLD: Final = 10


def spare() -> None:
    """Leave alone what there is now, which is there for good, and look at new objects once."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
