"""What the worker's stages report: their progress, and the one thing outside the worker that each waits for.

A stage (bridge, read, look up, publish, commit …) owns a :class:`Stage` and reports through it; readiness, the log,
the metric ``postcast_waiting`` and the watchdog read the same :class:`Progress`. Laws:

* a stage has work only inside :meth:`Stage.work`; what is reported there ends with it, whatever ends it;
* work waits from :meth:`Work.waits` until it progresses, and for a question under way from its fifth second on;
* work that waits for nothing outside, and has not progressed for longer than the patience, is stalled.

The clock is an argument: any clock that counts seconds and never runs backwards.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

QUESTION_SECONDS: Final = 5.0
"""From when on a question under way counts as waiting for the service that was asked (law 9)."""


class Waiting(NamedTuple):
    """A stage that waits: ``service`` is a fixed word (kafka, rabbitmq, database), ``why`` a sentence."""

    stage: str
    service: str
    why: str


class Work:
    """One piece of a stage's work that is under way."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.steps = 0
        """How often it progressed."""
        self._clock = clock
        self._progressed = clock()
        self._waits: tuple[str, str] | None = None
        self._question: tuple[str, str, float] | None = None

    def progressed(self) -> None:
        """Report progress: this work waits for nothing any more."""
        self.steps += 1
        self._progressed = self._clock()
        self._waits = None

    def waits(self, service: str, why: str) -> None:
        """Report that the work cannot go on before ``service`` does; it waits until it progresses."""
        self._waits = (service, why)

    @contextmanager
    def asks(self, service: str, why: str) -> Iterator[None]:
        """Report a question to ``service`` that is under way inside; ``why`` says so once it takes long."""
        self._question = (service, why, self._clock())
        try:
            yield
        finally:
            self._question = None

    @property
    def waiting(self) -> tuple[str, str] | None:
        """What the work waits for: the service and the sentence."""
        if self._question is not None and self.asked_seconds >= QUESTION_SECONDS:
            service, why, _ = self._question
            return self._waits or (service, why)
        return self._waits

    @property
    def asked_seconds(self) -> float:
        """For how long the question has been under way; 0 without one."""
        return 0.0 if self._question is None else self._clock() - self._question[2]

    def silent_seconds(self) -> float:
        """For how long the work has neither progressed nor waited."""
        if self.waiting is not None:
            self._progressed = self._clock()
        return self._clock() - self._progressed


class Stage:
    """One stage's report. Its owner opens work and reports through it; everybody else reads."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self.name = name
        self._clock = clock
        self._ended = 0
        self._works: list[Work] = []

    @contextmanager
    def work(self) -> Iterator[Work]:
        """Open a piece of work; several may be open at once."""
        work = self.begin()
        try:
            yield work
        finally:
            self.end(work)

    def begin(self) -> Work:
        """Open a piece of work that ends with :meth:`end`; see :class:`OpenWork`."""
        work = Work(self._clock)
        self._works.append(work)
        return work

    def end(self, work: Work) -> None:
        """End a piece of work, and with it what it reports."""
        self._works.remove(work)
        self._ended += work.steps + 1

    @property
    def progressed(self) -> int:
        """How often work of this stage progressed or ended. Grows for ever."""
        return self._ended + sum(work.steps for work in self._works)

    @property
    def waiting(self) -> list[Waiting]:
        """What the stage's open work waits for, each thing once, oldest first."""
        return list(
            dict.fromkeys(Waiting(self.name, *waits) for work in self._works if (waits := work.waiting) is not None)
        )

    @property
    def asked_seconds(self) -> float:
        """The age of the stage's oldest question under way."""
        return max((work.asked_seconds for work in self._works), default=0.0)

    def silent_seconds(self) -> float:
        """For how long the most silent open work has neither progressed nor waited; 0 without work."""
        return max((work.silent_seconds() for work in self._works), default=0.0)


class OpenWork:
    """One piece of a stage's work that begins and ends in different places."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._work: Work | None = None

    def open(self) -> Work:
        """Return the open work; it begins here where none is open."""
        if self._work is None:
            self._work = self._stage.begin()
        return self._work

    def close(self) -> None:
        """End the work, if it is open."""
        if self._work is not None:
            self._stage.end(self._work)
            self._work = None


class Progress:
    """The stages of one worker."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.stages: dict[str, Stage] = {}

    def stage(self, name: str) -> Stage:
        """Make a stage; its name is unique."""
        if name in self.stages:
            raise ValueError(f"there is a stage {name!r} already")
        self.stages[name] = Stage(name, self._clock)
        return self.stages[name]

    @property
    def waiting(self) -> list[Waiting]:
        """Everything that is waited for, in the order of the stages."""
        return [waiting for stage in self.stages.values() for waiting in stage.waiting]

    def stalled(self, patience: float) -> str | None:
        """Return a sentence about a stage that has neither progressed nor waited for over ``patience`` seconds."""
        for stage in self.stages.values():
            if (silent := stage.silent_seconds()) > patience:
                return f"stage {stage.name} has neither progressed nor waited for anything for {silent:.0f} s"
        return None
