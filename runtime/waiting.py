"""Waiting for whichever of several comes first."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first(*coroutines: Coroutine[Any, Any, object]) -> None:
    """Return when the first is done, with its error if it has one; the others are cancelled."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
