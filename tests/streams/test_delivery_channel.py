"""Frames become deliveries: judged as they come, and of a long body never more than its beginning is kept."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiormq
import pytest
from aiormq.abc import DeliveredMessage
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from streams.announcement import judged
from streams.contract import DeadLetter, PostId
from streams.delivery_channel import DeliveryChannel


class Bench:
    """A channel without a connection, and what it said."""

    def __init__(self) -> None:
        self.delivered: list[tuple[int, PostId | DeadLetter]] = []
        self.refused: list[str] = []
        connection = aiormq.Connection("amqp://nowhere")
        connection.connection_tune = commands.Connection.Tune(frame_max=131_072)
        self.channel = DeliveryChannel(
            connection, 1, lambda tag, what: self.delivered.append((tag, what)), self.refused.append
        )
        self._tags = 0

    async def send(self, body: bytes, pieces: int = 1, headers: dict[str, object] | None = None) -> None:
        """Have frames arrive: a delivery, its header, and its body in so many pieces."""
        self._tags += 1
        properties = commands.Basic.Properties(headers=headers)  # type: ignore[arg-type]  # any table will do
        await self._arrive(commands.Basic.Deliver(consumer_tag="c", delivery_tag=self._tags))
        await self._arrive(ContentHeader(body_size=len(body), properties=properties))
        for piece in _cut(body, pieces):
            await self._arrive(ContentBody(piece))

    async def _arrive(self, frame: commands.Basic.Deliver | ContentHeader | ContentBody) -> None:
        await self.channel.frames.put((0, frame))


def _cut(body: bytes, pieces: int) -> Iterator[bytes]:
    size = -(-len(body) // pieces)
    return (body[start : start + size] for start in range(0, len(body), size or 1))


@asynccontextmanager
async def channel() -> AsyncIterator[Bench]:
    bench = Bench()
    try:
        yield bench
        async with asyncio.timeout(60):
            while not bench.channel.frames.empty():
                await asyncio.sleep(0)
    finally:
        await bench.channel.close()


@pytest.mark.parametrize("pieces", [1, 2, 7])
async def test_a_delivery_is_what_its_body_says_however_it_was_cut(pieces: int) -> None:
    bodies = [b"12", b"", b"poison", b'{"id":13}', b"x" * 200_000]
    async with channel() as bench:
        for body in bodies:
            await bench.send(body, pieces)
    assert bench.delivered == [(tag, judged(body)) for tag, body in enumerate(bodies, 1)]


async def test_a_message_of_a_stream_is_refused_with_a_sentence_and_not_delivered() -> None:
    async with channel() as bench:
        await bench.send(b"12", headers={"x-stream-offset": 7})
        await bench.send(b"13", headers={"x-other": 1})
    assert bench.delivered == [(2, 13)]
    assert bench.refused == [
        "the queue is a stream, and a stream has no acknowledgements: use a classic or quorum queue"
    ]


async def test_the_callback_that_the_library_asks_for_is_never_called() -> None:
    message = DeliveredMessage(commands.Basic.Deliver(), ContentHeader(), b"", Bench().channel)
    with pytest.raises(NotImplementedError):
        await DeliveryChannel.unused(message)
    await message.channel.close()


async def test_a_channel_gets_the_lowest_number_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is renewed for days must not count up to RabbitMQ's limit."""

    async def opened(_: DeliveryChannel) -> None: ...

    monkeypatch.setattr(DeliveryChannel, "open", opened)
    connection = aiormq.Connection("amqp://nowhere")
    connection.connection_tune = commands.Connection.Tune(frame_max=131_072)
    connection.channels[1] = None
    renewed = [await DeliveryChannel.opened(connection, lambda *_: None, lambda _: None)]
    for _ in range(5):
        renewed.append(await DeliveryChannel.opened(connection, lambda *_: None, lambda _: None))
        await renewed[-2].close()
        connection.channels.pop(renewed[-2].number, None)
    await renewed[-1].close()
    assert [channel.number for channel in renewed] == [2, 3, 2, 3, 2, 3]
