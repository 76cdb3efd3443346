"""How often replays may begin."""

from hypothesis import given
from hypothesis import strategies as st

from edge.feed.beginnings import SECONDS, Beginnings

MOST, PER_ADDRESS = 4, 2


@given(comes=st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.5, 2.0, SECONDS])), max_size=40))
def test_in_any_stretch_of_time_only_so_many_begin(comes: list[tuple[str, float]]) -> None:
    """Of all, and of one address; and none is refused without a reason."""
    beginnings, begun, now = Beginnings(MOST, PER_ADDRESS), list[tuple[float, str]](), 1000.0
    for address, later in comes:
        now += later
        lately = [who for when, who in begun if when > now - SECONDS]
        expected = "address" if lately.count(address) >= PER_ADDRESS else "replays" if len(lately) >= MOST else None
        assert beginnings.bound(address, now) == expected
        if expected is None:
            beginnings.note(address, now)
            begun.append((now, address))


def test_nothing_is_kept_of_those_that_were_refused_or_are_long_ago() -> None:
    """Strangers come from ever new addresses."""
    beginnings = Beginnings(MOST, PER_ADDRESS)
    for number in range(100):
        now = float(number)
        if beginnings.bound(str(number), now) is None:
            beginnings.note(str(number), now)
    assert beginnings.bound("new", 1000.0) is None
    assert (len(beginnings._lately), len(beginnings._by_address)) == (0, 0)  # noqa: SLF001 - what would be kept
