"""Parts of an edge that run for ever, for as long as a test needs them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def running(part: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run a part meanwhile, for a minute at most; if it has failed, raise its error at the end."""
    task = asyncio.create_task(part)
    try:
        async with asyncio.timeout(60):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
