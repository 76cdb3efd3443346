"""What every store of positions promises; ``integration/test_acknowledged.py`` asks it of PostgreSQL, too."""

from collections.abc import Awaitable, Callable
from typing import Final

from edge.positions.device import DEVICES, Key
from edge.positions.store import Row, Store

Promise = Callable[[Store], Awaitable[None]]

PHONE, TABLET = Key("alice", "phone"), Key("alice", "tablet")
OTHER = Key("bob", "phone")


def place(number: int) -> str:
    """Return a position."""
    return f"{number:032d}"


async def a_position_is_read_as_it_was_written(store: Store) -> None:
    """Under the subject and the device together, and nothing where nothing was stored."""
    assert await store.read([PHONE, OTHER]) == {}
    assert await store.write([Row(PHONE, place(1)), Row(OTHER, place(2))]) == {}
    assert await store.read([PHONE, TABLET, OTHER]) == {PHONE: place(1), OTHER: place(2)}


async def a_position_moves_forward_only(store: Store) -> None:
    """One that is further on stays, and is told; the same again is no other."""
    await store.write([Row(PHONE, place(5)), Row(OTHER, place(5))])
    assert await store.write([Row(PHONE, place(4)), Row(OTHER, place(6))]) == {PHONE: place(5)}
    assert await store.write([Row(PHONE, place(5))]) == {}
    assert await store.read([PHONE, OTHER]) == {PHONE: place(5), OTHER: place(6)}


async def a_position_is_replaced_by_who_names_it(store: Store) -> None:
    """Compare and swap: another one that is further on stays."""
    await store.write([Row(PHONE, place(5)), Row(TABLET, place(5))])
    told = await store.write([Row(PHONE, place(1), place(5)), Row(TABLET, place(1), place(4)), Row(OTHER, place(1))])
    assert told == {TABLET: place(5)}
    assert await store.read([PHONE, TABLET, OTHER]) == {PHONE: place(1), TABLET: place(5), OTHER: place(1)}
    # What it names is not there any more: it counts as any other.
    assert await store.write([Row(PHONE, place(2), place(9)), Row(Key("carol", "x"), place(3), place(9))]) == {}
    assert await store.read([PHONE, Key("carol", "x")]) == {PHONE: place(2), Key("carol", "x"): place(3)}


async def a_subject_has_so_many_devices(store: Store) -> None:
    """One more takes the place of the one that was stored the longest time ago; others are not concerned."""
    devices = [Key("alice", f"device-{number}") for number in range(DEVICES)]
    await store.write([Row(OTHER, place(1))])
    for number, key in enumerate(devices):
        await store.write([Row(key, place(number))])
    await store.write([Row(devices[0], place(100))])
    await store.write([Row(PHONE, place(7))])
    found = await store.read([*devices, PHONE, OTHER])
    assert set(found) == {*devices, PHONE, OTHER} - {devices[1]}


async def names_are_as_they_are(store: Store) -> None:
    """In any script, and with what statements mean something by; case counts."""
    keys = [
        Key(subject, "Phone") for subject in ("ALICE", "alice", "o'hara; --", '"$1"', "ünïcodé 漢字 🙂", "{a,b}", " ")
    ]
    assert await store.write([Row(key, place(number)) for number, key in enumerate(keys)]) == {}
    assert await store.read([*keys, Key("alice", "phone")]) == {key: place(number) for number, key in enumerate(keys)}


CONTRACT: Final[tuple[Promise, ...]] = (
    a_position_is_read_as_it_was_written,
    a_position_moves_forward_only,
    a_position_is_replaced_by_who_names_it,
    a_subject_has_so_many_devices,
    names_are_as_they_are,
)
