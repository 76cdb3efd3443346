"""What a session knows of its device."""

from edge.positions.device import Device


def test_nothing_is_known_to_be_stored_at_first() -> None:
    device = Device("alice", "phone")
    assert (device.subject, device.name, device.stored) == ("alice", "phone", "")
