"""A task of a service ends when it is told to; if what it waits for is cancelled by others, that is an error."""

import asyncio

from mode import Service

from runtime.waiting import GivenUp
from streams.lasting import lasting


class Waiting(Service):
    """Waits for what a library may cancel."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @lasting
    async def _wait(self) -> None:
        await self.answer


async def test_it_runs_until_the_service_is_stopped() -> None:
    service = Waiting()
    await service.start()
    await asyncio.sleep(0)
    assert not service.answer.done()
    await service.stop()
    assert service.answer.cancelled()
    assert service.crash_reason is None


async def test_what_others_have_cancelled_ends_the_service_with_an_error() -> None:
    service = Waiting()
    await service.start()
    await asyncio.sleep(0)
    service.answer.cancel()
    async with asyncio.timeout(10):
        while not service.crashed:
            await asyncio.sleep(0)
    assert isinstance(service.crash_reason, GivenUp)
    await service.stop()
