"""What a client sees, as a boundary: never more than its token allows, and never more than it asks for."""

from hypothesis import given
from hypothesis import strategies as st

from edge.clients.view import View, shared, view
from edge.feed.selection import Selection, Selections
from tests.edge.kit.sign_in import granted

AUTHORS = st.none() | st.frozensets(st.integers(0, 6), max_size=5)
EVERYBODY = frozenset(range(8))


def chosen(authors: frozenset[int] | None) -> Selection | None:
    """Make a selection; None is everything."""
    return None if authors is None else Selection(authors)


def shown(selection: Selection | None) -> frozenset[int]:
    """Return of whom something is shown, among everybody."""
    return EVERYBODY if selection is None else frozenset(each for each in EVERYBODY if selection.has(each))


@given(AUTHORS, AUTHORS, st.booleans())
def test_a_view_is_what_is_allowed_and_asked_for(
    claim: frozenset[int] | None, asked: frozenset[int] | None, has_token: bool
) -> None:
    """Over everything, nothing and any authors; without a token everything is allowed."""
    selections = Selections(limit=1000)
    grant = granted(expires_at=None) if claim is None else granted("7", *claim, all_authors=False)
    found = view(selections, grant if has_token else None, chosen(asked))
    assert found is not None
    allowed = EVERYBODY if claim is None or not has_token else claim
    assert shown(found.selection) == allowed & (EVERYBODY if asked is None else asked)
    assert shown(found.asked) == (EVERYBODY if asked is None else asked)
    if found.selection is not None:
        # It is the one object for it: its clients are served together.
        assert selections.the(Selection(found.selection.authors)) is found.selection


def test_equal_claims_are_one_object_if_there_is_room() -> None:
    """Many clients may have the same token, of some thousand authors."""
    selections = Selections(limit=2)
    one, other = shared(selections, granted("7", 1, 2)), shared(selections, granted("8", 2, 1))
    assert one is not None
    assert other is not None
    assert one.claim is other.claim
    assert (one.subject, other.subject) == ("7", "8")
    assert shared(selections, granted("7", 3)) is None
    assert shared(selections, granted("7")) == granted("7")


def test_there_may_be_no_room_for_what_is_asked_or_seen() -> None:
    """All selections of an edge are bounded; the claim itself has its place already."""
    assert view(Selections(limit=1), None, Selection([1, 2])) is None
    assert view(Selections(limit=3), granted("7", 1, 2, 4), Selection([1, 2, 3])) is None
    claimed = granted("7", 1, 2)
    assert view(Selections(limit=3), claimed, None) == View(None, claimed.claim)
