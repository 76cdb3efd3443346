"""Where the feed ends, as Kafka says it: asked once for all who want to know at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

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
        self._asking: set[asyncio.Task[Offset]] = set()
        self._end = Shared(lambda: self._ask(lambda topic: topic.end()))
        self._confirmed_end = Shared(lambda: self._ask(lambda topic: topic.confirmed_end()), apart=_CONFIRM_SECONDS)

    @contextmanager
    def of(self, topic: Ended) -> Iterator[None]:
        """Ask this topic as long as it is open; what it has not answered by then it answers no more."""
        self._topic = topic
        try:
            yield
        finally:
            self._topic = None
            # Against a client that is stopped a question goes on for seconds, and holds up who asks the next topic.
            for asking in self._asking:
                asking.cancel()

    async def end(self) -> Offset | None:
        """Ask Kafka for the offset of the feed's next record, as of this call or later; None when it cannot say."""
        return await self._end.answer()

    async def confirmed_end(self) -> Offset | None:
        """Ask the same of a majority of the feed's replicas; None also when they do not agree.

        One confirmation is for all who wait for it, and there is at most one a second: anybody can make up a cursor.
        """
        return await self._confirmed_end.answer()

    async def _ask(self, question: Callable[[Ended], Coroutine[Any, Any, Offset]]) -> Offset | None:
        if self._topic is None:
            return None
        asking = asyncio.create_task(question(self._topic))
        self._asking.add(asking)
        try:
            await asyncio.wait([asking])
            return None if asking.cancelled() else asking.result()
        except Unreachable:
            return None
        finally:
            asking.cancel()
            self._asking.remove(asking)
