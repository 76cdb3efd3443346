"""Answers to requests to ``/posts``; sections are those of Durable Streams' PROTOCOL.md."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import pytest

from edge.clients.post_answers import (
    Answer,
    Moment,
    Page,
    end_answer,
    gone_answer,
    head_answer,
    page_answer,
    stream_cursor,
)
from edge.clients.post_requests import PostsRequest, Sentinel
from edge.feed.position import Reason, before
from streams.contract import Offset
from tests.edge.kit.records import cursor

START, END = cursor(99, 1, b"a record"), cursor(199, 3, b"another")
FULL = Page(START, END, b"[1]", 1, is_full=True)
CUT = Page(START, END, b"[1]", 1, is_full=False)
MOMENT = Moment(datetime(2024, 10, 9, 1, tzinfo=UTC).timestamp() + 19, 0.5)
ASKED = PostsRequest(START)
FOR_EVER = "public, max-age=31536000, immutable"


def test_a_full_page_behind_a_stamped_offset_is_kept_by_caches_for_ever() -> None:
    assert page_answer(ASKED, FULL, MOMENT, is_newest=False) == Answer(
        HTTPStatus.OK,
        {
            "Cache-Control": FOR_EVER,
            "Stream-Next-Offset": str(END),
            "Vary": "Authorization, Sec-WebSocket-Protocol",
            "ETag": f'"{START}-{END}"',
        },
        b"[1]",
        FULL,
    )


@pytest.mark.parametrize(
    ("asked", "page", "is_newest", "expected"),
    [
        (ASKED, FULL, True, "no-store"),
        (ASKED, CUT, False, "no-store"),
        (PostsRequest(before(Offset(100))), FULL, False, "no-store"),
        (PostsRequest(Sentinel.BEGINNING), FULL, False, "no-store"),
        (PostsRequest(START, waits=True), FULL, False, FOR_EVER),
        (PostsRequest(START, has_token=True), FULL, False, "private, no-store"),
        (PostsRequest(START, has_token=True), CUT, True, "private, no-store"),
    ],
    ids=["newest", "not full", "no stamp", "beginning", "long poll", "token", "token and newest"],
)
def test_nothing_else_is(asked: PostsRequest, page: Page, is_newest: bool, expected: str) -> None:
    answer = page_answer(asked, page, MOMENT, is_newest=is_newest)
    assert answer.headers["Cache-Control"] == expected
    assert ("Vary" in answer.headers) is (expected == FOR_EVER)


def test_up_to_date_is_said_of_the_newest_page_alone() -> None:
    """§5.6: it must be said there, and should not be said elsewhere."""
    assert page_answer(ASKED, CUT, MOMENT, is_newest=True).headers["Stream-Up-To-Date"] == "true"
    assert "Stream-Up-To-Date" not in page_answer(ASKED, CUT, MOMENT, is_newest=False).headers


def test_a_tag_names_start_end_and_selection() -> None:
    tags = {replace(FULL, **other).tag for other in ({}, {"start": END}, {"end": START}, {"selection": "7"})}
    assert len(tags) == 4
    assert replace(FULL, selection="7").tag == f'"{START}-{END}-7"'
    assert replace(FULL, body=b"", posts=0, is_full=False).tag == FULL.tag


@pytest.mark.parametrize("known", [f'"{START}-{END}"', f'W/"{START}-{END}"', "*"])
def test_a_client_that_has_a_page_is_told_so(known: str) -> None:
    """§10.1: 304 without a body, and with all that a page's headers say."""
    asked = replace(ASKED, known=frozenset({'"else"', known}))
    whole = page_answer(ASKED, FULL, MOMENT, is_newest=False)
    assert page_answer(asked, FULL, MOMENT, is_newest=False) == Answer(HTTPStatus.NOT_MODIFIED, whole.headers)
    other = replace(FULL, end=cursor(198, 1, b"a third"))
    if known != "*":
        assert page_answer(asked, other, MOMENT, is_newest=False).status is HTTPStatus.OK


def test_a_page_from_now_on_has_no_tag() -> None:
    """§10.1: all GET responses have one but those for ``now``."""
    asked = PostsRequest(Sentinel.NOW, waits=True, known=frozenset({FULL.tag}))
    answer = page_answer(asked, CUT, MOMENT, is_newest=True)
    assert (answer.status, "ETag" in answer.headers) == (HTTPStatus.OK, False)


def test_the_end_of_the_feed_is_an_empty_array_or_no_content_after_a_long_poll() -> None:
    now = PostsRequest(Sentinel.NOW)
    place = {"Cache-Control": "no-store", "Stream-Next-Offset": str(END), "Stream-Up-To-Date": "true"}
    assert end_answer(now, END, MOMENT) == Answer(HTTPStatus.OK, place, b"[]")
    poll = replace(now, waits=True)
    assert end_answer(poll, END, MOMENT) == Answer(HTTPStatus.NO_CONTENT, {**place, "Stream-Cursor": "180"})
    assert end_answer(replace(now, has_token=True), END, MOMENT).headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("waits", [False, True])
def test_a_client_is_not_sent_back_behind_its_offset(waits: bool) -> None:
    """The place behind a record has another spelling at an edge that has never read it."""
    asked = PostsRequest(before(Offset(200)), waits=waits)
    nothing = Page(END, END, b"[]", 0, is_full=False)
    for answer in (page_answer(asked, nothing, MOMENT, is_newest=True), end_answer(asked, END, MOMENT)):
        assert answer.headers["Stream-Next-Offset"] == str(before(Offset(200)))
    assert end_answer(ASKED, END, MOMENT).headers["Stream-Next-Offset"] == str(END)


def test_head_says_where_the_feed_ends_and_is_not_kept() -> None:
    """§5.5."""
    assert head_answer(END) == Answer(HTTPStatus.OK, {"Cache-Control": "no-store", "Stream-Next-Offset": str(END)})


@pytest.mark.parametrize(
    ("reason", "lost"),
    [
        ("expired", {"lost": {"records": 1}}),
        ("interrupted", {"lost": {"records": 1}}),
        ("unknown", {}),
        ("recreated", {}),
    ],
)
def test_what_is_gone_is_counted_where_it_is_of_the_same_feed(reason: Reason, lost: dict[str, Any]) -> None:
    seen = before(Offset(END.position >> 20))
    told = json.loads(gone_answer(ASKED, reason, END, seen).body)
    assert told == {"recovered": False, "cursor": str(END), "reason": reason, **lost}


def test_what_is_gone_is_said_as_a_welcome_says_it() -> None:
    answer = gone_answer(ASKED, "expired", END)
    assert (answer.status, answer.headers) == (
        HTTPStatus.GONE,
        {"Cache-Control": "no-store", "Stream-Next-Offset": str(END)},
    )
    assert json.loads(answer.body) == {"recovered": False, "cursor": str(END), "reason": "expired"}
    assert gone_answer(replace(ASKED, has_token=True), "expired", END).headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize(
    ("echo", "share", "expected"),
    [
        (None, 0.5, 180),
        (179, 0.5, 180),
        (180, 0.0, 181),
        (180, 1.0, 360),
        (500, 0.5, 590),
    ],
)
def test_a_stream_cursor_is_the_interval_or_beyond_what_the_client_has_seen(
    echo: int | None, share: float, expected: int
) -> None:
    """§10.1: intervals of 20 s since 9 October 2024; strictly greater than the echo, by 1 to 3,600 s."""
    assert stream_cursor(echo, replace(MOMENT, share=share)) == expected
