"""What the bridge's stage reports while it has no subscription."""

from streams.progress import OpenWork, Stage


class Outage:
    """The stage's report while there is no subscription.

    After an error of the bridge's own it goes on, neither progressing nor waiting, until a new subscription has proved
    itself: a bridge that fails again and again is a stage that stands still.
    """

    def __init__(self, stage: Stage) -> None:
        self.failing = False
        self._report = OpenWork(stage)

    def waits(self, why: str) -> None:
        """Report that there is no subscription, and why."""
        self.failing = False
        self._report.open().waits("rabbitmq", why)

    def fails(self) -> None:
        """Report that there is no subscription, and that nothing outside the worker is the reason."""
        if not self.failing:
            self.ends()
            self.failing = True
            self._report.open()

    def ends(self) -> None:
        """Report that there is a subscription."""
        self.failing = False
        self._report.close()
