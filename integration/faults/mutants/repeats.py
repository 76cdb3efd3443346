"""An edge that shows what the feed repeats (law 2): ``python -m integration.faults.mutants.repeats``."""

import sys
from collections.abc import Sequence

from edge.__main__ import main
from edge.feed.repeats import Repeats
from streams.contract import Offset, Publication


def _all(_self: Repeats, _offset: Offset, publications: Sequence[Publication]) -> list[int]:
    return list(range(len(publications)))


Repeats.first_seen = _all  # type: ignore[assignment, method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
