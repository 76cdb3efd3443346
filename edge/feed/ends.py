"""Where the feed ends, as Kafka says it: asked once for all who want to know at the same time."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from edge.feed.shared import Shared
from edge.feed.topic import Unreachable
from streams.contract import Offset

# Between two confirmations of the feed's end.
_CONFIRM_SECONDS: Final = 1.0


class Ended(Protocol):
    """What is asked: a :class:`~edge.feed.topic.Topic`. Both raise ``Unreachable``."""

    async def end(self) -> Offset:
        """Say which offset the next record will get, as of this call or later."""
        ...

    async def confirmed_end(self) -> Offset:
        """Say the same, by the word of a majority of the brokers that keep the topic."""
        ...


class Ends:
    """Asks the topic that is open; None is no answer, also while none is."""

    def __init__(self) -> None:
        self._topic: Ended | None = None
        self._end = Shared(lambda: self._ask(lambda topic: topic.end()))
        self._confirmed_end = Shared(lambda: self._ask(lambda topic: topic.confirmed_end()), apart=_CONFIRM_SECONDS)

    @contextmanager
    def of(self, topic: Ended) -> Iterator[None]:
        """Ask this topic as long as it is open."""
        self._topic = topic
        try:
            yield
        finally:
            self._topic = None

    async def end(self) -> Offset | None:
        """Ask Kafka for the offset of the feed's next record, as of this call or later; None when it cannot say."""
        return await self._end.answer()

    async def confirmed_end(self) -> Offset | None:
        """Ask the same of a majority of the feed's replicas; None also when they do not agree.

        One confirmation is for all who wait for it, and there is at most one a second: anybody can make up a cursor.
        """
        return await self._confirmed_end.answer()

    async def _ask(self, question: Callable[[Ended], Awaitable[Offset | None]]) -> Offset | None:
        try:
            return None if self._topic is None else await question(self._topic)
        except Unreachable:
            return None
