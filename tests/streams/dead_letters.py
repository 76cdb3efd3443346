"""A topic of dead letters in memory, and letters to put into it."""

from collections.abc import AsyncIterator, Iterable, Sequence

from streams.contract import DeadLetter, Millis, Offset, Partition, dead_letter
from streams.dead import Letter, Mark, Place, read_record

MISSING = dead_letter("missing", "not in the database at 3 lookups", b"12")
POISON = dead_letter("not_an_id", "neither digits nor an object", b"abc")
HUGE = dead_letter("not_an_id", "too many digits", b"1" * 1_000_000)
GROUPED = dead_letter("bad_record", "an older worker could not read it", b'{"ids":[5,6,7],"attempt":2}')


def at(offset: int, partition: int = 0) -> Place:
    return Place(Partition(partition), Offset(offset))


def placed(letter: DeadLetter, offset: int = 0, partition: int = 0) -> Letter:
    """Return a letter in its place, written at the millisecond of its offset."""
    return Letter(at(offset, partition), Millis(offset), letter)


class MemoryTopic:
    """The values of each partition, read like the real topic: the first reading fixes the end."""

    name = "posts.dead"

    def __init__(self, *partitions: Iterable[bytes]) -> None:
        self.values = [list(values) for values in partitions]
        self.partitions: Sequence[Partition] = [Partition(number) for number in range(len(partitions))]
        self.readings = 0
        self.read = 0
        self._ends: list[int] = []

    async def records(self) -> AsyncIterator[Letter | Mark]:
        self.readings += 1
        self._ends = self._ends or [len(values) for values in self.values]
        for partition, (values, end) in enumerate(zip(self.values, self._ends, strict=True)):
            for offset, value in enumerate(values[:end]):
                self.read += 1
                yield read_record(at(offset, partition), Millis(offset), value)
