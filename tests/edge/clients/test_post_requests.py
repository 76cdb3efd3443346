"""What requests to ``/posts`` ask for; sections are those of Durable Streams' PROTOCOL.md."""

import pytest
from multidict import CIMultiDict, MultiDict

from edge.clients.post_requests import PostsRequest, Sentinel, posts_request
from edge.feed.position import before
from edge.wire.handshake import Rejected
from streams.contract import Offset
from tests.edge.kit.records import cursor

STAMPED = cursor(7, 2, b"a record")


def read(query: dict[str, str], *headers: tuple[str, str]) -> PostsRequest | Rejected:
    """Read a request."""
    return posts_request(MultiDict(query), CIMultiDict(headers))


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ({}, PostsRequest(Sentinel.BEGINNING)),
        ({"offset": "-1"}, PostsRequest(Sentinel.BEGINNING)),
        ({"offset": "now"}, PostsRequest(Sentinel.NOW)),
        ({"offset": str(STAMPED)}, PostsRequest(STAMPED)),
        ({"offset": "now", "live": "long-poll"}, PostsRequest(Sentinel.NOW, waits=True)),
        ({"offset": "-1", "live": "long-poll", "cursor": "17"}, PostsRequest(Sentinel.BEGINNING, waits=True, echo=17)),
        # A client echoes it where it does not wait, too.
        ({"offset": "now", "cursor": "17"}, PostsRequest(Sentinel.NOW, echo=17)),
        # What is unknown is ignored (§11.1).
        ({"offset": "now", "else": "1"}, PostsRequest(Sentinel.NOW)),
    ],
    ids=str,
)
def test_a_request_is_understood(query: dict[str, str], asked: PostsRequest) -> None:
    assert read(query) == asked


@pytest.mark.parametrize(
    "query",
    [
        {"offset": ""},
        {"offset": "-2"},
        {"offset": "NOW"},
        {"offset": str(STAMPED).upper()},
        {"offset": str(STAMPED)[:-1]},
        {"live": "long-poll"},
        {"offset": "now", "device": "phone"},
        {"offset": "now", "live": "sse"},
        {"offset": "now", "live": ""},
        {"offset": "now", "live": "true"},
        {"offset": "now", "cursor": str(STAMPED)},
        {"offset": "now", "cursor": "-1"},
        {"offset": "now", "cursor": "1" * 16},
        {"offset": "now", "cursor": "\u0661"},
    ],
    ids=str,
)
def test_what_cannot_be_understood_is_refused(query: dict[str, str]) -> None:
    refused = read(query)
    assert isinstance(refused, Rejected)
    assert refused.status == 400


@pytest.mark.parametrize(
    ("query", "header"),
    [
        ({}, ("Authorization", "Bearer x")),
        ({}, ("authorization", "")),
        ({"token": "x"}, ("Accept", "*/*")),
        ({}, ("Sec-WebSocket-Protocol", "postcast.v1, postcast.token.x")),
    ],
    ids=str,
)
def test_a_client_that_says_who_it_is_has_a_token(query: dict[str, str], header: tuple[str, str]) -> None:
    asked = read(query, header)
    assert isinstance(asked, PostsRequest)
    assert asked.has_token
    assert read({}, ("Sec-WebSocket-Protocol", "postcast.v1")) == PostsRequest()


def test_the_tags_of_what_a_client_has_may_be_in_one_header_or_several() -> None:
    asked = read({}, ("If-None-Match", '"a", W/"b"'), ("If-None-Match", '"c"'))
    assert isinstance(asked, PostsRequest)
    assert asked.known == {'"a"', 'W/"b"', '"c"'}


def test_only_an_offset_behind_a_post_names_a_record() -> None:
    assert PostsRequest(STAMPED).is_stamped
    assert not PostsRequest(before(Offset(7))).is_stamped
    assert not PostsRequest(Sentinel.NOW).is_stamped
