"""What faults charge by what they see themselves: here with processes that end as they are told to."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from integration.faults.acts.crashes import crash
from integration.faults.acts.databases import charge_silent
from integration.faults.acts.signals import term
from integration.faults.scene import Scene
from integration.faults.schedule import Fault


class FakeMember:
    """A worker that ends with this code when it is told to, or when the point is armed."""

    def __init__(self, name: str, code: int | None) -> None:
        self.name = name
        self.exit_code: int | None = None
        self.starts = 0
        self._code = code

    def is_ready(self) -> bool:
        return True

    def is_alive(self) -> bool:
        return self.exit_code is None

    def terminate(self) -> int:
        assert self._code is not None
        return self._code

    def end(self) -> None:
        self.exit_code = self._code

    def start(self) -> None:
        self.exit_code = None
        self.starts += 1


class FakeInstallation:
    """Workers whose points are reached as soon as they are armed."""

    def __init__(self, armed: Path, members: list[FakeMember]) -> None:
        self.members = {member.name: member for member in members}
        self.armed = armed

    @contextmanager
    def attending(self, *names: str) -> Iterator[list[FakeMember]]:
        yield [self.members[name] for name in names]


def scene_of(armed: Path, *codes: int | None) -> tuple[Scene, list[FakeMember], tuple[str, ...]]:
    members = [FakeMember(f"worker-{number}", code) for number, code in enumerate(codes)]
    installation: Any = FakeInstallation(armed, members)
    return Scene(cast(Any, None), {}, installation, cast(Any, None), ()), members, tuple(installation.members)


async def test_a_worker_that_gives_up_its_stop_is_charged(tmp_path: Path) -> None:
    scene, members, names = scene_of(tmp_path, 0, 70)
    evidence = await term(scene, Fault("term two workers", names, at_ms=0, lasts_ms=0))
    assert evidence.startswith("worker-0, worker-1 ended with 0, 70 within ")
    assert scene.charges == ["worker-1 was told to end, and ended itself with 70"]
    assert [member.starts for member in members] == [1, 1]


@pytest.mark.parametrize("is_over", [False, True])
async def test_it_is_not_charged_where_a_service_is_in_anothers_hands_or_was_a_moment_ago(
    tmp_path: Path, *, is_over: bool
) -> None:
    scene, _, names = scene_of(tmp_path, 70)
    fault = Fault("term one worker", names, at_ms=0, lasts_ms=0)
    async with scene.holding(["kafka"]):
        if not is_over:
            await term(scene, fault)
    if is_over:
        await term(scene, fault)
    assert scene.charges == []


def test_of_services_it_is_told_which_are_in_hand_or_were_since() -> None:
    async def tell() -> list[list[str]]:
        scene, *_ = scene_of(Path())
        async with scene.holding(["worker-0", "postgres"]):
            async with scene.holding(["kafka"]):
                told = [scene.disturbed(since=0)]
            told.append(scene.disturbed(since=float("inf")))
        return [*told, scene.disturbed(since=0), scene.disturbed(since=float("inf"))]

    assert asyncio.run(tell()) == [["kafka", "postgres"], ["postgres"], ["kafka", "postgres"], []]


async def test_a_worker_that_ends_by_itself_beside_one_that_is_to_die_is_charged(tmp_path: Path) -> None:
    scene, members, names = scene_of(tmp_path, -signal.SIGKILL, 70, None)
    making = asyncio.create_task(crash(scene, Fault("crash feed.confirmed", names, at_ms=0, lasts_ms=0)))
    armed = tmp_path / "feed.confirmed"
    while not armed.exists():
        await asyncio.sleep(0.01)
    for member in members:
        member.end()
    armed.unlink()
    assert await making == "worker-0 died at feed.confirmed"
    assert scene.charges == ["worker-1 ended with 70 while another was to die"]
    assert [member.starts for member in members] == [1, 1, 0]


def test_each_worker_has_to_name_the_database_while_a_table_is_locked() -> None:
    named = (503, "not ready: look up waits for the database\n")
    assert charge_silent({"worker-0": named, "worker-1": named}) == []
    assert charge_silent({"worker-0": named, "worker-1": (200, "ready\n"), "worker-2": (503, "starts")}) == [
        "worker-1's /readyz does not name the database while a table is locked: 200 ready",
        "worker-2's /readyz does not name the database while a table is locked: 503 starts",
    ]
