"""What is done with dead letters: their posts are announced again or not, and a mark says that they are done.

Letters are settled in groups: the posts of a group are announced, then its marks are written. A process that ends
between the two announces a group again at the next attempt, and the feed's readers know repeats (law 2).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from typing import Final

from streams.contract import encode_dead
from streams.dead import REQUEUED, Action, Verdict, mark
from streams.progress import Work
from streams.publisher import Publishes

# A group is settled at so many posts (a letter that names none counts as one) or bytes of bodies: two writes for it.
_GROUP_POSTS: Final = 1_000
_GROUP_BYTES: Final = 4 * 1024 * 1024


CONFIRM_SECONDS: Final = 30.0
"""How long Kafka may take to confirm a group: longer than a partition takes to change its leader."""


class NotConfirmed(Exception):
    """Kafka did not confirm a group in time; what was settled before it stays settled."""


async def settle(
    action: Action,
    verdicts: AsyncIterable[Verdict],
    publisher: Publishes,
    *,
    dead_topic: str,
    work: Work,
    patience: float = CONFIRM_SECONDS,
) -> AsyncGenerator[Verdict]:
    """Do what verdicts say, in groups; yield each one when it is done, and a refused one at once.

    Raises :class:`NotConfirmed` when Kafka does not confirm a group within ``patience`` seconds.
    """

    async def settled(group: Sequence[Verdict]) -> Sequence[Verdict]:
        try:
            async with asyncio.timeout(patience):
                if action == REQUEUED:
                    posts = list(dict.fromkeys(post for verdict in group for post in verdict.posts))
                    await publisher.announce(posts, 0, work)
                await publisher.publish(dead_topic, [encode_dead(mark(action, verdict)) for verdict in group], work)
        except TimeoutError:
            why = work.waiting[1] if work.waiting else "no answer"
            raise NotConfirmed(f"Kafka does not confirm what is written: {why}") from None
        return group

    group: list[Verdict] = []
    posts = size = 0
    async for verdict in verdicts:
        if verdict.refusal:
            yield verdict
            continue
        group.append(verdict)
        posts += max(1, len(verdict.posts))
        size += len(verdict.letter.letter.body)
        if posts >= _GROUP_POSTS or size >= _GROUP_BYTES:
            for done in await settled(group):
                yield done
            group, posts, size = [], 0, 0
    for done in await settled(group) if group else ():
        yield done
