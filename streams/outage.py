"""What the bridge's stage reports while it has no subscription."""

from contextlib import ExitStack

from streams.progress import Stage, Work


class Outage:
    """The stage's report while there is no subscription.

    After an error of the bridge's own it goes on, neither progressing nor waiting, until a new subscription has proved
    itself: a bridge that fails again and again is a stage that stands still.
    """

    def __init__(self, stage: Stage) -> None:
        self.failing = False
        self._stage = stage
        self._report = ExitStack()
        self._work: Work | None = None

    def waits(self, why: str) -> None:
        """Report that there is no subscription, and why."""
        self.failing = False
        if self._work is None:
            self._work = self._report.enter_context(self._stage.work())
        self._work.waits("rabbitmq", why)

    def fails(self) -> None:
        """Report that there is no subscription, and that nothing outside the worker is the reason."""
        if not self.failing:
            self.ends()
            self.failing = True
            self._work = self._report.enter_context(self._stage.work())

    def ends(self) -> None:
        """Report that there is a subscription."""
        self.failing = False
        self._work = None
        self._report.close()
