"""What a token allows."""

from edge.feed.selection import Selection
from tests.edge.kit.sign_in import granted


def test_everything_nothing_and_some_authors_are_three_things() -> None:
    """A claim of no authors allows nothing; no claim allows everything."""
    everything, nothing, some = granted("7"), granted("7", all_authors=False), granted("7", 3, 5)
    assert everything.claim is None
    assert isinstance(nothing.claim, Selection)
    assert isinstance(some.claim, Selection)
    assert (list(nothing.claim.authors), list(some.claim.authors)) == ([], [3, 5])
