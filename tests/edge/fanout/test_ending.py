"""Reasons to end a session."""

from edge.fanout.ending import End


def test_a_reason_says_nothing_of_any_transport() -> None:
    """No code and no text: each link has its own."""
    names = {"SHUTDOWN", "INTERRUPTED", "FELL_BEHIND", "STALLED", "DEAD", "AGED", "EXPIRED", "FAULT"}
    assert {end.name for end in End} == names
    assert all(isinstance(end.value, int) for end in End)
