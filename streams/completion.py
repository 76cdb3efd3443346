"""What becomes of a batch: its posts are looked up, published, and none of them is lost.

When :meth:`Completion.complete` returns, every post of the batch is confirmed on the feed, its retry on posts.created,
or its id on posts.dead; only then may the records be released.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, NamedTuple

from streams.contract import (
    DeadLetter,
    FeedRecord,
    PostId,
    dead_letter,
    encode_dead,
    encode_feed,
    feed_records,
)
from streams.enrichment import Found, distinct_posts, enrich
from streams.letters import LetterLog
from streams.lookup import DATABASE, LooksUp, TimedOut, Unavailable, Unreadable
from streams.progress import Stage, Work
from streams.publisher import Publishes, TooLarge, delays
from streams.settings import Settings
from streams.statements import Statement, Statements
from streams.telemetry import Metrics, log
from streams.windows import Batch

# How much of a database's words about a post is kept.
_DETAIL: Final = 1_000


class _Failure(NamedTuple):
    """Why a statement was not answered: the words for /readyz, and the statements' verdict whether to wait."""

    sentence: str
    wait: bool


class Completion:
    """Completes batches, one after the other.

    ``checkpoint`` is told when a promise changes hands. ``clock`` counts seconds, and ``sleep`` waits that many
    before a new attempt.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        lookup: LooksUp,
        publisher: Publishes,
        look_up: Stage,
        publish: Stage,
        metrics: Metrics,
        letters: LetterLog,
        checkpoint: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._lookup = lookup
        self._publisher = publisher
        self._look_up = look_up
        self._publish = publish
        self._metrics = metrics
        self._letters = letters
        self._checkpoint = checkpoint
        self._clock = clock
        self._sleep = sleep
        self._limit = settings.max_batch
        self._controls: list[PostId] = []
        self._unexpected = ""

    async def complete(self, batch: Batch) -> None:
        """Look up a batch's posts and publish them in order, however long that takes."""
        found, unreadable = await self._found(distinct_posts(batch.records))
        records = [record for record in batch.records if record.post not in unreadable]
        enriched = enrich(records, found, max_attempts=self._settings.max_attempts)
        with self._publish.work() as work:
            for index, part in enumerate(feed_records(batch.window, enriched.publications)):
                if index:
                    self._checkpoint("feed.split")
                await self._show(part, work)
            if enriched.publications:
                self._checkpoint("feed.confirmed")
            for attempt, ids in enriched.retries.items():
                await self._publisher.announce(ids, attempt, work)
                self._metrics.retries.inc(len(ids))
                self._checkpoint("retry.confirmed")
            in_vain = f"not in the database at {self._settings.max_attempts} lookups"
            letters = [dead_letter("missing", in_vain, b"%d" % post) for post in enriched.missing]
            letters += [dead_letter("unreadable", why[:_DETAIL], b"%d" % post) for post, why in unreadable.items()]
            await self._set_aside(letters, work)
        self._metrics.batches.inc()

    async def dead_letter(self, letters: Iterable[DeadLetter]) -> None:
        """Write dead letters, and return when they are confirmed."""
        with self._publish.work() as work:
            await self._set_aside(list(letters), work)

    async def _set_aside(self, letters: Sequence[DeadLetter], work: Work) -> None:
        await self._publisher.publish(self._settings.dead_topic, [encode_dead(letter) for letter in letters], work)
        for letter in letters:
            self._metrics.dead.labels(letter.reason).inc()
            self._letters.count(letter.reason)

    async def _show(self, part: FeedRecord, work: Work) -> None:
        """Write a record of the feed; what Kafka finds too large is halved, and a single post set aside."""
        publications = part.publications
        try:
            await self._publisher.publish(self._settings.feed_topic, [encode_feed(part)], work)
        except TooLarge as error:
            if len(publications) == 1:
                await self._set_aside([dead_letter("too_large", str(error), b"%d" % publications[0].id)], work)
                return
            middle = len(publications) // 2
            for half in (publications[:middle], publications[middle:]):
                await self._show(FeedRecord(part.window, half), work)
        else:
            self._metrics.posts.inc(len(publications))

    async def _found(self, ids: Sequence[PostId]) -> tuple[dict[PostId, Found], dict[PostId, str]]:
        """Return the posts that the database has, and why some cannot be read; ask until each id is decided."""
        # What once was too much for one statement may not be any more.
        self._limit = min(2 * self._limit, self._settings.max_batch)
        statements = Statements(ids, limit=self._limit, controls=self._controls)
        attempts = delays()
        with self._look_up.work() as work:
            while statement := statements.next():
                failure = await self._ask(statements, statement, work)
                if failure is not None:
                    work.waits("database", failure.sentence)
                    if failure.wait:
                        await self._sleep(next(attempts))
                elif not statements.has_suspect:
                    work.progressed()
                    attempts = delays()
        self._limit, self._controls = statements.limit, statements.controls
        return statements.found, statements.unreadable

    async def _ask(self, statements: Statements, statement: Statement, work: Work) -> _Failure | None:
        """Ask one statement and report what became of it; return what is to be waited for."""
        halvings = statements.halvings
        if statement.control:
            self._metrics.control_lookups.inc()
        try:
            with (
                work.asks("database", f"waiting for {DATABASE}: a statement is under way"),
                self._metrics.lookup_seconds.time(),
            ):
                found = await self._lookup.posts(statement.ids)
        except Unavailable as error:
            return _Failure(f"waiting for {DATABASE}: {error}", statements.unavailable())
        except TimedOut as error:
            wait = statements.timed_out(str(error), self._clock())
            slow = statements.slow
            is_known = slow is not None and not statement.control
            return _Failure(_takes_long(slow) if is_known else f"{DATABASE} takes too long: {error}", wait)
        except Exception as error:  # noqa: BLE001 - law 7 holds for every error of a lookup
            if not isinstance(error, Unreadable):
                self._log_once(error)
            wait = statements.failed(_words(error))
            return _Failure(f"{DATABASE} fails for every post that is asked for: {error}", wait) if wait else None
        else:
            wait = statements.answered(found)
            return _Failure(_takes_long(statements.slow), wait) if wait else None
        finally:
            self._metrics.halvings.inc(statements.halvings - halvings)

    def _log_once(self, error: Exception) -> None:
        """Log an error that the lookup does not name, with its traceback, unless it was the latest one."""
        if (what := repr(error)) != self._unexpected:
            self._unexpected = what
            log.error("lookup.failed", error=what, exc_info=error)


def _takes_long(post: PostId | None) -> str:
    return f"{DATABASE} takes too long for post {post} alone, and not for others"


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, Unreadable) else f"{type(error).__name__}: {error}"
