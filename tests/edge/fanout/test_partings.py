"""After a gap plain clients go one after the other."""

from edge.fanout.partings import Partings


def test_they_go_in_their_order_200_a_second() -> None:
    partings: Partings[int] = Partings()
    partings.expect(1000)
    for client in range(25):
        partings.add(client)
    assert [partings.take(0.05) for _ in range(4)] == [list(range(10)), list(range(10, 20)), list(range(20, 25)), []]


def test_it_takes_a_minute_at_most() -> None:
    partings: Partings[int] = Partings()
    partings.expect(60_000)
    for client in range(60_000):
        partings.add(client)
    assert sum(len(partings.take(0.5)) for _ in range(120)) == 60_000
