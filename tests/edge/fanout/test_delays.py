"""How long records take, measured by cohorts."""

from edge.fanout.delays import Delays


def test_a_record_is_done_when_the_last_cohort_that_it_came_for_was_served() -> None:
    """Each by itself, though another one comes before it is done; the second waits for what came for the first, too."""
    delays = Delays()
    delays.note(10.0)
    delays.begin(2)
    delays.served(1, 10.5)
    delays.note(10.5)
    delays.begin(4)
    assert delays.seconds.sum == 0
    delays.served(2, 11.0)
    assert delays.seconds.sum == 1.0
    delays.served(3, 12.0)
    delays.served(4, 12.5)
    assert (delays.seconds.sum, delays.seconds.buckets[-1]) == (3.0, ("+Inf", 2.0))


def test_what_nobody_is_sent_any_more_is_not_measured() -> None:
    delays = Delays()
    delays.note(10.0)
    delays.begin(1)
    delays.forget()
    delays.served(1, 11.0)
    assert delays.seconds.buckets[-1] == ("+Inf", 0.0)
