"""The selector of short turns: how many files it returns, and that it passes over none."""

import asyncio
import os
import selectors
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from pathlib import Path
from socket import socket, socketpair
from types import SimpleNamespace

import pytest

from edge.turns import MAX_READY, BoundedSelector, new_event_loop

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


def ignore(seconds: float, cpu_seconds: float) -> None:
    """Hear how long a turn was."""


def leave(cpu_seconds: float) -> None:
    """Tidy nothing up."""


@pytest.fixture
def selector() -> Iterator[BoundedSelector]:
    """Make a selector that returns two files at a time."""
    with closing(BoundedSelector(ignore, leave, 2)) as made:
        yield made


@pytest.fixture
def readable() -> Iterator[list[socket]]:
    """Make five sockets, each with something to be read."""
    with ExitStack() as entered:
        pairs = [[entered.enter_context(end) for end in socketpair()] for _ in range(5)]
        for _, theirs in pairs:
            theirs.send(b"x")
        yield [ours for ours, _ in pairs]


def test_each_file_is_returned_before_any_is_returned_again(selector: BoundedSelector, readable: list[socket]) -> None:
    """A few at a time, also when those that were returned stay ready."""
    for each in readable:
        selector.register(each, READ)
    turns = [[key.fileobj for key, _ in selector.select(0)] for _ in range(5)]
    assert [len(turn) for turn in turns] == [2] * 5
    named = [*chain(*turns)]
    assert set(named[:5]) == set(named[5:]) == set(readable)


def test_a_file_is_returned_for_what_it_is_registered(selector: BoundedSelector, readable: list[socket]) -> None:
    """Though it is ready for both; one that is not registered any more is not returned."""
    one = readable[0]
    told = []
    for events in (READ, WRITE, READ | WRITE):
        key = selector.register(one, events)
        told.append(selector.select(0) == [(key, events)])
        selector.unregister(one)
    assert told == [True, True, True]
    assert selector.select(0) == []


def test_an_end_is_reported_for_whatever_a_file_is_registered(selector: BoundedSelector) -> None:
    """A pipe without a reader is neither readable nor writable: it is broken."""
    reader, writer = os.pipe()
    os.close(reader)
    key = selector.register(writer, READ)
    assert selector.select(0) == [(key, READ)]
    selector.unregister(writer)
    os.close(writer)


class Queue:
    """A kernel's queue in which nothing is ready; it keeps how long it was asked to wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self._fd = -1

    def fromfd(self, fd: int) -> "Queue":
        self._fd = fd
        return self

    def poll(self, wait: float, _most: int) -> list[tuple[int, int]]:
        self.waits.append(wait)
        return []

    def close(self) -> None:
        os.close(self._fd)


@pytest.mark.parametrize(("timeout", "wait"), [(None, -1), (-1, 0), (0, 0), (0.0001, 0.001), (0.0021, 0.003)])
def test_a_wait_is_rounded_up_to_milliseconds(
    timeout: float | None, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut down to none, it would make the loop spin."""
    queue = Queue()
    epoll = type("epoll", (), {"fromfd": queue.fromfd, "poll": lambda *_: [], "close": lambda _: None})
    monkeypatch.setattr("edge.turns.select", SimpleNamespace(epoll=epoll))
    with closing(BoundedSelector(ignore, leave)) as selector:
        assert selector.select(timeout) == []
    assert queue.waits == [wait]


def test_it_waits_until_a_file_is_ready(selector: BoundedSelector, readable: list[socket]) -> None:
    """For ever when no timeout is given."""
    key = selector.register(readable[0], READ)
    assert selector.select() == [(key, READ)]


def test_a_preferred_file_is_returned_first_each_time(selector: BoundedSelector, readable: list[socket]) -> None:
    """And the others in turn, as many as without it."""
    *others, preferred = readable
    for each in readable:
        selector.register(each, READ)
    selector.prefer(preferred.fileno())
    turns = [[key.fileobj for key, _ in selector.select(0)] for _ in range(8)]
    assert [turn[0] for turn in turns] == [preferred] * 8
    assert set(chain(*turns)) == {*others, preferred}
    assert all(turn.count(preferred) == 1 for turn in turns)


