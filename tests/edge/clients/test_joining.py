"""What a client asks for, and where it starts."""

from dataclasses import replace

import pytest
from multidict import MultiDict

from edge.clients.joining import BAD_DEVICE, JoinRequest, Terms, at_end, join_request, request_for, resumed, resumption
from edge.feed.joins import Back
from edge.feed.position import Ahead, Cursor, Gap, Resume, before
from edge.feed.selection import Selection
from edge.positions.device import Device, Key
from edge.wire.encoding import Encoding
from edge.wire.event_encodings import EVENTS
from edge.wire.handshake import Rejected
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED, PLAIN, PLAIN_DEFLATED
from streams.contract import Offset
from tests.edge.kit.reading import take
from tests.edge.kit.records import at, cursor, ids, log_of, messages, publication, record

TERMS = Terms("s", 25)
LIMIT = 1 << 16
SEEN = cursor(0, 1, record(1))


@pytest.mark.parametrize(
    ("query", "offered", "asked"),
    [
        ({}, [], JoinRequest()),
        ({"token": "x"}, ["chat", ""], JoinRequest()),
        ({}, ["chat", "postcast.v1"], JoinRequest(CURSOR)),
        ({"history": "20"}, [], JoinRequest(CURSOR, history=20)),
        ({"history": "0"}, ["postcast.v1"], JoinRequest(CURSOR)),
        ({"cursor": str(SEEN)}, [], JoinRequest(CURSOR, cursor=SEEN)),
        ({"cursor": ""}, [], JoinRequest(CURSOR, cursor=Gap("invalid"))),
        ({"author": ""}, [], JoinRequest()),
        ({"device": "my.phone"}, [], JoinRequest(CURSOR, device="my.phone")),
        (
            {"device": "my.phone", "history": "20"},
            ["postcast.v1"],
            JoinRequest(CURSOR, history=20, device="my.phone"),
        ),
        ({"device": "my.phone", "cursor": str(SEEN)}, [], JoinRequest(CURSOR, cursor=SEEN, device="my.phone")),
    ],
)
def test_only_who_asks_for_more_gets_more(query: dict[str, str], offered: list[str], asked: JoinRequest) -> None:
    """The plain client of the replaced service is not sent anything that it does not know."""
    assert join_request(MultiDict(query), offered) == asked


@pytest.mark.parametrize(
    ("query", "encoding"),
    [({}, PLAIN_DEFLATED), ({"history": "0"}, CURSOR_DEFLATED), ({"cursor": ""}, CURSOR_DEFLATED)],
)
def test_compression_changes_nothing_of_what_is_sent(query: dict[str, str], encoding: Encoding) -> None:
    """Who has agreed to it gets the same messages, and so the same greeting or none."""
    plain, asked = join_request(MultiDict(query), []), join_request(MultiDict(query), [], deflated=True)
    assert isinstance(plain, JoinRequest)
    assert isinstance(asked, JoinRequest)
    assert asked == replace(plain, encoding=encoding)
    log = log_of(record(1))
    greeting, expected = (take(at_end(one, log, Offset(1), TERMS), log, LIMIT) for one in (asked, plain))
    assert greeting == expected


@pytest.mark.parametrize("device", ["", "a b", "x" * 65, "é", "a/b"])
def test_a_device_has_a_name_that_needs_no_escaping(device: str) -> None:
    """It is a client with cursors by its name alone, so that what is wrong with it is said."""
    assert join_request(MultiDict(device=device), []) == Rejected(400, BAD_DEVICE)
    assert request_for(EVENTS, MultiDict(device=device)) == Rejected(400, BAD_DEVICE)
    assert request_for(EVENTS, MultiDict(device="tv")) == JoinRequest(EVENTS, device="tv")


@pytest.mark.parametrize("history", ["", "-1", "+1", "1.5", "1e3", "ten", "٣", "1" * 10])
def test_a_history_is_a_number_of_posts(history: str) -> None:
    """Anything else is refused before the 101, with a sentence."""
    assert join_request(MultiDict(history=history), []) == Rejected(
        400, "The history is a number of posts, such as 20."
    )


@pytest.mark.parametrize(
    ("query", "form"),
    [([], PLAIN), ([("cursor", "")], CURSOR), ([("history", "5")], CURSOR)],
)
def test_an_author_chooses_what_is_seen_and_not_the_form(query: list[tuple[str, str]], form: Encoding) -> None:
    """It may repeat, and hold several."""
    asked = join_request(MultiDict([("author", "7"), *query, ("author", "9,8")]), [])
    assert isinstance(asked, JoinRequest)
    assert asked.selection is not None
    assert (asked.selection.authors.tolist(), asked.encoding) == ([7, 8, 9], form)


def test_a_history_that_was_looked_for_is_cut_to_what_the_log_has_now() -> None:
    """It may have forgotten some of it meanwhile, or have begun anew."""
    log = log_of(record(publication(1, author=1)), first=5)
    asked = JoinRequest(history=1, selection=Selection([1]))
    starts = [at_end(asked, log, Offset(6), TERMS, begin=at(*place)).position for place in ((1, 1), (5, 0), (9, 1))]
    assert starts == [log.tail, log.tail, log.head]


@pytest.mark.parametrize("query", [{}, {"cursor": ""}, {"history": "5"}])
def test_what_is_no_author_is_refused(query: dict[str, str]) -> None:
    refused = join_request(MultiDict(query, author="me"), [])
    assert isinstance(refused, Rejected)
    assert refused.status == 400


