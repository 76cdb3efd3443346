"""Configures Python's garbage collection: seldom, and never over what lives as long as a client.

An ended connection is freed by its reference counts alone (:mod:`edge.clients` takes care of that, and a test). So a
collection finds next to nothing here, and its cost is the traversal of everything that lives: with Python's own
thresholds a quarter of what a join took, and with 2,000 clients pauses of 150 to 400 ms.
"""

import gc
from typing import Final

# Counts of objects that were made and not freed (docs/decisions/0012-short-turns.md). The first is what 140 clients
# consist of, and takes 3 ms. The second and the third are for garbage that we do not know of: 2 million objects are
# more than 25,000 clients consist of, and as garbage some 200 MB.
_YOUNG: Final = 10_000
_MIDDLE: Final = 200
_OLD: Final = 10


def configure() -> None:
    """Exclude all present objects, which stay, from collections, and have new ones traversed once."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
