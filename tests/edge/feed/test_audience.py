"""All that the log is read for are told, in their order."""

from edge.feed.audience import Audience
from edge.feed.position import Reason


class Listener:
    """Notes what it is told, with its name."""

    def __init__(self, name: str, told: list[tuple[str, object]]) -> None:
        self.name = name
        self.told = told

    def publish(self, read_at: float | None = None) -> None:
        self.told.append((self.name, read_at))

    def interrupt(self, reason: Reason) -> None:
        self.told.append((self.name, reason))


def test_the_first_is_told_first() -> None:
    told: list[tuple[str, object]] = []
    audience = Audience(Listener("a", told), Listener("b", told))
    audience.publish(1.5)
    audience.interrupt("recreated")
    assert told == [("a", 1.5), ("b", 1.5), ("a", "recreated"), ("b", "recreated")]
