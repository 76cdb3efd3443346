"""A worker that releases a window's records before the feed has confirmed its posts (law 1)."""

from integration.faults.worker import app as app  # noqa: PLC0414 - it is what this module is for
from streams.agent import Flow
from streams.windows import Batch

_closed = Flow._closed  # noqa: SLF001 - a mutant


async def _released(self: Flow) -> Batch | None:
    batch = await _closed(self)
    if batch is not None:
        self._finish((record.partition, record.offset) for record in batch.records)
    return batch


Flow._closed = _released  # type: ignore[method-assign]  # noqa: SLF001 - a mutant
