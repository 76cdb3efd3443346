"""What was set aside: looked at, and put back.

A dead letter that names a post is put back by announcing the post again, as a new record of
posts.created. That it was put back is written to posts.dead itself, as a letter with the reason
``requeued`` that names the offset: the topic is all there is to know, and putting back twice does nothing.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.announcement import NotAnId, announced_post
from streams.contract import (
    BadRecord,
    Created,
    DeadLetter,
    Millis,
    Offset,
    dead_letter,
    decode_dead,
    encode_created,
    encode_dead,
)
from streams.publisher import Publishes
from streams.settings import Settings

REQUEUED: Final = "requeued"
# Records a read brings at most: letters are up to 88 KiB long.
_READ_RECORDS: Final = 100


class Letter(NamedTuple):
    """A dead letter in its place; ``written`` is when."""

    offset: Offset
    written: Millis
    letter: DeadLetter


class Requeued(NamedTuple):
    """How many letters were put back, and which could not be, with the reason."""

    done: int
    refused: list[tuple[Letter, str]]


async def letters(settings: Settings) -> AsyncIterator[Letter]:
    """Yield every record of posts.dead, oldest first, up to its end as it is now."""
    async with _reader(settings) as consumer:
        tp = TopicPartition(settings.dead_topic, 0)
        end = (await consumer.end_offsets([tp]))[tp]
        while await consumer.position(tp) < end:
            for record in (await consumer.getmany(tp, timeout_ms=1000, max_records=_READ_RECORDS)).get(tp, ()):
                try:
                    letter = decode_dead(record.value or b"")
                except BadRecord as error:
                    letter = dead_letter("unknown", str(error), record.value or b"")
                yield Letter(Offset(record.offset), Millis(record.timestamp), letter)


def outstanding(all_letters: Iterable[Letter], reason: str | None = None) -> list[Letter]:
    """Return the letters that were not put back, those with ``reason`` alone if it is given."""
    waiting: dict[Offset, Letter] = {}
    for one in all_letters:
        if one.letter.reason == REQUEUED:
            waiting.pop(Offset(int(one.letter.body)), None)
        else:
            waiting[one.offset] = one
    return [one for one in waiting.values() if reason in {None, one.letter.reason}]


async def requeue(some: Iterable[Letter], publisher: Publishes, settings: Settings) -> Requeued:
    """Announce the posts that letters name; what names none is refused."""
    done = 0
    refused: list[tuple[Letter, str]] = []
    for one in some:
        try:
            if one.letter.length > len(one.letter.body):
                raise NotAnId("only the beginning of the body was kept")  # noqa: TRY301 - one kind of refusal
            post = announced_post(one.letter.body)
        except NotAnId as error:
            refused.append((one, str(error)))
            continue
        await publisher.publish(settings.created_topic, [(b"%d" % post, encode_created(Created(post)))])
        mark = dead_letter(REQUEUED, f"post {post}", b"%d" % one.offset)
        await publisher.publish(settings.dead_topic, [(None, encode_dead(mark))])
        done += 1
    return Requeued(done, refused)


@asynccontextmanager
async def _reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**settings.kafka_client("postcast-dead"), auto_offset_reset="earliest")
    try:
        await consumer.start()
        consumer.assign([TopicPartition(settings.dead_topic, 0)])
        await consumer.seek_to_beginning()
        yield consumer
    finally:
        await consumer.stop()
