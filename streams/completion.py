"""What becomes of a closed window: looked up, published, and nothing of it lost.

When :meth:`Completion.complete` returns, every post of the batch is confirmed on the feed, its retry on
posts.created, or its id on posts.dead; only then may the records be released.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from streams.contract import (
    DeadLetter,
    FeedRecord,
    PostId,
    dead_letter,
    encode_created,
    encode_dead,
    encode_feed,
    feed_records,
)
from streams.enrichment import Row, distinct_posts, enrich
from streams.lookup import TimedOut, Unavailable, Unreadable
from streams.publisher import Publishes, TooLarge, delays
from streams.settings import Settings
from streams.telemetry import Health, Metrics
from streams.windows import Batch


class LooksUp(Protocol):
    """Where posts are looked up."""

    async def posts(self, ids: Sequence[PostId]) -> dict[PostId, Row]:
        """Return the rows of the posts that exist; raises Unavailable, TimedOut or Unreadable."""
        ...


class Completion:
    """Completes batches, one after the other."""

    def __init__(
        self,
        settings: Settings,
        *,
        lookup: LooksUp,
        publisher: Publishes,
        health: Health,
        metrics: Metrics,
        reached: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._lookup = lookup
        self._publisher = publisher
        self._health = health
        self._metrics = metrics
        self._reached = reached

    async def complete(self, batch: Batch) -> None:
        """Look up a window's posts and publish them in order, however long that takes."""
        rows, unreadable = await self._rows(distinct_posts(batch.records))
        enriched = enrich(
            [record for record in batch.records if record.post not in unreadable],
            rows,
            image_base_url=self._settings.image_base_url,
            max_attempts=self._settings.max_attempts,
        )
        for index, part in enumerate(feed_records(batch.window, enriched.publications)):
            if index:
                self._reached("feed.split")
            await self._show(part)
        if enriched.publications:
            self._reached("feed.confirmed")
        if enriched.retries:
            retries = [(b"%d" % retry.id, encode_created(retry)) for retry in enriched.retries]
            await self._publisher.publish(self._settings.created_topic, retries)
            self._metrics.retries.inc(len(enriched.retries))
            self._reached("retry.confirmed")
        in_vain = f"not in the database at {self._settings.max_attempts} lookups"
        await self.set_aside(dead_letter("missing", in_vain, b"%d" % post) for post in enriched.missing)
        await self.set_aside(dead_letter("unreadable", why, b"%d" % post) for post, why in unreadable.items())

    async def set_aside(self, letters: Iterable[DeadLetter]) -> None:
        """Write dead letters."""
        letters = list(letters)
        await self._publisher.publish(self._settings.dead_topic, [(None, encode_dead(letter)) for letter in letters])
        for letter in letters:
            self._metrics.dead.labels(letter.reason).inc()

    async def _show(self, part: FeedRecord) -> None:
        try:
            await self._publisher.publish(self._settings.feed_topic, [(None, encode_feed(part))])
        except TooLarge as error:
            # A record of several posts is a quarter of Kafka's limit at most: this one is a single huge post.
            await self.set_aside(dead_letter("too_large", str(error), b"%d" % one.id) for one in part.publications)
        else:
            self._metrics.posts.inc(len(part.publications))

    async def _rows(self, ids: Sequence[PostId]) -> tuple[dict[PostId, Row], dict[PostId, str]]:
        """Return the rows of the posts, and why some could not be read.

        A statement that fails for what it asks is halved until what fails stands alone; one that takes
        too long is halved too; one that cannot be asked is asked again.
        """
        for delay in delays():
            try:
                with self._metrics.lookup_seconds.time():
                    rows = await self._lookup.posts(ids)
            except Unavailable as error:
                self._health.waiting("database", f"waiting for PostgreSQL: {error}")
            except Unreadable as error:
                self._health.well("database")
                return ({}, {ids[0]: str(error)}) if len(ids) == 1 else await self._halves(ids)
            except TimedOut as error:
                if len(ids) > 1:
                    return await self._halves(ids)
                self._health.waiting("database", f"PostgreSQL takes too long: {error}")
            else:
                self._health.well("database")
                return rows, {}
            await asyncio.sleep(delay)
        raise AssertionError("delays() never ends")

    async def _halves(self, ids: Sequence[PostId]) -> tuple[dict[PostId, Row], dict[PostId, str]]:
        middle = len(ids) // 2
        (rows, unreadable), (more_rows, more_unreadable) = (
            await self._rows(ids[:middle]),
            await self._rows(ids[middle:]),
        )
        return rows | more_rows, unreadable | more_unreadable
