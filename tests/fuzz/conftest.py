"""One loop and one edge for all examples of a module: each example is a connection, not a process's life."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.fuzz.bench import Bench, serving


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def bench(runner: asyncio.Runner) -> Iterator[Bench]:
    with serving(runner) as made:
        yield made
