"""Which statement a batch asks next, decided from what became of the statements before it.

Laws:

* a statement that answers is never asked again, and what it answered is kept;
* an id is set aside only when it fails alone and, right after it, an id that was read before (the *control*) is
  answered; where no control is known, after :data:`TRIES` tries in the batch;
* after a statement that took too long, one of its ids is asked alone. If that takes too long as well, the ids are not
  the reason and nothing is halved; if it is answered at once, statements of half the size are asked from then on;
* a statement that could not be asked is asked again.

This module knows neither the database nor the clock.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from streams.contract import PostId
from streams.enrichment import Found

TRIES: Final = 5
"""How often a batch's ids are asked for without an answer before they are set aside without a control."""

_CONTROLS: Final = 2


class Statement(NamedTuple):
    """The ids to ask for. ``control`` tells a question about the database from one about the batch."""

    ids: Sequence[PostId]
    control: bool = False


class Statements:
    """The statements of one batch, one at a time: take :meth:`next`, then report what became of it.

    The methods that report a failure return whether to wait before the next statement. ``limit`` is how many ids a
    statement asks for at most; ``controls`` are ids that were read before, the latest last.
    """

    def __init__(self, ids: Sequence[PostId], *, limit: int, controls: Sequence[PostId] = ()) -> None:
        self.limit = limit
        self.controls = list(controls)
        self.halvings = 0
        self.found: dict[PostId, Found] = {}
        self.unreadable: dict[PostId, str] = {}
        self._open = [ids] if ids else []
        self._asked = Statement([])
        self._tries = 0
        # The id that failed alone and waits for its control, with what the database said of it.
        self._suspect: tuple[PostId, str] | None = None
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
        """Whether an id failed alone and its control is to be asked."""
        return self._suspect is not None

    def answered(self, found: Mapping[PostId, Found]) -> None:
        """Take in an answer."""
        if self._asked.control:
            self._condemn()
            return
        self._settle_slow()
        self._close()
        self.found.update(found)
        if found:
            self.controls = [*self.controls, *list(found)[-_CONTROLS:]][-_CONTROLS:]

    def unavailable(self) -> bool:
        """Note that the statement could not be asked."""
        self._waited = True
        return True

    def timed_out(self) -> bool:
        """Note that the statement took too long."""
        size = len(self._asked.ids)
        if self._asked.control or size == 1:
            self._waited = True
            return True
        self._slow, self._waited = size, False
        return False

    def failed(self, why: str) -> bool:
        """Note that the statement cannot be answered for what it asks."""
        if self._asked.control:
            # Not the id's fault: it is asked again, and the control after it.
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
        self._suspect = (asked[0], why)
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
        return next((post for post in reversed(self.controls) if post != self._suspect[0]), None)

    def _condemn(self) -> None:
        assert self._suspect is not None, "a verdict without a suspect"  # noqa: S101 - the order of the calls
        post, why = self._suspect
        self._suspect = None
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
