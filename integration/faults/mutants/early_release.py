"""A worker that releases a batch's records before the feed has confirmed its posts (law 1)."""

from integration.faults.worker import app as app  # noqa: PLC0414 - it is what this module is for
from streams.agent import Flow
from streams.windows import Batch

_next_batch = Flow._next_batch  # noqa: SLF001 - a mutant


def _released(self: Flow) -> Batch | None:
    batch = _next_batch(self)
    if batch is not None:
        self._releases.finish((record.partition, record.offset) for record in batch.records)
    return batch


Flow._next_batch = _released  # type: ignore[method-assign]  # noqa: SLF001 - a mutant
