"""What a client sees: what it asks for, as far as its token allows it. Nothing else decides that."""

from dataclasses import replace
from typing import NamedTuple

from edge.access.grant import Grant
from edge.feed.selection import Selection, Selections, seen


class View(NamedTuple):
    """Its own filter, and what it sees of that; None is everything."""

    asked: Selection | None
    selection: Selection | None


def shared(selections: Selections, grant: Grant) -> Grant | None:
    """Keep one object for equal claims, which count like filters; None when there is no room for it."""
    if grant.claim is None:
        return grant
    claim = selections.the(grant.claim)
    return None if claim is None else replace(grant, claim=claim)


def view(selections: Selections, grant: Grant | None, asked: Selection | None) -> View | None:
    """Return what is seen, each part as the one object for it; None when there is no room for that."""
    own = None if asked is None else selections.the(asked)
    if asked is not None and own is None:
        return None
    claim = None if grant is None else grant.claim
    both = seen(claim, own)
    if both is None or both is own:
        return View(own, both)
    found = selections.the(both)
    return None if found is None else View(own, found)
