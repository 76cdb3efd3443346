"""What may happen only so often."""

from edge.clients.seldom import Seldom


def test_so_many_go_through_in_any_such_time() -> None:
    """What does not go through does not count."""
    seldom = Seldom(2, 10)
    assert [seldom.allows(now) for now in (0, 1, 9.9, 10, 10.5, 11, 12, 20)] == [
        True,
        True,
        False,
        True,
        False,
        True,
        False,
        True,
    ]
