"""What was set aside is put back once."""

from streams.contract import Created, DeadLetter, Millis, Offset, dead_letter, decode_created, decode_dead
from streams.dead import Letter, Requeued, outstanding, requeue
from streams.settings import Settings
from tests.streams.doubles import MemoryPublisher

SETTINGS = Settings.model_validate(
    {"amqp_url": "amqp://broker", "database_url": "postgres://database", "kafka_url": "kafka://broker"}
)


def in_order(*given: DeadLetter) -> list[Letter]:
    return [Letter(Offset(offset), Millis(offset), letter) for offset, letter in enumerate(given)]


MISSING = dead_letter("missing", "not in the database", b"12")
POISON = dead_letter("not_an_id", "neither digits nor an object", b"abc")
HUGE = dead_letter("not_an_id", "too many digits", b"1" * 1_000_000)


def test_what_was_put_back_is_outstanding_no_longer() -> None:
    log = in_order(MISSING, POISON, MISSING, dead_letter("requeued", "post 12", b"0"))
    assert [one.offset for one in outstanding(log)] == [1, 2]
    assert [one.offset for one in outstanding(log, "missing")] == [2]
    assert outstanding(log, "unreadable") == []


async def test_a_letter_that_names_a_post_announces_it_again_and_is_marked() -> None:
    publisher = MemoryPublisher()
    log = in_order(POISON, MISSING)
    assert await requeue(outstanding(log, "missing"), publisher, SETTINGS) == Requeued(1, [])
    [(topic, key, value), (marked, _, mark)] = publisher.records
    assert (topic, key, decode_created(value)) == ("posts.created", b"12", Created(12))
    assert marked == "posts.dead"
    again = outstanding([*log, Letter(Offset(2), Millis(2), decode_dead(mark))], "missing")
    assert again == []


async def test_what_names_no_post_is_refused_with_the_reason() -> None:
    publisher = MemoryPublisher()
    log = in_order(POISON, HUGE)
    done = await requeue(outstanding(log), publisher, SETTINGS)
    assert done.done == 0
    assert [(one.offset, why) for one, why in done.refused] == [
        (0, "the body is neither 1 to 19 ASCII digits nor a JSON object"),
        (1, "only the beginning of the body was kept"),
    ]
    assert publisher.records == []
