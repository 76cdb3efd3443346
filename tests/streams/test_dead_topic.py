"""The letters that are not done, found in two readings. What reads Kafka is tested in integration/."""

from streams.contract import dead_letter, encode_dead
from streams.dead import DISMISSED, REQUEUED, Letter
from streams.dead_topic import outstanding
from tests.streams.dead_letters import GROUPED, MISSING, POISON, MemoryTopic, at

LETTERS = [encode_dead(letter) for letter in (MISSING, POISON, GROUPED)]


async def unfinished(topic: MemoryTopic) -> list[Letter]:
    return [letter async for letter in outstanding(topic, lambda: None)]


async def test_a_letter_is_outstanding_until_a_mark_names_it() -> None:
    topic = MemoryTopic([*LETTERS, encode_dead(dead_letter(REQUEUED, "", b"0"))])
    assert [letter.place for letter in await unfinished(topic)] == [at(1), at(2)]
    again = MemoryTopic([*topic.values[0], encode_dead(dead_letter(DISMISSED, "", b"2")), topic.values[0][-1]])
    assert [letter.place for letter in await unfinished(again)] == [at(1)]


async def test_letters_of_every_partition_are_found_and_a_mark_in_partition_0_may_name_any() -> None:
    topic = MemoryTopic([encode_dead(dead_letter(REQUEUED, "", b"2:1"))], LETTERS, LETTERS)
    assert [letter.place for letter in await unfinished(topic)] == [at(0, 1), at(1, 1), at(2, 1), at(0, 2), at(2, 2)]


async def test_each_record_is_counted_in_both_readings() -> None:
    topic, read = MemoryTopic(LETTERS), []
    [_ async for _ in outstanding(topic, lambda: read.append(1))]
    assert (topic.readings, len(read)) == (2, 6)
