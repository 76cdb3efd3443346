"""What pages tell, and what of them is not taken."""

import json
from typing import Any

import pytest

from integration.faults.sight import Breach, Moved, Shown, Welcomed
from integration.faults.transports import Later
from integration.faults.transports.pages import Page, page_of

POST = {"action": "created", "payload": {"id": 7}, "window": 0}


def page(
    status: int, body: object, offset: str | None = "c4", *, asked: str = "c1", is_back: bool = False, **headers: str
) -> Page:
    """Read a page that says to go on at ``offset``; a header's name is written with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if offset is not None:
        named["Stream-Next-Offset"] = offset
    return page_of(status, named, json.dumps(body).encode(), asked=asked, is_back=is_back)


def posts(*cursors: str) -> list[dict[str, Any]]:
    return [{**POST, "payload": {"id": number}, "cursor": cursor} for number, cursor in enumerate(cursors)]


def test_the_first_page_tells_that_nothing_was_missed() -> None:
    told, offset, is_up_to_date, echo = page(200, posts("c2", "c3"), is_back=True)
    assert told == (Welcomed("c1", is_recovered=True), Shown(0, "c2"), Shown(1, "c3"), Moved("c4"))
    assert (offset, is_up_to_date, echo) == ("c4", False, None)


def test_who_begins_now_is_told_where_that_is() -> None:
    told, *_ = page(200, [], asked="now", is_back=True)
    assert told == (Welcomed("c4", is_recovered=True), Moved("c4"))


def test_a_later_page_shows_posts_and_says_how_to_go_on() -> None:
    shown = page(200, posts("c2"), "c2", Stream_Up_To_Date="true", Stream_Cursor="5")
    assert shown == ((Shown(0, "c2"), Moved("c2")), "c2", True, "5")
    in_vain = page(204, None, "c2", asked="c2", Stream_Up_To_Date="true", Stream_Cursor="6")
    assert in_vain == ((Moved("c2"),), "c2", True, "6")


def test_410_is_a_gap_that_was_said() -> None:
    payload = {"recovered": False, "cursor": "c9", "reason": "expired"}
    told, offset, *_ = page(410, payload, "c9")
    assert (told, offset) == ((Welcomed("c9", is_recovered=False),), "c9")


@pytest.mark.parametrize("status", [429, 503])
def test_a_refusal_for_now_says_when_to_come_back(status: int) -> None:
    with pytest.raises(Later) as later:
        page(status, None, None, Retry_After="3")
    assert later.value.seconds == 3


@pytest.mark.parametrize(
    ("status", "body", "offset"),
    [
        (200, posts("c3", "c2"), "c4"),
        (200, posts("c2", "c2"), "c4"),
        (200, posts("c1"), "c4"),
        (200, posts("c5"), "c4"),
        (200, [], "c0"),
        (204, None, "c1"),
        (400, None, "c1"),
        (410, {"recovered": False, "cursor": "c8"}, "c9"),
        (410, {"recovered": True, "cursor": "c9"}, "c9"),
    ],
)
def test_what_is_against_the_protocol_is_not_taken(status: int, body: object, offset: str) -> None:
    with pytest.raises(Breach):
        page(status, body, offset, is_back=True)


def test_an_answer_says_where_to_go_on() -> None:
    with pytest.raises(Breach, match="200 and no place"):
        page(200, [], None)
