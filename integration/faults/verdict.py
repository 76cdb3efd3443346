"""Was a law broken? What was confirmed to the publisher against what every client saw (laws 1, 2 and 12).

Laws of the judge:

* a post that should be shown and that no client saw is *lost*, and so is a dead letter that is not there;
* a client that saw a post more than once, or one that is not (or no longer) to be shown, saw it *twice*. A client
  whose place an edge keeps may see once more what was not acknowledged, in each of its lives;
* a client that saw the post of an author whom its token does not allow saw what was *not allowed*;
* a client that sees the posts of some authors and saw another's, an allowed one's, saw what was *not asked for*;
* two clients that saw two posts in opposite orders saw them out of order;
* between its first and its last post of a stretch a client must have seen what the others saw there; one whose
  sight begins before the first post and was never interrupted must have seen all. Of all that, who asked for some
  authors must have seen their posts, and who asked for others in between those of the authors that are in both. And who
  was there, or asked for an author, for longer than a post may take to come, both before another client saw a post and
  after that, must have seen it too, wherever a stretch begins. What is
  missing is a gap that was *not said*. A gap that was said, in a schedule in which no log was cut, is *needless*;
* a post is *late* that came later than a window, the time of all faults (and of the client's own absence)
  meanwhile and :data:`GRACE_SECONDS` after it was confirmed.

This module knows neither processes nor clocks.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Final, NamedTuple

from integration.faults.calm import calm_clock
from integration.faults.observations import Announced, Begins, Observations, View

GRACE_SECONDS: Final = 15.0
"""The contract's bound: a takeover after a killed worker takes 10 s, and a process 5 s to start."""
_CUTS_LOG: Final = "retention"


@dataclass(frozen=True)
class Verdict:
    """What was found; each entry is a sentence about one client or post."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    unasked: list[str] = field(default_factory=list)
    disorder: list[str] = field(default_factory=list)
    unsaid: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """The longest time from a confirmation to a client, less the faults' time in between."""

    @property
    def charges(self) -> dict[str, list[str]]:
        """What the product is charged with, by the name of the fault."""
        return {
            "lost": self.lost, "twice": self.twice, "not allowed": self.forbidden, "not asked for": self.unasked,
            "out of order": self.disorder, "unsaid gaps": self.unsaid, "needless gaps": self.needless,
            "late": self.late,
        }  # fmt: skip

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.charges.values())


def judge(seen: Observations) -> Verdict:
    """Return what the product did wrong."""
    shown = {one.post: one for one in seen.announced if one.fate == "shown"}
    late, slowest = _late(seen, shown)
    return Verdict(
        lost=_lost(seen, shown),
        twice=[sentence for view in seen.views for sentence in _twice(view, shown)],
        forbidden=[sentence for view in seen.views for sentence in _forbidden(view, shown)],
        unasked=[sentence for view in seen.views for sentence in _unasked(view, shown)],
        disorder=[sentence for one, other in combinations(seen.views, 2) for sentence in _disorder(one, other)],
        unsaid=_unsaid(seen, shown),
        needless=_needless(seen),
        late=late,
        slowest=slowest,
    )


def _lost(seen: Observations, shown: Mapping[int, Announced]) -> list[str]:
    sight = {arrival.post for view in seen.views for arrival in view.arrivals}
    unseen = [f"post {post} was shown to nobody" for post in shown if post not in sight]
    unburied = [
        f"post {one.post} is no dead letter with the reason {one.fate}"
        for one in seen.announced
        if one.fate != "shown" and (one.fate, one.post) not in seen.dead
    ]
    return unseen + unburied


def _twice(view: View, shown: Mapping[int, Announced]) -> Iterable[str]:
    sight: set[int] = set()
    again: set[int] = set()
    for stretch in view.stretches:
        again = again if stretch.again is None else set(stretch.again)
        for post, _ in stretch.arrivals:
            if post in again:
                again.remove(post)
            elif post in sight:
                yield f"{view.client} saw post {post} again"
            elif post not in shown:
                yield f"{view.client} saw post {post}, which was not to be shown (any more)"
            sight.add(post)


def _forbidden(view: View, shown: Mapping[int, Announced]) -> Iterable[str]:
    for stretch in view.stretches:
        for post, _ in stretch.arrivals:
            if post in shown and not _holds(stretch.allowed, shown[post].author):
                yield f"{view.client} saw post {post} of author {shown[post].author}, whom its token does not allow"


def _unasked(view: View, shown: Mapping[int, Announced]) -> Iterable[str]:
    for stretch in view.stretches:
        for post, _ in stretch.arrivals:
            if post not in shown or not _holds(stretch.allowed, author := shown[post].author):
                continue
            if not _holds(stretch.authors, author):
                yield f"{view.client} saw post {post} of author {author}"


def _holds(authors: frozenset[int] | None, author: int) -> bool:
    return authors is None or author in authors


def _disorder(one: View, other: View) -> Iterable[str]:
    places = {post: place for place, post in reversed(list(enumerate(_posts(one))))}
    last, before = -1, 0
    for post in dict.fromkeys(_posts(other)):
        if (place := places.get(post)) is None:
            continue
        if place < last:
            yield f"{other.client} saw post {post} after post {before}, and {one.client} before it"
        last, before = place, post


