"""Short turns: how many are served before the others have theirs."""

import asyncio
import os
import selectors
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from itertools import chain
from pathlib import Path
from socket import socket, socketpair

import pytest

from edge.turns import AT_ONCE, Few, loop

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


def ignore(seconds: float, cpu_seconds: float) -> None:
    """Hear how long a turn was."""


@pytest.fixture
def few() -> Iterator[Few]:
    """Make a selector that names two at a time."""
    with closing(Few(ignore, 2)) as selector:
        yield selector


@pytest.fixture
def readable() -> Iterator[list[socket]]:
    """Make five sockets, each with something to be read."""
    with ExitStack() as entered:
        pairs = [[entered.enter_context(end) for end in socketpair()] for _ in range(5)]
        for _, theirs in pairs:
            theirs.send(b"x")
        yield [ours for ours, _ in pairs]


def test_each_is_named_before_any_is_named_again(few: Few, readable: list[socket]) -> None:
    """A few at a time, also when those that were named stay ready."""
    for each in readable:
        few.register(each, READ)
    turns = [[key.fileobj for key, _ in few.select(0)] for _ in range(5)]
    assert [len(turn) for turn in turns] == [2] * 5
    named = [*chain(*turns)]
    assert set(named[:5]) == set(named[5:]) == set(readable)


def test_whoever_is_ready_for_both_is_named_for_what_it_waits_for(few: Few, readable: list[socket]) -> None:
    """And whoever waits no more is not named."""
    one = readable[0]
    told = []
    for events in (READ, WRITE, READ | WRITE):
        key = few.register(one, events)
        told.append(few.select(0) == [(key, events)])
        few.unregister(one)
    assert told == [True, True, True]
    assert few.select(0) == []


def test_an_end_is_told_to_whoever_waits_for_anything(few: Few) -> None:
    """A pipe without a reader is neither readable nor writable: it is broken."""
    reader, writer = os.pipe()
    os.close(reader)
    key = few.register(writer, READ)
    assert few.select(0) == [(key, READ)]
    few.unregister(writer)
    os.close(writer)


def test_it_waits_until_somebody_is_ready(few: Few, readable: list[socket]) -> None:
    """For ever, or for a time that is never cut down to none."""
    assert few.select(-1) == []
    assert few.select(0.0001) == []
    key = few.register(readable[0], READ)
    assert few.select() == [(key, READ)]


def test_its_files_are_closed() -> None:
    """The queue has two ends."""
    before = sorted(Path("/proc/self/fd").iterdir())
    Few(ignore).close()
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
            for number in range(5 * AT_ONCE):
                ours, theirs = (entered.enter_context(end) for end in socketpair())
                theirs.send(b"x")
                running.add_reader(ours, serve, ours, number)
            while len(served) < 5 * AT_ONCE:
                before = len(served)
                await asyncio.sleep(0)
                between.append(len(served) - before)

    with asyncio.Runner(loop_factory=partial(loop, ignore)) as runner:
        runner.run(main())
    assert max(between) <= AT_ONCE
    assert sorted(served) == list(range(5 * AT_ONCE))


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

    with asyncio.Runner(loop_factory=partial(loop, lambda *turn: noted.append(turn))) as runner:
        begin, used_before = time.monotonic(), time.thread_time()
        runner.run(main())
        passed, used = time.monotonic() - begin, time.thread_time() - used_before
        # The first turn began with the loop.
        in_turns, used_in_turns = (sum(column) for column in zip(*noted[1:], strict=True))
    # At least so much, however busy the machine is; and at most what has passed.
    assert any(seconds >= 0.05 and cpu_seconds < 0.04 for seconds, cpu_seconds in noted)
    assert any(seconds >= 0.04 and cpu_seconds >= 0.05 for seconds, cpu_seconds in noted)
    assert in_turns < passed - 0.35
    assert used_in_turns <= used
