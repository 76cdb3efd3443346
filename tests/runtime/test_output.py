"""A log that nobody reads stops nobody."""

import os
import threading
from collections.abc import Iterator
from io import FileIO

import pytest

from runtime.output import Output

Pipe = tuple[FileIO, FileIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Make one, to read from and to write to."""
    reading, writing = map(FileIO, os.pipe(), "rw")
    with reading, writing:
        yield reading, writing


def test_lines_come_whole_and_in_order(pipe: Pipe) -> None:
    reading, writing = pipe
    output = Output(writing.fileno())
    lines = [f"line {number} é \udce9\n" for number in range(1000)]
    assert [output.write(line) for line in lines] == [len(line) for line in lines]
    output.close(10)
    writing.close()
    assert reading.readall().decode().splitlines() == [f"line {number} é \\udce9" for number in range(1000)]
    assert output.dropped == 0


def read_to_its_end(output: Output, pipe: Pipe) -> bytes:
    """Begin to read only now, and close the output meanwhile."""
    reading, writing = pipe
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(reading.readall()))
    reader.start()
    output.close(10)
    writing.close()
    reader.join(10)
    return b"".join(got)


def test_what_finds_no_room_is_dropped_and_counted_and_nobody_waits(pipe: Pipe) -> None:
    """A pipe holds 64 KiB, and nobody reads it at first; what was taken comes in the end."""
    _, writing = pipe
    output = Output(writing.fileno(), limit=10_000)
    line = "x" * 999 + "\n"
    for _ in range(500):
        output.write(line)
    kept = 500 - output.dropped
    assert 10 <= kept < 500
    output.close(0.01)
    assert read_to_its_end(output, pipe) == line.encode() * kept


def test_a_pipe_that_does_not_block_loses_nothing(pipe: Pipe) -> None:
    _, writing = pipe
    os.set_blocking(writing.fileno(), False)
    output = Output(writing.fileno())
    line = "x" * 999 + "\n"
    for _ in range(500):
        output.write(line)
    output.close(0.1)
    assert read_to_its_end(output, pipe) == line.encode() * 500
    assert output.dropped == 0


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    reading, writing = pipe
    output = Output(writing.fileno())
    reading.close()
    for _ in range(10):
        output.write("x\n")
        output.flush()
    output.close(10)
    assert output.dropped == 0
