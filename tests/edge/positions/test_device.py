"""What a device is called, and what a session knows of it."""

import pytest

from edge.positions.device import Device, Key, is_name, is_storable


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("phone", True), ("A.z_9~-", True), ("x" * 64, True), ("", False), ("x" * 65, False), ("a b", False),
     ("é", False), ("a\n", False), ("a/b", False), ("\0", False)],
)  # fmt: skip
def test_devices_have_names_that_need_no_escaping(name: str, is_one: bool) -> None:
    assert is_name(name) is is_one


@pytest.mark.parametrize(
    ("subject", "can_be"),
    [("alice", True), ("漢" * 85, True), ("漢" * 86, False), ("x" * 256, False), ("", False), ("a\0b", False),
     ("\ud800", False)],
)  # fmt: skip
def test_a_subject_that_no_table_takes_is_known_before(subject: str, can_be: bool) -> None:
    """One statement is for many: a value that the database refuses would keep all of them from being stored."""
    assert is_storable(subject) is can_be


def test_what_a_client_was_told_that_it_cannot_go_on_at_is_known_once() -> None:
    device = Device(Key("alice", "phone"), "5")
    assert device.take_refuted() == ""
    device.refute()
    assert (device.take_refuted(), device.take_refuted()) == ("5", "")
    device.refute("7")
    assert device.take_refuted() == "7"


def test_what_is_acknowledged_and_not_stored_yet_is_refuted() -> None:
    """It may be stored by the time that the next one is."""
    device = Device(Key("alice", "phone"))
    device.acknowledged = "5"
    device.refute()
    device.note_stored("5", is_own=True)
    assert device.take_refuted() == "5"
    device.acknowledged = "6"
    device.refute()
    assert device.take_refuted() == "5"


@pytest.mark.parametrize(("is_own", "refuted"), [(True, "6"), (False, "5")])
def test_what_was_being_stored_meanwhile_is_refuted_too(is_own: bool, refuted: str) -> None:
    """If the session itself had acknowledged it; what another has stored may be of after the gap."""
    device = Device(Key("alice", "phone"), "5")
    device.refute()
    device.note_stored("6", is_own=is_own)
    assert (device.stored, device.take_refuted()) == ("6", refuted)
    device.note_stored("7", is_own=True)
    assert device.take_refuted() == ""
