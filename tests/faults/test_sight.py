"""What a client knows of where it is and of what it has seen."""

import pytest

from integration.faults.observations import Arrival, Span, Stretch, View
from integration.faults.sight import Acknowledged, Breach, Filtered, Lost, Moved, Opened, Reborn, Shown, Sight, Welcomed


def sight() -> Sight:
    return Sight(View("a"), left=1.0)


def test_a_client_with_cursors_goes_on_where_it_was_in_a_new_stretch() -> None:
    a = sight()
    a.take(Welcomed("c0", is_recovered=True), 2.0)
    a.take(Shown(7, "c1"), 3.0)
    a.leave(4.0)
    a.take(Welcomed("c1", is_recovered=True), 6.0)
    a.take(Shown(8, "c2"), 7.0)
    assert a.view.stretches == [
        Stretch("first", [Arrival(7, 3.0)], begun=2.0),
        Stretch("resumed", [Arrival(8, 7.0)], begun=6.0),
    ]
    assert a.view.absences == [Span(4.0, 6.0)]
    assert (a.cursor, a.seen, a.is_there) == ("c2", {7, 8}, True)


def test_a_place_without_a_post_is_a_place_too() -> None:
    a = sight()
    a.take(Welcomed("c0", is_recovered=True), 2.0)
    a.take(Moved("c5"), 3.0)
    assert a.cursor == "c5"
    assert a.view.arrivals == []


def test_who_comes_back_by_itself_is_away_meanwhile() -> None:
    a = sight()
    a.take(Welcomed("c0", is_recovered=True), 2.0)
    a.take(Lost(), 3.0)
    assert not a.is_there
    a.take(Welcomed("c0", is_recovered=True), 5.0)
    assert a.view.absences == [Span(3.0, 5.0)]


def test_it_is_to_see_what_it_asks_for_of_what_its_token_allows() -> None:
    a = Sight(View("a"), left=1.0, authors=frozenset({1, 2}), allowed=frozenset({2, 3}))
    a.take(Welcomed("c0", is_recovered=True), 2.0)
    a.take(Filtered(frozenset({3, 4}), "c1"), 3.0)
    seen = [(stretch.authors, stretch.allowed) for stretch in a.view.stretches]
    assert seen == [(frozenset({2}), a.allowed), (frozenset({3}), a.allowed)]
    assert a.authors == frozenset({3, 4})


def test_what_is_not_acknowledged_may_come_again_to_a_client_whose_place_is_kept() -> None:
    a = sight()
    for told in (Reborn(), Welcomed("c0", is_recovered=True), Shown(7, "c1"), Shown(8, "c2"), Acknowledged("c1")):
        a.take(told, 2.0)
    for told in (Reborn(), Welcomed("c1", is_recovered=True), Shown(8, "c2"), Shown(9, "c3")):
        a.take(told, 3.0)
    a.take(Welcomed("c3", is_recovered=True), 4.0)
    for told in (Reborn(), Welcomed("c1", is_recovered=True), Acknowledged("c2"), Reborn()):
        a.take(told, 5.0)
    a.take(Welcomed("c2", is_recovered=True), 6.0)
    again = [stretch.again for stretch in a.view.stretches]
    assert again == [frozenset(), frozenset({8}), None, frozenset({8, 9}), frozenset({9})]
    assert a.is_kept


def test_it_has_returned_where_something_it_has_seen_must_not_come_again() -> None:
    a = sight()
    for told in (Reborn(), Welcomed("c0", is_recovered=True), Acknowledged("c0"), Shown(7, "c1")):
        a.take(told, 2.0)
    assert (a.is_kept, a.is_relied_on) == (True, False)
    a.leave(3.0)
    for told in (Reborn(), Welcomed("c0", is_recovered=True), Shown(7, "c1"), Acknowledged("c1")):
        a.take(told, 4.0)
    assert a.is_relied_on
    assert a.returns == []
    a.leave(5.0)
    a.take(Reborn(), 6.0)
    assert not a.is_relied_on
    assert a.returns == []
    a.take(Reborn(), 7.0)
    a.take(Welcomed("c1", is_recovered=True), 8.0)
    a.leave(9.0)
    # Its own client comes back by itself, and knows where it was: that is the same life.
    a.take(Welcomed("c1", is_recovered=True), 10.0)
    assert a.returns == [Span(5.0, 7.0)]


def test_a_gap_is_told_when_coming_back_and_on_a_connection_that_stays() -> None:
    a = sight()
    a.take(Welcomed("c0", is_recovered=True), 2.0)
    a.take(Welcomed("c7", is_recovered=False), 3.0)
    assert a.view.absences == []
    a.leave(4.0)
    a.take(Welcomed("c9", is_recovered=False), 5.0)
    assert [stretch.begins for stretch in a.view.stretches] == ["first", "gap", "gap"]
    assert a.view.absences == [Span(4.0, 5.0)]
    assert a.cursor == "c9"


def test_a_plain_client_begins_anew_each_time_and_is_never_anywhere() -> None:
    a = sight()
    a.take(Opened(), 2.0)
    a.take(Shown(7), 3.0)
    a.leave(4.0)
    a.take(Opened(), 5.0)
    assert [stretch.begins for stretch in a.view.stretches] == ["first", "anew"]
    assert a.view.absences == [Span(4.0, 5.0)]
    assert a.cursor is None


def test_what_comes_after_another_choice_is_a_stretch_of_its_own_that_misses_nothing() -> None:
    a = Sight(View("a"), left=1.0, authors=frozenset({1}))
    a.take(Welcomed("c0", is_recovered=True), 2.0)
    a.take(Filtered(frozenset({2}), "c3"), 3.0)
    a.leave(4.0)
    a.take(Welcomed("c3", is_recovered=True), 5.0)
    told = [(stretch.begins, stretch.authors) for stretch in a.view.stretches]
    assert told == [("first", frozenset({1})), ("resumed", frozenset({2})), ("resumed", frozenset({2}))]
    assert a.view.absences == [Span(4.0, 5.0)]


def test_it_is_away_from_when_it_was_last_there_however_often_it_tries_to_come_back() -> None:
    a = sight()
    a.leave(1.5)
    a.take(Opened(), 2.0)
    a.leave(3.0)
    a.leave(8.0)
    a.take(Opened(), 9.0)
    assert a.view.absences == [Span(3.0, 9.0)]


def test_a_post_before_the_welcome_is_against_the_protocol() -> None:
    with pytest.raises(Breach, match="post 7 came before a welcome"):
        sight().take(Shown(7, "c1"), 2.0)
