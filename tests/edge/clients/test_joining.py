"""What a client asks for, and where it starts."""

from dataclasses import replace

import pytest

from edge.clients.joining import Wish, at_end, resumed, resumption, wish_of
from edge.feed.position import Ahead, Cursor, Gap, Position, Resume, before, stamp_of
from edge.wire.frames import Form
from edge.wire.handshake import Rejected
from streams.contract import Offset
from tests.edge.kit.records import ids, log_of, messages, record

LIMIT = 1 << 16
CURSOR = Cursor(Offset(0), 1, stamp_of(record(1)))


@pytest.mark.parametrize(
    ("query", "offered", "wish"),
    [
        ({}, [], Wish()),
        ({"token": "x"}, ["chat", ""], Wish()),
        ({}, ["chat", "postcast.v1"], Wish(Form.CURSOR)),
        ({"history": "20"}, [], Wish(Form.CURSOR, history=20)),
        ({"history": "0"}, ["postcast.v1"], Wish(Form.CURSOR)),
        ({"cursor": str(CURSOR)}, [], Wish(Form.CURSOR, cursor=CURSOR)),
        ({"cursor": ""}, [], Wish(Form.CURSOR, cursor=Gap("invalid"))),
    ],
)
def test_only_who_asks_for_more_gets_more(query: dict[str, str], offered: list[str], wish: Wish) -> None:
    """The plain client of the replaced service is not sent anything that it does not know."""
    assert wish_of(query, offered) == wish


@pytest.mark.parametrize(
    ("query", "form"),
    [({}, Form.PLAIN_DEFLATED), ({"history": "0"}, Form.CURSOR_DEFLATED), ({"cursor": ""}, Form.CURSOR_DEFLATED)],
)
def test_compression_changes_nothing_of_what_is_sent(query: dict[str, str], form: Form) -> None:
    """Who has agreed to it gets the same messages, and so the same greeting or none."""
    plain, wish = wish_of(query, []), wish_of(query, [], deflated=True)
    assert isinstance(plain, Wish)
    assert isinstance(wish, Wish)
    assert wish == replace(plain, form=form)
    log = log_of(record(1))
    greeting, expected = (at_end(one, log, Offset(1)).take(log, LIMIT) for one in (wish, plain))
    assert greeting == expected


@pytest.mark.parametrize("history", ["", "-1", "+1", "1.5", "1e3", "ten", "٣", "1" * 10])
def test_a_history_is_a_number_of_posts(history: str) -> None:
    """Anything else is refused before the 101, with a sentence."""
    assert wish_of({"history": history}, []) == Rejected(400, "The history is a number of posts, such as 20.")


def test_a_cursor_and_a_history_contradict_each_other() -> None:
    """Both say where to begin."""
    refused = wish_of({"history": "1", "cursor": str(CURSOR)}, [])
    assert isinstance(refused, Rejected)
    assert refused.status == 400


def test_a_plain_client_starts_at_the_feeds_end() -> None:
    """Law 9: not at the log's, which may have read on since Kafka was asked."""
    log = log_of(record(1), record(2), record(3))
    session = at_end(Wish(), log, Offset(1))
    assert ids(session.take(log, LIMIT)) == [2, 3]


@pytest.mark.parametrize(("history", "got"), [(0, [3]), (1, [2, 3]), (2, [1, 2, 3]), (50, [1, 2, 3])])
def test_a_history_reaches_back_from_the_end(history: int, got: list[int]) -> None:
    """As many posts as were asked for, as far as the log has them."""
    log = log_of(record(1), record(2), record(3))
    welcome, *posts = messages(at_end(Wish(Form.CURSOR, history=history), log, Offset(2)).take(log, LIMIT))
    assert welcome["payload"]["recovered"] is True
    assert [post["payload"]["id"] for post in posts] == got


def test_a_gap_is_said_and_the_feed_goes_on_from_its_end() -> None:
    """Law 12: the reason, a new cursor, and what comes from now on."""
    log = log_of(record(1), record(2))
    welcome, post = messages(at_end(Wish(Form.CURSOR), log, Offset(1), Gap("expired")).take(log, LIMIT))
    assert welcome["payload"] == {
        "recovered": False,
        "reason": "expired",
        "cursor": str(Cursor(Offset(1), 0, stamp_of(record(2)))),
    }
    assert post["payload"] == {"id": 2}


def test_who_resumes_gets_what_follows_its_cursor() -> None:
    """It is greeted with its own position, and nothing is said to be lost."""
    log = log_of(record(1), record(2))
    wish = Wish(Form.CURSOR, cursor=CURSOR)
    found = resumption(wish, log)
    assert found == Resume(Position(1))
    welcome, post = messages(resumed(wish, log, Resume(Position(1))).take(log, LIMIT))
    assert welcome["payload"]["recovered"] is True
    assert post["payload"] == {"id": 2}


@pytest.mark.parametrize(
    ("cursor", "found"),
    [
        (None, None),
        (Gap("invalid"), Gap("invalid")),
        (before(Offset(9)), Ahead(Offset(9))),
        (Cursor(Offset(0), 1, stamp_of(b"")), Gap("recreated")),
    ],
)
def test_a_cursor_is_looked_up_in_the_log(cursor: Cursor | Gap | None, found: object) -> None:
    """What is no cursor stays a gap, and who has none is looking for nothing."""
    assert resumption(Wish(Form.CURSOR, cursor=cursor), log_of(record(1))) == found
