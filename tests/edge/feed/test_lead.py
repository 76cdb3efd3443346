"""Where records are shown first."""

from edge.feed.lead import Lead
from edge.feed.position import before
from streams.contract import Offset
from tests.edge.kit.records import cursor, record


def test_what_is_shown_first_is_shown_earlier_once_enough_was_read() -> None:
    """Not before the earliest that is wanted, and once."""
    lead = Lead(Offset(9), Offset(5))
    assert not lead.ends_before(Offset(4), has_read_enough=True)
    assert not lead.ends_before(Offset(5), has_read_enough=False)
    lead.note(Offset(5), 1, cursor(5, 1, record(1)).stamp, is_new=True)
    assert lead.ends_before(Offset(6), has_read_enough=True)
    assert lead.offer_from == 6
    assert not lead.ends_before(Offset(6), has_read_enough=True)
    assert lead.passed == lead.passed_new == cursor(5, 1, record(1))


def test_records_without_posts_are_no_place() -> None:
    """Behind them stands what comes before the first that is shown; behind repeats nothing is missing either."""
    lead = Lead(Offset(9), Offset(0))
    lead.note(Offset(0), 0, b"", is_new=False)
    assert lead.ends_before(Offset(1), has_read_enough=True)
    assert (lead.passed, lead.passed_new) == (before(Offset(1)), before(Offset(1)))
    lead = Lead(Offset(9), Offset(9))
    lead.note(Offset(0), 1, cursor(0, 1, record(1)).stamp, is_new=True)
    lead.note(Offset(1), 1, cursor(1, 1, record(1)).stamp, is_new=False)
    assert (lead.passed, lead.passed_new) == (cursor(1, 1, record(1)), cursor(0, 1, record(1)))
