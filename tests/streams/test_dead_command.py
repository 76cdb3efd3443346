"""What one run of ``dead`` reads, does and prints, on a topic in memory."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from streams.contract import Created, Millis, PostId, dead_letter, encode_dead
from streams.dead import REQUEUED
from streams.dead_arguments import NOT_ALL, parse
from streams.dead_command import Command
from streams.progress import Progress
from streams.publisher import Publishes
from tests.streams.dead_letters import GROUPED, MISSING, POISON, MemoryTopic
from tests.streams.doubles import MemoryPublisher

LETTERS = [encode_dead(letter) for letter in (MISSING, POISON, GROUPED)]


class Run:
    """A run of the command; what it writes is appended to the topic."""

    def __init__(self, topic: MemoryTopic) -> None:
        self.topic = topic
        self.publisher = MemoryPublisher(partitions=1)
        self.connected = 0

    @asynccontextmanager
    async def _publishing(self) -> AsyncIterator[Publishes]:
        self.connected += 1
        yield self.publisher

    async def __call__(self, words: str) -> tuple[int, list[str], list[str]]:
        """Return the exit code, the result's lines and the lines beside it."""
        shown: list[str] = []
        said: list[str] = []
        command = Command(parse(["dead", *words.split()], Millis(0)), show=shown.append, say=said.append)
        with Progress(lambda: 0.0).stage("dead").work() as work:
            code = await command.run(self.topic, self._publishing, work)
        written = self.publisher.values("posts.dead")
        self.topic = MemoryTopic([*self.topic.values[0], *written], *self.topic.values[1:]) if written else self.topic
        return code, shown, said


async def test_list_prints_a_line_for_each_letter_and_writes_nothing() -> None:
    run = Run(MemoryTopic(LETTERS))
    code, shown, said = await run("list")
    assert (code, said, run.connected) == (0, ["3 letters"], 0)
    assert [line.split()[0] for line in shown] == ["0", "1", "2"]
    assert not any("requeued" in line for line in shown)


async def test_a_missing_topic_is_no_letters_yet() -> None:
    run = Run(MemoryTopic())
    for words in ("list", "requeue", "dismiss"):
        code, shown, said = await run(words)
        assert (code, shown, run.connected) == (0, [], 0)
        assert said == ["no letters yet: there is no topic posts.dead, or this user may not see it"]


async def test_requeue_says_what_it_did_and_does_nothing_the_second_time() -> None:
    run = Run(MemoryTopic(LETTERS))
    code, shown, said = await run("requeue")
    assert (code, said) == (NOT_ALL, ["2 requeued, 1 not"])
    assert [line.split()[0] for line in shown] == ["1"]
    assert run.publisher.created == [Created([PostId(12), PostId(5), PostId(6), PostId(7)])]
    run.publisher.records.clear()
    assert await run("requeue --reason missing --reason bad_record") == (0, [], ["0 requeued, 0 not"])
    assert run.publisher.records == []


async def test_dismiss_leaves_nothing_outstanding() -> None:
    run = Run(MemoryTopic(LETTERS))
    assert await run("dismiss") == (0, [], ["3 dismissed, 0 not"])
    assert run.publisher.created == []
    assert (await run("list"))[2] == ["0 letters"]


async def test_a_dry_run_says_the_same_and_writes_nothing() -> None:
    run = Run(MemoryTopic(LETTERS))
    code, shown, said = await run("requeue --dry-run")
    assert (code, said, run.connected) == (NOT_ALL, ["2 would be requeued, 1 not"], 0)
    assert [line.split()[0] for line in shown] == ["0", "1", "2"]
    assert (await run("dismiss --dry-run"))[2] == ["3 would be dismissed, 0 not"]
    assert run.connected == 0


async def test_json_is_one_object_a_line_with_what_became_of_each_letter() -> None:
    run = Run(MemoryTopic(LETTERS))
    _, shown, _ = await run("requeue --json")
    assert {(each["offset"], each["outcome"]) for each in map(json.loads, shown)} == {
        (0, "requeued"),
        (1, "refused"),
        (2, "requeued"),
    }
    _, shown, _ = await run("list --json")
    assert [(each["offset"], "outcome" in each) for each in map(json.loads, shown)] == [(1, False)]


async def test_a_limit_ends_the_reading() -> None:
    topic = MemoryTopic(LETTERS * 100)
    run = Run(topic)
    _, shown, said = await run("list --limit 2 --reason missing")
    assert [line.split()[0] for line in shown] == ["0", "3"]
    assert said == ["2 letters"]
    assert topic.read == 304
    assert (await run("requeue --limit 2 --reason missing"))[2] == ["2 requeued, 0 not"]
    assert len(run.publisher.values("posts.dead")) == 2


async def test_marks_that_name_nothing_are_shown_and_refused() -> None:
    run = Run(MemoryTopic([encode_dead(dead_letter(REQUEUED, "by hand", b"all of it")), b"scribble"]))
    code, shown, said = await run("requeue")
    assert (code, said) == (NOT_ALL, ["0 requeued, 2 not"])
    assert all(line.endswith("not requeued: it is no dead letter of Postcast") for line in shown)