def _unsaid(observed: Observations, shown: Mapping[int, Announced]) -> list[str]:
    views = observed.views
    # The view that holds the most is the measure of the others. It need not be whole: what nobody saw is lost.
    reference = max((list(dict.fromkeys(_posts(view))) for view in views), key=len, default=[])
    places = {post: place for place, post in enumerate(reference)}
    seen = {post: at for post, at in _first_seen(views).items() if post in shown}
    authors = {shown[post].author for post in seen}
    sentences = []
    for view in views:
        whole = _joined(view)
        calm = _calm(observed, view)
        unseen = {post: calm(seen[post]) for post in seen.keys() - _posts(view)}
        for number, (begins, pieces) in enumerate(whole):
            is_last = number == len(whole) - 1
            until = math.inf if is_last else whole[number + 1][1][0].begun
            missing: set[int] = set()
            for run in _runs(pieces, until, authors):
                known = [places[post] for post in run.posts if post in places]
                from_first, to_last = begins == "first" and run.begins, is_last and run.ends
                if from_first and to_last:
                    due = {post for post in seen if run.asks_for(post, shown)}
                else:
                    asked = [post for post in reference if run.asks_for(post, shown)]
                    # A last stretch that is empty misses at least the end, which everybody should see.
                    first = 0 if from_first else min(known, default=places[asked[-1]] if asked else 0)
                    last = len(reference) - 1 if to_last else max(known, default=-1)
                    due = {post for post in asked if first <= places[post] <= last}
                missing |= due.difference(run.posts)
                first_due, last_due = calm(run.since) + _bound(observed), calm(run.until) - _bound(observed)
                missing.update(
                    post for post, at in unseen.items() if first_due < at < last_due and run.asks_for(post, shown)
                )
            if missing:
                told = _some(sorted(missing))
                sentences.append(f"{view.client} missed {len(missing)} posts without a word: {told}")
    return sentences


class _Piece(NamedTuple):
    """What a client was sent while it asked for these authors."""

    authors: frozenset[int] | None
    begun: float
    posts: list[int]


def _joined(view: View) -> list[tuple[Begins, list[_Piece]]]:
    """Join the stretches between which nothing may be missing."""
    joined: list[tuple[Begins, list[_Piece]]] = []
    for stretch in view.stretches:
        if stretch.begins != "resumed" or not joined:
            joined.append((stretch.begins, []))
        pieces = joined[-1][1]
        if not pieces or pieces[-1].authors != stretch.authors:
            pieces.append(_Piece(stretch.authors, stretch.begun, []))
        pieces[-1].posts.extend(arrival.post for arrival in stretch.arrivals)
    return joined


class _Run(NamedTuple):
    """What a client was sent while it asked for an author's posts all the time, or for everybody's (None)."""

    author: int | None
    posts: set[int]
    begins: bool
    """Whether it did so from the first piece on."""
    ends: bool
    """Whether it did so up to the last one."""
    since: float
    until: float

    def asks_for(self, post: int, shown: Mapping[int, Announced]) -> bool:
        return self.author is None or (post in shown and shown[post].author == self.author)


def _runs(pieces: Sequence[_Piece], until: float, authors: Iterable[int]) -> Iterator[_Run]:
    """Yield the runs of pieces of which the last one lasts ``until`` then."""
    if [piece.authors for piece in pieces] == [None]:
        yield _Run(None, set(pieces[0].posts), begins=True, ends=True, since=pieces[0].begun, until=until)
        return
    ends = [*(piece.begun for piece in pieces[1:]), until]
    for author in authors:
        for is_asked, run in groupby(
            enumerate(pieces), key=lambda piece: piece[1].authors is None or author in piece[1].authors
        ):
            if is_asked:
                numbers, some = zip(*run, strict=True)
                posts = {post for piece in some for post in piece.posts}
                yield _Run(
                    author,
                    posts,
                    begins=numbers[0] == 0,
                    ends=numbers[-1] == len(pieces) - 1,
                    since=some[0].begun,
                    until=ends[numbers[-1]],
                )


def _needless(seen: Observations) -> list[str]:
    if any(fault.kind.startswith(_CUTS_LOG) for fault in seen.faults):
        return []
    return [f"{view.client} was told of {view.gaps} gaps" for view in seen.views if view.gaps]


def _late(seen: Observations, shown: Mapping[int, Announced]) -> tuple[list[str], float]:
    sentences: list[str] = []
    slowest = 0.0
    for view in seen.views:
        calm = _calm(seen, view)
        for post, at in _first_seen([view]).items():
            if (one := shown.get(post)) is None:
                continue
            took = calm(at) - calm(one.due)
            slowest = max(slowest, took)
            if took > _bound(seen):
                sentences.append(f"{view.client} saw post {post} after {took:.1f} s, not counting the faults")
    return sentences, slowest


def _calm(seen: Observations, view: View) -> Callable[[float], float]:
    return calm_clock([*(fault.span for fault in seen.faults), *view.absences])


def _bound(seen: Observations) -> float:
    """How long a post may take, not counting what is disturbed."""
    return seen.window + GRACE_SECONDS


def _first_seen(views: Iterable[View]) -> dict[int, float]:
    """Return when the first of these clients saw each post."""
    first: dict[int, float] = {}
    for view in views:
        for post, at in view.arrivals:
            first[post] = min(at, first.get(post, at))
    return first


def _posts(view: View) -> list[int]:
    return [arrival.post for arrival in view.arrivals]


def _some(posts: Sequence[int]) -> str:
    return ", ".join(map(str, posts[:5])) + (", …" if len(posts) > 5 else "")
