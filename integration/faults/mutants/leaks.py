"""An edge that forgets what a client's token allows, where the client asks for some authors itself: the claim leaks."""

import sys

import edge.clients.view
from edge.__main__ import main
from edge.feed.selection import Selection


def _leaks(claim: Selection | None, asked: Selection | None) -> Selection | None:
    return claim if asked is None else asked


edge.clients.view.seen = _leaks  # type: ignore[attr-defined] # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
