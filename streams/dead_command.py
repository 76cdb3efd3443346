"""One run of ``python -m streams dead``: what is read, selected, done and printed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Final

from streams.dead import Action, Letter, Verdict, judge
from streams.dead_actions import settle
from streams.dead_arguments import NOT_ALL, Request
from streams.dead_lines import json_line, text_line
from streams.dead_topic import Reads, outstanding
from streams.progress import Work
from streams.publisher import Publishes

_TELL_SECONDS: Final = 5.0


class Command:
    """Does what a request asks for. ``show`` prints a line of the result, ``say`` a line beside it."""

    def __init__(self, asked: Request, *, show: Callable[[str], None], say: Callable[[str], None]) -> None:
        self._asked = asked
        self._show = show
        self._say = say
        self._read = 0
        self._done = 0
        self._refused = 0

    async def run(
        self, topic: Reads, publishing: Callable[[], AbstractAsyncContextManager[Publishes]], work: Work
    ) -> int:
        """Do what was asked and return the exit code; ``publishing`` connects, only for what is to be written.

        Raises :class:`streams.dead_topic.Unreachable` and :class:`streams.dead_actions.NotConfirmed`.
        """
        if not topic.partitions:
            self._say(f"no letters yet: there is no topic {topic.name}, or this user may not see it")
            return 0
        async with self._telling(work), aclosing(self._letters(topic)) as letters:
            action = self._asked.action
            if action is None:
                async for letter in letters:
                    self._print(Verdict(letter), None)
            elif self._asked.dry_run:
                async for letter in letters:
                    self._print(judge(action, letter), action)
            else:
                async with publishing() as publisher:
                    verdicts = (judge(action, letter) async for letter in letters)
                    async for verdict in settle(action, verdicts, publisher, dead_topic=topic.name, work=work):
                        self._print(verdict, action)
        self._say(self._summary())
        return NOT_ALL if self._refused else 0

    async def _letters(self, topic: Reads) -> AsyncGenerator[Letter]:
        """Yield the outstanding letters that are selected, up to the limit; read no further than that."""
        left = self._asked.limit
        async with aclosing(outstanding(topic, self._count)) as letters:
            async for letter in letters:
                if not self._asked.selection.takes(letter):
                    continue
                yield letter
                if left is not None and (left := left - 1) == 0:
                    return

    def _count(self) -> None:
        self._read += 1

    def _print(self, verdict: Verdict, action: Action | None) -> None:
        self._done += not verdict.refusal
        self._refused += bool(verdict.refusal)
        if self._asked.as_json:
            self._show(json_line(verdict, action))
        elif action is None or verdict.refusal or self._asked.dry_run:
            self._show(text_line(verdict, action))

    def _summary(self) -> str:
        if self._asked.action is None:
            return f"{self._done} letters"
        would = "would be " if self._asked.dry_run else ""
        return f"{self._done} {would}{self._asked.action}, {self._refused} not"

    @asynccontextmanager
    async def _telling(self, work: Work) -> AsyncIterator[None]:
        """Say every few seconds how far long work is, and what it waits for."""

        async def tell() -> None:
            while True:
                await asyncio.sleep(_TELL_SECONDS)
                waits = "" if work.waiting is None else f"; waiting for {work.waiting[0]}: {work.waiting[1]}"
                self._say(f"so far: {self._read} records read, {self._summary()}{waits}")

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
