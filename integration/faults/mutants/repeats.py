"""An edge that shows what the feed repeats (law 2): ``python -m integration.faults.mutants.repeats``."""

import sys
from collections.abc import Sequence

from edge.__main__ import main
from edge.feed.repeats import NO_TIME, Repeats
from streams.contract import Millis, Offset, Publication


# With all that the product's has, so that the type checker tells when that changes.
def _all(
    self: Repeats,  # noqa: ARG001
    offset: Offset,  # noqa: ARG001
    publications: Sequence[Publication],
    timestamp: Millis = NO_TIME,  # noqa: ARG001
) -> list[int]:
    return list(range(len(publications)))


Repeats.first_seen = _all  # type: ignore[method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