def test_a_preferred_file_that_nobody_wants_to_read_is_not_returned(
    selector: BoundedSelector, readable: list[socket]
) -> None:
    """It does not keep the loop from waiting, either; it is preferred again when somebody does."""
    preferred, other, *_ = readable
    selector.register(preferred, WRITE)
    selector.prefer(preferred.fileno())
    assert [(key.fileobj, events) for key, events in selector.select(0)] == [(preferred, WRITE)]
    selector.unregister(preferred)
    begun = time.monotonic()
    assert selector.select(0.02) == []
    assert time.monotonic() - begun >= 0.02
    selector.register(other, READ)
    selector.register(preferred, READ | WRITE)
    assert [key.fileobj for key, _ in selector.select(0)] == [preferred, other]


def test_a_file_that_has_the_number_of_a_preferred_one_is_like_any_other(selector: BoundedSelector) -> None:
    """The preference goes with the file, not with its number."""
    with socket() as gone:
        number = gone.fileno()
        selector.prefer(number)
    with ExitStack() as entered:
        ends = [entered.enter_context(end) for _ in range(2) for end in socketpair()]
        assert number in {end.fileno() for end in ends}
        for end in ends:
            end.send(b"x")
            selector.register(end, READ)
        returned = Counter(key.fileobj for _ in range(4) for key, _ in selector.select(0))
        assert returned == dict.fromkeys(ends, 2)
        for end in ends:
            selector.unregister(end)


def test_a_connection_that_the_process_makes_is_read_before_those_that_others_make() -> None:
    """However many of them have something to be read, it waits for one turn."""
    reads: list[int] = []

    async def main() -> None:
        running = asyncio.get_running_loop()
        with ExitStack() as entered:
            listening = entered.enter_context(socket())
            listening.bind(("127.0.0.1", 0))
            listening.listen()
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            theirs, _ = listening.accept()
            entered.enter_context(theirs)
            for _ in range(20 * MAX_READY):
                ours, other = (entered.enter_context(end) for end in socketpair())
                other.send(b"x")
                running.add_reader(ours, reads.append, 0)
            waited = []
            for _ in range(5):
                before = len(reads)
                theirs.send(b"y")
                assert await reader.read(1) == b"y"
                waited.append(len(reads) - before)
            assert max(waited) <= 3 * MAX_READY
            writer.close()

    with asyncio.Runner(loop_factory=partial(new_event_loop, ignore)) as runner:
        runner.run(main())
    assert len(reads) > MAX_READY


def test_its_files_are_closed() -> None:
    """The queue has two descriptors, and preferred files have a queue of their own."""
    before = sorted(Path("/proc/self/fd").iterdir())
    BoundedSelector(ignore, leave).close()
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_what_was_put_off_comes_after_a_few() -> None:
    """However many are ready, the fan-out's next slice and the timers come between them."""
    served: list[int] = []
    between: list[int] = []

    def serve(ours: socket, number: int) -> None:
        ours.recv(1)
        served.append(number)

    async def main() -> None:
        running = asyncio.get_running_loop()
        with ExitStack() as entered:
            for number in range(5 * MAX_READY):
                ours, theirs = (entered.enter_context(end) for end in socketpair())
                theirs.send(b"x")
                running.add_reader(ours, serve, ours, number)
            while len(served) < 5 * MAX_READY:
                before = len(served)
                await asyncio.sleep(0)
                between.append(len(served) - before)

    with asyncio.Runner(loop_factory=partial(new_event_loop, ignore)) as runner:
        runner.run(main())
    assert max(between) <= MAX_READY
    assert sorted(served) == list(range(5 * MAX_READY))


def test_each_turn_is_noted() -> None:
    """By the clock and by CPU time, without the time in which nobody was ready."""
    noted: list[tuple[float, float]] = []

    async def main() -> None:
        await asyncio.sleep(0.2)
        time.sleep(0.05)  # noqa: ASYNC251 - the loop is to be blocked
        await asyncio.sleep(0.2)
        begin = time.thread_time()
        while time.thread_time() < begin + 0.05:
            pass
        await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=partial(new_event_loop, lambda *turn: noted.append(turn))) as runner:
        begin, used_before = time.monotonic(), time.thread_time()
        runner.run(main())
        passed, used = time.monotonic() - begin, time.thread_time() - used_before
        # The first turn began with the loop.
        in_turns, used_in_turns = (sum(column) for column in zip(*noted[1:], strict=True))
    # At least so much, however busy the machine is; and at most what has passed.
    assert any(seconds >= 0.05 and cpu_seconds < 0.04 for seconds, cpu_seconds in noted)
    assert any(seconds >= 0.04 and cpu_seconds >= 0.05 for seconds, cpu_seconds in noted)
    assert in_turns < passed - 0.25
    assert used_in_turns <= used
