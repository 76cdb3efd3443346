"""How well the feed is followed, by a clock that is turned by hand."""

from edge.feed.health import Health

BEHIND = "The feed has records that were not read yet."


def followed(patience: float = 30, now: float = 100) -> Health:
    """Make one that has been read to the end."""
    health = Health(patience)
    health.begin(now)
    assert health.read(0, None, now)
    return health


def test_a_feed_that_was_never_read_is_a_trouble_from_the_start() -> None:
    """Its lag is counted from when following began."""
    health = Health(30)
    assert (health.trouble, health.unready(0), health.lag_seconds(0)) == ("Kafka was not reached yet.",) * 2 + (0.0,)
    health.begin(100)
    assert health.lag_seconds(107) == 7
    assert health.read(0, None, 110)
    assert (health.trouble, health.unready(110), health.lag_seconds(110)) == (None, None, 0.0)


def test_a_trouble_and_its_end_are_said_once() -> None:
    """Another trouble is said, too."""
    health = followed()
    troubles = ["a", "a", "b", None, None]
    assert [health.say(trouble, 101) for trouble in troubles] == [True, False, True, True, False]


def test_a_feed_that_was_lost_makes_unready_when_that_lasts() -> None:
    """Counted from when it was lost, not from the last trouble."""
    health = followed(patience=30)
    health.say("a", 200)
    health.say("b", 220)
    assert [health.unready(now) for now in (229, 230)] == [None, "b"]
    health.say(None, 231)
    assert health.unready(231) is None


def test_a_lag_is_a_trouble_when_it_lasts() -> None:
    """A window of many records is more than one read."""
    health = followed(now=100)
    assert [health.read(lag, None, now) for lag, now in ((5, 100.0), (4, 101.9))] == [False, False]
    assert (health.trouble, health.lag, health.lag_seconds(101.9)) == (None, 4, 101.9 - 100)
    assert health.read(3, None, 102)
    assert (health.trouble, health.lag_seconds(103)) == (BEHIND, 3)
    assert not health.read(2, None, 103)
    assert health.read(0, None, 104)
    assert (health.trouble, health.lag, health.lag_seconds(104)) == (None, 0, 0.0)
    assert not health.read(1, None, 105)


def test_what_is_in_the_way_all_the_same_is_said_when_all_was_read() -> None:
    """More partitions than one."""
    health = followed()
    assert (health.read(0, "two", 101), health.read(0, "two", 102), health.trouble) == (True, False, "two")
