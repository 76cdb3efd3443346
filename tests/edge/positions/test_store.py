"""The double of the store keeps the port's word."""

import pytest

from tests.edge.kit.positions import MemoryStore
from tests.edge.positions import contract


@pytest.mark.parametrize("promise", contract.CONTRACT, ids=lambda promise: promise.__name__)
async def test_the_double_keeps_the_ports_word(promise: contract.Promise) -> None:
    await promise(MemoryStore())
