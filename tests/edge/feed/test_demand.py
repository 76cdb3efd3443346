"""Whether more is wanted, by where readers are."""

from edge.feed.demand import Demand
from edge.feed.position import Position

MUCH = 1 << 20


class Reader:
    """Somebody who is somewhere; ``looks`` counts how often that was asked."""

    looks = 0

    def __init__(self, position: int) -> None:
        self._position = Position(position)

    @property
    def position(self) -> Position:
        """Say where."""
        self.looks += 1
        return self._position


def test_more_is_wanted_while_the_fastest_was_sent_everything_and_some_bytes_ahead() -> None:
    demand = Demand()
    demand.note(Position(5))
    demand.note(Position(3))
    assert not demand.is_there(Position(6), ())
    assert demand.is_there(Position(5), ())
    demand.meet(10)
    assert demand.is_there(Position(6), ())
    demand.meet(MUCH)
    assert not demand.is_there(Position(6), ())
    assert not demand.is_there(Position(6), (), (False, False))
    assert demand.is_there(Position(6), (), (False, True))
    assert demand.is_there(Position(6), ())
    demand.ask_anew()
    assert not demand.is_there(Position(6), ())


def test_readers_are_looked_at_only_when_the_fastest_has_gone() -> None:
    demand, slow, slower = Demand(), Reader(4), Reader(2)
    for position in (2, 4, 6):
        demand.note(Position(position))
    demand.forget(Position(2))
    assert demand.is_there(Position(6), (slow, slower))
    demand.meet(MUCH)
    assert (slow.looks, slower.looks) == (0, 0)
    demand.forget(Position(6))
    demand.forget(Position(1))
    assert not demand.is_there(Position(5), (slow, slower))
    assert not demand.is_there(Position(5), (slow, slower))
    assert (slow.looks, slower.looks) == (1, 1)
    assert demand.is_there(Position(4), (slow, slower))


def test_nobody_wants_nothing() -> None:
    demand = Demand()
    demand.note(Position(6))
    demand.forget(Position(6))
    assert not demand.is_there(Position(0), ())
    assert not Demand().is_there(Position(0), ())
