"""The worker's connections as services: Kafka's producer, and the database, each asked once at the start."""

import asyncio
from collections.abc import Awaitable, Callable

from mode import Service

from streams.lasting import lasting
from streams.lookup import DATABASE, LooksUp, TimedOut, Unavailable, Unusable
from streams.progress import Stage
from streams.publisher import Publisher, delays
from streams.telemetry import log
from streams.topics import WrongTopic


class Producer(Service):
    """Kafka's producer, for as long as anything writes."""

    def __init__(self, publisher: Publisher, stage: Stage) -> None:
        super().__init__()
        self._publisher = publisher
        self._stage = stage

    async def on_start(self) -> None:
        """Wait for Kafka and make its topics; a topic that cannot work ends the worker with its sentence."""
        try:
            with self._stage.work() as work:
                # A stop does not wait for a Kafka that never comes.
                await self.wait(self._publisher.start(work))
        except WrongTopic as error:
            raise SystemExit(f"{error}.") from None

    async def on_stop(self) -> None:
        """Write what is buffered."""
        await self._publisher.stop()


class Database(Service):
    """Asks the database once: until it answers, the worker is not ready and says why.

    The bridge runs meanwhile: announcements are safer in Kafka than in RabbitMQ.
    """

    def __init__(self, lookup: LooksUp, stage: Stage) -> None:
        super().__init__()
        self._lookup = lookup
        self._stage = stage

    @lasting
    async def _check(self) -> None:
        try:
            await until_answered(self._lookup, self._stage)
        except Unusable as error:
            raise SystemExit(f"{error}.") from None


async def until_answered(
    lookup: LooksUp, stage: Stage, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Return when the database has answered the lookup's statement with no ids; raises Unusable."""
    logged = ""
    with stage.work() as work:
        work.waits("database", f"{DATABASE} has not answered yet")
        for delay in delays():
            try:
                with work.asks("database", f"waiting for {DATABASE}"):
                    await lookup.check()
            except Unusable:
                raise
            except Unavailable as error:
                work.waits("database", f"waiting for {DATABASE}: {error}")
            except TimedOut as error:
                work.waits("database", f"{DATABASE} takes too long: {error}")
            except Exception as error:  # noqa: BLE001 - nothing can be looked up before this works
                work.waits("database", f"{DATABASE} fails: {error!r}")
                if repr(error) != logged:
                    logged = repr(error)
                    log.error("lookup.failed", error=logged, exc_info=error)
            else:
                return
            await sleep(delay)
