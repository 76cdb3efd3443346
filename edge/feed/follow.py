"""Follow ``posts.feed`` into the log: from history on, for ever, and never past a gap in silence.

When Kafka goes away the clients stay, and the source tries again for ever. Then it reads the
newest record that it knows once more, so that a topic made anew in the meantime is noticed. What
the log cannot go on from is a gap: it begins anew, and the hub tells the clients. Offsets that are
missing among those that are read are a gap, too, and the log goes on behind them at once.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, closing, suppress
from typing import Final

import structlog

from edge.feed.arrivals import Arrivals
from edge.feed.ends import Ends
from edge.feed.health import Health
from edge.feed.log import Log
from edge.feed.position import Gap, Reason
from edge.feed.quiet import Quiet
from edge.feed.start import Bounds, continues, start
from edge.feed.topic import Raw, Readers, Topic, Unreachable
from streams.contract import Offset

_logger = structlog.get_logger("edge.source")

# Kafka tells nobody that a topic is made: how often to look.
_TOPIC_SECONDS: Final = 0.5
# Between attempts to reach Kafka: at once after a hiccup, no burden while it is down.
_SHORTEST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Source:
    """The shell around the log's growing end.

    ``connect`` opens the topic called ``name``; ``history`` is how many records before the feed's
    end are offered at the start, ``reach`` how many records back a post counts as a repeat, and
    ``patience`` for how many seconds a feed that was followed may be lost before that is :attr:`unready`.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Topic]],
        *,
        name: str,
        log: Log,
        hub: Readers,
        history: int,
        reach: int,
        patience: float,
    ) -> None:
        self._connect = connect
        self._name = name
        self._log = log
        self._hub = hub
        self._history = history
        self._reach = reach
        self._health = Health(patience)
        self._partitions = 1
        self._gap: Reason | None = None
        self._pause = _SHORTEST_PAUSE
        self.gaps: Counter[Reason] = Counter()
        """Gaps in the feed, by the reason that clients are told."""
        self._connections = 0
        self._ends = Ends()
        self._arrivals = Arrivals()
        self.records = self.repeats = self.undecodable = 0
        """How many records were read, how many posts were repeats, how many records were no records."""

    @property
    def trouble(self) -> str | None:
        """Why the feed is not followed to its end, as a sentence; None when it is."""
        return self._health.trouble

    @property
    def unready(self) -> str | None:
        """Why new clients had better go elsewhere; None also for a while after the feed was lost."""
        return self._health.unready(_now())

    @property
    def lag(self) -> int:
        """How many records of the feed were not read yet when it was last read."""
        return self._health.lag

    @property
    def lag_seconds(self) -> float:
        """For how long the feed has not been read to its end; 0 when it was, at the last read."""
        return self._health.lag_seconds(_now())

    @property
    def reconnects(self) -> int:
        """How often Kafka was connected to again, after it was lost or the feed had a gap."""
        return max(0, self._connections - 1)

    async def run(self) -> None:
        """Follow the feed until cancelled."""
        self._health.begin(_now())
        while True:
            try:
                async with self._connect() as topic:
                    self._connections += 1
                    await self._wait_for(topic)
                    with self._ends.of(topic):
                        await self._follow(topic)
            except Unreachable as error:
                self._say(error.sentence, error=str(error))
            await asyncio.sleep(self._pause)
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    async def end(self) -> Offset | None:
        """Ask Kafka for the offset of the feed's next record, as of this call or later; None when it cannot say."""
        return await self._ends.end()

    async def confirmed_end(self) -> Offset | None:
        """Ask the same of a majority of the feed's replicas; None also when they do not agree."""
        return await self._ends.confirmed_end()

    async def reached(self, offset: Offset) -> None:
        """Wait until every record before ``offset`` has been read."""
        while self._log.next_offset is None or self._log.next_offset < offset:
            await self._arrivals.at(offset)

    async def _wait_for(self, topic: Topic) -> None:
        """Wait until there is one partition: the order in which everybody sees posts is part of the promise.

        Of a feed that was followed partition 0 is read on, however many have come to it.
        """
        is_known = self._log.next_offset is not None
        while (count := await topic.partitions()) != 1 and not (count and is_known):
            self._say(self._surplus(count) if count else f"The topic {self._name} does not exist yet.")
            await asyncio.sleep(_TOPIC_SECONDS)
        self._partitions = count

    def _surplus(self, partitions: int) -> str:
        return f"The topic {self._name} has {partitions} partitions and needs exactly one."

    async def _follow(self, topic: Topic) -> None:
        """Read on from where the log is, until there is a gap."""
        bounds = await self._bounds(topic)
        await topic.seek(self._place(bounds))
        self._advance(bounds.end)
        with closing(Quiet(self.confirmed_end)) as quiet:
            while self._gap is None:
                read = await topic.read()
                read_at = _now()
                quiet.heard(read)
                for raw in read.records:
                    self._append(raw)
                if self._gap is None:
                    self._skip_to(read.next_offset)
                self._partitions = read.partitions
                self._advance(max(bounds.end, read.end), read_at)

    async def _bounds(self, topic: Topic) -> Bounds:
        """Ask which records there are. Who knows of fewer than a majority does, or than were read, is not believed."""
        known, confirmed = self._log.next_offset, None
        if known is not None:
            with suppress(Unreachable):
                confirmed = await topic.confirmed_end()
        bounds = await topic.bounds()
        if known is not None and bounds.end < (known if confirmed is None else confirmed):
            raise Unreachable("the broker that was asked does not lead the feed any more, or no majority confirms it")
        return bounds

    def _place(self, bounds: Bounds) -> Offset:
        """Say where to read on, and begin the log anew where it cannot go on."""
        known = self._log.next_offset
        if known is not None and self._gap is None and continues(next_offset=known, bounds=bounds):
            # The newest record once more, to see that it is still the same topic.
            again = self._log.reads_on_from
            return max(bounds.begin, known if again is None else again)
        # After a gap no history: what was shown before would be shown again.
        plan = start(bounds, history=self._history if known is None else 0, reach=self._reach)
        self._log.begin(plan.read_from, plan.offer_from, plan.earliest)
        if known is not None:
            reason, self._gap = self._gap or "interrupted", None
            _logger.warning("feed.gap", reason=reason, expected=known, begin=bounds.begin, end=bounds.end)
            self._say("The feed was interrupted, and is read anew.")
            self._interrupt(reason)
        return plan.read_from

    def _append(self, raw: Raw) -> None:
        if self._gap is not None:
            return
        self._skip_to(raw.offset)
        match self._log.append(*raw):
            case Gap(reason):
                self._gap = reason
            case appended:
                self.records += 1
                self.repeats += appended.repeats
                if appended.error is not None:
                    self.undecodable += 1
                    _logger.error("feed.undecodable", offset=raw.offset, error=appended.error)

    def _skip_to(self, offset: Offset) -> None:
        """Go on behind offsets that no record has; it is a gap for everybody who stands before them."""
        is_hole, expected = self._log.is_hole_before(offset), self._log.next_offset
        if is_hole:
            # Clients at the head get what came before it first.
            self._hub.publish()
        self._log.skip_to(offset)
        if is_hole:
            _logger.warning("feed.hole", expected=expected, offset=offset)
            self._interrupt("interrupted")

    def _interrupt(self, reason: Reason) -> None:
        self.gaps[reason] += 1
        self._hub.interrupt(reason)

    def _advance(self, end: Offset, read_at: float | None = None) -> None:
        self._hub.publish(read_at)
        if self._log.next_offset is None:
            return
        self._arrivals.note(self._log.next_offset)
        if self._gap is not None:
            return
        lag = max(0, end - self._log.next_offset)
        if not lag:
            self._pause = _SHORTEST_PAUSE
        # Partition 0 is followed all the same: writers that keep to it lose nothing.
        surplus = self._surplus(self._partitions) if self._partitions > 1 else None
        self._note(is_new=self._health.read(lag, surplus, _now()))

    def _say(self, trouble: str, **fields: str) -> None:
        """Log a trouble once."""
        self._note(is_new=self._health.say(trouble, _now()), **fields)

    def _note(self, *, is_new: bool, **fields: str) -> None:
        if is_new and self.trouble is None:
            _logger.info("feed.followed", topic=self._name, next_offset=self._log.next_offset)
        elif is_new:
            _logger.warning("feed.waiting", trouble=self.trouble, **fields)


def _now() -> float:
    return asyncio.get_running_loop().time()
