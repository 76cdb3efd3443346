"""Which statement a batch asks next, decided from what became of the statements before it.

Laws:

* a statement that answers is never asked again, and what it answered is kept;
* an id is set aside only when it fails alone and, right after it, an id that was read before (the *control*) is
  answered; where no control is known, after :data:`TRIES` tries in the batch;
* after a statement that took too long, one of its ids is asked alone. If that takes too long as well, the ids are not
  the reason and nothing is halved; if it is answered at once, statements of half the size are asked from then on;
* an id that takes too long alone is asked again behind all others. It is set aside only when each of :data:`TRIES`
  time-outs was followed at once by an answered control, the last :data:`PATIENCE_SECONDS` or more after the first. A
  control that is not answered says nothing of the id, and without a control the id is asked for ever;
* a statement that could not be asked is asked again.

This module does not know the database, and is told the time.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streams.contract import PostId
from streams.enrichment import Found

TRIES: Final = 5
"""How often a batch's ids are asked for without an answer before they are set aside without a control."""

PATIENCE_SECONDS: Final = 300.0
"""For how long an id takes too long alone, at least, before it is set aside.

A lookup that only reads waits for no lock on rows, and a lock on a whole table stops the control as well. What can be
slow for one id and not for the control, and passes, is a lock on one partition of a table, or the part of the database
on one disk or one other server. The live feed waits meanwhile, so that more than minutes would be the worse evil.
"""

_CONTROLS: Final = 2


class Statement(NamedTuple):
    """The ids to ask for. ``control`` tells a question about the database from one about the batch."""

    ids: Sequence[PostId]
    control: bool = False


class _Suspect(NamedTuple):
    """An id that was not answered alone: what the database said of it and, when it took too long, when that was."""

    post: PostId
    why: str
    timed_out_at: float | None = None


class Statements:
    """The statements of one batch, one at a time: take :meth:`next`, then report what became of it.

    The methods that report return whether to wait before the next statement. ``limit`` is how many ids a statement asks
    for at most; ``controls`` are ids that were read before, the latest last.
    """

    def __init__(self, ids: Sequence[PostId], *, limit: int, controls: Sequence[PostId] = ()) -> None:
        self.limit = self._first_limit = limit
        self.controls = list(controls)
        self.halvings = 0
        self.found: dict[PostId, Found] = {}
        self.unreadable: dict[PostId, str] = {}
        self._open = [ids] if ids else []
        self._asked = Statement([])
        self._tries = 0
        # The id that waits for its control.
        self._suspect: _Suspect | None = None
        # The ids that take too long alone while a control is answered: the time of the first such pair, and how many.
        self._pairs: dict[PostId, tuple[float, int]] = {}
        # The size of the statement that took too long, until one of its ids alone has shown whether the ids are why.
        self._slow: int | None = None
        self._waited = False

    def next(self) -> Statement | None:
        """Return the statement to ask; None when every id is found, missing or unreadable."""
        control = self._control()
        if control is not None:
            self._asked = Statement([control], control=True)
        elif self._open:
            self._asked = Statement(self._open[-1][: 1 if self._slow else self.limit])
        else:
            return None
        return self._asked

    @property
    def has_suspect(self) -> bool:
        """Whether an id was not answered alone and its control is to be asked."""
        return self._suspect is not None

    @property
    def slow(self) -> PostId | None:
        """The first id, if any, that takes too long alone while a control is answered, and is not decided yet."""
        return next(iter(self._pairs), None)

    def answered(self, found: Mapping[PostId, Found]) -> bool:
        """Take in an answer."""
        if self._asked.control:
            return self._convict()
        self._settle_slow()
        self._close()
        self._pairs.pop(self._asked.ids[0], None)
        self.found.update(found)
        if found:
            self.controls = [*self.controls, *list(found)[-_CONTROLS:]][-_CONTROLS:]
        return False

    def unavailable(self) -> bool:
        """Note that the statement could not be asked."""
        self._acquit_slow()
        self._waited = True
        return True

    def timed_out(self, why: str, now: float) -> bool:
        """Note that the statement took too long, until ``now``."""
        asked = self._asked.ids
        if self._asked.control:
            # It may be a slow one itself, so that the next control is another one, where there are two.
            self.controls.sort(key=lambda post: post != asked[0])
        elif len(asked) > 1:
            self._slow, self._waited = len(asked), False
            return False
        else:
            self._suspect = _Suspect(asked[0], why, now)
            if self._control() is not None:
                return False
        self._acquit_slow()
        self._waited = True
        return True

    def failed(self, why: str) -> bool:
        """Note that the statement cannot be answered for what it asks."""
        if self._asked.control:
            # Not the id's fault: it is asked again, and the control after it.
            self._acquit_slow()
            self._suspect = None
            return True
        self._settle_slow()
        asked = self._asked.ids
        if len(asked) > 1:
            self._close()
            middle = len(asked) // 2
            self._open += [asked[middle:], asked[:middle]]
            self.halvings += 1
            return False
        self._suspect = _Suspect(asked[0], why)
        if self._control() is not None:
            return False
        if self._tries + 1 >= TRIES:
            self._condemn()
            return False
        self._suspect = None
        self._tries += 1
        return True

    def _control(self) -> PostId | None:
        """Return the id to ask because another one failed alone; None if none is to be asked, or none is known."""
        if self._suspect is None:
            return None
        return next((post for post in reversed(self.controls) if post != self._suspect.post), None)

    def _convict(self) -> bool:
        """Conclude from the control's answer that the suspect is the reason; return whether to wait."""
        assert self._suspect is not None, "a verdict without a suspect"  # noqa: S101 - the order of the calls
        post, why, now = self._suspect
        if now is None:
            self._condemn()
            return False
        first, pairs = self._pairs.get(post, (now, 0))
        pairs += 1
        if pairs >= TRIES and now - first >= PATIENCE_SECONDS:
            took = f"takes too long alone, {pairs} times in {now - first:.0f} s, while other posts are answered: {why}"
            self._suspect = _Suspect(post, took)
            self._condemn()
            return False
        if pairs == 1:
            # The statements that were halved for this id's sake need not be.
            self.limit = self._first_limit
        self._pairs[post] = first, pairs
        self._slow = None
        self._acquit_slow()
        return all(set(part) <= self._pairs.keys() for part in self._open)

    def _acquit_slow(self) -> None:
        """If the suspect took too long, ask it again without a verdict, behind all other ids."""
        if self._suspect is not None and self._suspect.timed_out_at is not None:
            post = self._suspect.post
            self._suspect = None
            self._asked = Statement([post])
            self._close()
            self._open.insert(0, [post])

    def _condemn(self) -> None:
        assert self._suspect is not None, "a verdict without a suspect"  # noqa: S101 - the order of the calls
        post, why, _ = self._suspect
        self._suspect = None
        self._pairs.pop(post, None)
        self.unreadable[post] = why
        self._asked = Statement([post])
        self._close()

    def _close(self) -> None:
        """Drop the asked ids from what is open."""
        rest = self._open.pop()[len(self._asked.ids) :]
        if rest:
            self._open.append(rest)

    def _settle_slow(self) -> None:
        """Conclude from the answer about one id why the statement before it took too long."""
        if self._slow is not None and not self._waited:
            self.limit = max(1, self._slow // 2)
            self.halvings += 1
        self._slow = None