def test_what_a_client_selects_goes_with_its_session() -> None:
    """However it starts: and a history is what it would have seen of it."""
    log = log_of(*(record(publication(n, author=n % 2)) for n in range(1, 8)))
    for encoding in (PLAIN, CURSOR):
        asked = JoinRequest(encoding, history=2, selection=Selection([0]))
        begin = log.look_back(Back(log.position_at(Offset(6)), 2), Selection([0])).position
        got = messages(take(at_end(asked, log, Offset(6), TERMS, begin=begin), log, LIMIT))
        assert [post["payload"].get("id") for post in got][-2:] == [4, 6]
        found = messages(take(resumed(asked, log, Resume(log.tail), TERMS), log, LIMIT))
        assert [post["payload"]["id"] for post in found if post["action"] == "created"] == [2, 4, 6]


def test_a_cursor_and_a_history_contradict_each_other() -> None:
    """Both say where to begin."""
    refused = join_request(MultiDict(history="1", cursor=str(SEEN)), [])
    assert isinstance(refused, Rejected)
    assert refused.status == 400


def test_a_plain_client_starts_at_the_feeds_end() -> None:
    """Law 9: not at the log's, which may have read on since Kafka was asked."""
    log = log_of(record(1), record(2), record(3))
    session = at_end(JoinRequest(), log, Offset(1), TERMS)
    assert ids(take(session, log, LIMIT)) == [2, 3]


@pytest.mark.parametrize(("history", "got"), [(0, [3]), (1, [2, 3]), (2, [1, 2, 3]), (50, [1, 2, 3])])
def test_a_history_reaches_back_from_the_end(history: int, got: list[int]) -> None:
    """As many posts as were asked for, as far as the log has them."""
    log = log_of(record(1), record(2), record(3))
    welcome, *posts = messages(take(at_end(JoinRequest(CURSOR, history=history), log, Offset(2), TERMS), log, LIMIT))
    assert welcome["payload"]["recovered"] is True
    assert [post["payload"]["id"] for post in posts] == got


def test_a_gap_is_said_and_the_feed_goes_on_from_its_end() -> None:
    """Law 12: the reason, a new cursor, and what comes from now on."""
    log = log_of(record(1), record(2))
    welcome, post = messages(take(at_end(JoinRequest(CURSOR), log, Offset(1), TERMS, Gap("expired")), log, LIMIT))
    assert welcome["payload"] == {
        "recovered": False,
        "reason": "expired",
        "cursor": str(SEEN),
        "session": "s",
        "heartbeat": 25,
        "behind": 1,
    }
    assert post["payload"] == {"id": 2}


def test_who_resumes_gets_what_follows_its_cursor() -> None:
    """It is greeted with its own position, and nothing is said to be lost."""
    log = log_of(record(1), record(2))
    asked = JoinRequest(CURSOR, cursor=SEEN)
    found = resumption(asked, log)
    assert found == Resume(SEEN.position)
    welcome, post = messages(take(resumed(asked, log, Resume(SEEN.position), TERMS), log, LIMIT))
    assert welcome["payload"]["recovered"] is True
    assert post["payload"] == {"id": 2}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, None),
        (Gap("invalid"), Gap("invalid")),
        (before(Offset(9)), Ahead(Offset(9))),
        (cursor(0, 1, b""), Gap("recreated")),
    ],
)
def test_a_cursor_is_looked_up_in_the_log(asked: Cursor | Gap | None, found: object) -> None:
    """What is no cursor stays a gap, and who has none is looking for nothing."""
    assert resumption(JoinRequest(CURSOR, cursor=asked), log_of(record(1))) == found


@pytest.mark.parametrize(
    "query", [{}, {"cursor": "old"}, {"history": "20"}, {"history": "20", "cursor": "old"}, {"history": "nonsense"}]
)
def test_last_event_id_goes_before_all_that_the_query_names_and_is_never_refused(query: dict[str, str]) -> None:
    """EventSource repeats the query that it began with; whose posts are seen is another matter."""
    asked = request_for(EVENTS, MultiDict(query, author="7"), str(SEEN))
    assert isinstance(asked, JoinRequest)
    assert asked.selection is not None
    assert (asked.encoding, asked.history, asked.cursor, asked.selection.authors.tolist()) == (EVENTS, 0, SEEN, [7])


def test_last_event_id_does_not_decide_the_form() -> None:
    """A plain client stays plain, wherever it starts."""
    assert join_request(MultiDict(), [], last_event_id=str(SEEN)) == JoinRequest(cursor=SEEN)
    v1 = join_request(MultiDict(history="20"), [], last_event_id=str(SEEN))
    assert v1 == JoinRequest(CURSOR, cursor=SEEN)


@pytest.mark.parametrize(("last", "cursor"), [("", None), ("junk", Gap("invalid")), ("\udcff", Gap("invalid"))])
def test_last_event_id_may_be_anything(last: str, cursor: Gap | None) -> None:
    """An empty one is what comes from a client that has none."""
    assert request_for(EVENTS, MultiDict(), last) == JoinRequest(EVENTS, cursor=cursor)


def test_a_device_knows_what_its_client_was_told_that_it_cannot_go_on_at() -> None:
    """The cursor that it has brought, or what was stored; what can be gone on at is not refuted."""
    log = log_of(record(1))
    brought, stored = Device(Key("alice", "phone")), Device(Key("alice", "phone"), "what is stored")
    asked = JoinRequest(CURSOR, cursor=SEEN, seat=brought)
    assert resumed(asked, log, Resume(SEEN.position), TERMS).device is brought
    assert brought.take_refuted() == ""
    at_end(asked, log, Offset(1), TERMS, Gap("recreated"))
    assert brought.take_refuted() == str(SEEN)
    at_end(replace(asked, cursor=Gap("invalid"), seat=stored), log, Offset(1), TERMS, Gap("invalid"))
    assert stored.take_refuted() == "what is stored"
