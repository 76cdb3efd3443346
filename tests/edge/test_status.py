"""What the page is told of an edge."""

import json
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from edge.feed.retained import Shown
from edge.status import Facts, Status, posts_per_second
from streams.contract import Millis

WINDOW = Millis(5000)
NOW = Millis(1_000_003_000)
"""In the window that begins at 1,000,000,000; the six that count end at 999,995,000."""


def shown(*windows_back: int, posts: int = 6) -> list[Shown]:
    """Make records, newest first, so many windows before the current one."""
    return [Shown(Millis(1_000_000_000 - back * WINDOW), posts) for back in windows_back]


def test_the_rate_is_that_of_six_whole_windows() -> None:
    assert posts_per_second(shown(2, 3, 4, 5, 6, 7), WINDOW, NOW) == 1.2
    assert posts_per_second(shown(2, 2, 2), WINDOW, NOW) == 0.6
    assert posts_per_second([], WINDOW, NOW) == 0


def test_windows_that_are_not_whole_or_too_old_do_not_count() -> None:
    assert posts_per_second(shown(-1, 0, 1, 8, 9), WINDOW, NOW) == 0


def test_windows_that_come_out_of_order_count_all_the_same() -> None:
    """Several workers."""
    assert posts_per_second(shown(1, 9, 4, 8, 3, 2), WINDOW, NOW) == 0.6


def test_the_log_is_not_read_to_its_beginning() -> None:
    def records() -> Iterator[Shown]:
        yield from shown(2, 12)
        raise AssertionError

    assert posts_per_second(records(), WINDOW, NOW) == 0.2


@given(counts=st.lists(st.integers(0, 50), min_size=6, max_size=6), at=st.integers(0, 4999))
def test_the_rate_does_not_depend_on_where_in_a_window_it_is_asked(counts: list[int], at: int) -> None:
    records = [
        Shown(Millis(1_000_000_000 - back * WINDOW), posts) for back, posts in zip(range(2, 8), counts, strict=True)
    ]
    assert posts_per_second(records, WINDOW, Millis(1_000_000_000 + at)) == sum(counts) / 30


def test_an_answer_has_what_the_page_needs() -> None:
    status = Status(Facts("1.2.3", WINDOW, "http://127.0.0.1:8081/posts"))
    assert json.loads(status.body(shown(2, 3), viewers=7, now=NOW)) == {
        "version": "1.2.3",
        "time": NOW,
        "viewers": 7,
        "posts_per_second": 0.4,
        "window_seconds": 5.0,
        "compose_url": "http://127.0.0.1:8081/posts",
    }


def test_records_are_counted_once_a_second_and_clients_each_time() -> None:
    status = Status(Facts("1.2.3", WINDOW))

    def told(records: list[Shown], viewers: int, now: int) -> tuple[float, int]:
        answer = json.loads(status.body(records, viewers=viewers, now=Millis(now)))
        return answer["posts_per_second"], answer["viewers"]

    assert told(shown(2), 1, NOW) == (0.2, 1)
    assert told(shown(2, 3), 2, NOW + 999) == (0.2, 2)
    assert told(shown(2, 3), 3, NOW + 1000) == (0.4, 3)
    # A clock that was set back.
    assert told(shown(2), 3, NOW) == (0.2, 3)
