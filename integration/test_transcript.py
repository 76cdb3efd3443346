"""The benchmark's followers notice whatever is not as it should be; else they would prove nothing."""

from collections.abc import Callable

import pytest

from edge.wire.encoding import Notice
from edge.wire.frames import text_frame
from edge.wire.messages import caught_up, heartbeat, message, welcome, with_cursor
from edge.wire.websocket_encodings import CURSOR
from integration.bench.follower import Follower
from integration.bench.posts import FIRST_ID, publications
from integration.bench.transcript import Transcript, Wrong

_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
_CLOSE = b"\x88\x05\x03\xe9bye"
_START = CURSOR.notice(welcome("start", session="s", heartbeat=25))


def _frames(*ids: int) -> list[bytes]:
    posts = publications(FIRST_ID + id_ for id_ in ids)
    return [text_frame(with_cursor(message(each), f"c{each.id - FIRST_ID}", 5000)) for each in posts]


def _followers(count: int) -> list[Follower]:
    transcript = Transcript()
    followers = [Follower(transcript) for _ in range(count)]
    for follower in followers:
        assert follower.query() == "history=0"
        follower.receive(_ANSWER + _START)
    return followers


@pytest.mark.parametrize("size", [1, 3, 400, 1000, 10_000])
def test_bytes_may_come_in_any_pieces(size: int) -> None:
    """The first to get them lengthens the transcript, the others are compared with it."""
    stream = _ANSWER + _START + b"".join(_frames(0, 1, 2)) + _CLOSE
    transcript = Transcript()
    for _ in range(2):
        follower = Follower(transcript)
        follower.query()
        for at in range(0, len(stream), size):
            follower.receive(stream[at : at + size])
        assert (follower.is_welcome, follower.code, follower.position) == (True, 1001, transcript.end_of(3))


@pytest.mark.parametrize("size", [1, 3, 400, 10_000])
def test_notices_come_between_posts_to_each_where_they_come(size: int) -> None:
    """They are no part of what all get."""
    one, two, three = _frames(0, 1, 2)
    notices = [CURSOR.notice(each) for each in (caught_up("c" * 32), heartbeat("c" * 32, 0))]
    streams = [[notices[0], one, two, notices[1], three], [one, *notices, two, three, notices[1]], [one, two, three]]
    transcript = Transcript()
    for stream in (*streams, *reversed(streams)):
        follower = Follower(transcript)
        follower.query()
        whole = _ANSWER + _START + b"".join(stream) + _CLOSE
        for at in range(0, len(whole), size):
            follower.receive(whole[at : at + size])
        assert (follower.code, follower.position) == (1001, transcript.end_of(3))


def test_a_follower_comes_back_with_the_cursor_of_its_last_whole_message() -> None:
    """What was begun of the next one is forgotten, and comes again."""
    first, second = _followers(2)
    one, two, three = _frames(0, 1, 2)
    first.receive(one + two + three)
    second.receive(one + two[:50])
    assert second.query() == "cursor=c0"
    second.receive(_ANSWER + CURSOR.notice(welcome("c0", session="s", heartbeat=25)) + two + three)
    assert second.position == first.position


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda: b"".join(_frames(0, 2)), id="a post is left out"),
        pytest.param(lambda: b"".join(_frames(0, 0)), id="a post comes twice"),
        pytest.param(lambda: _frames(0)[0] + _frames(1)[0][:50] + _CLOSE, id="a close in the middle of a message"),
        pytest.param(lambda: _frames(0)[0] + CURSOR.notice(Notice("error", b'{"action":"error"}')), id="no notice"),
        pytest.param(lambda: _frames(0)[0] + b"\x82" + _frames(1)[0][1:], id="no text"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_should_not_be_is_noticed(wrong: Callable[[], bytes], *, is_first: bool) -> None:
    """Whether it comes to the first follower or to one that is compared with it."""
    first, second = _followers(2)
    if not is_first:
        first.receive(b"".join(_frames(0, 1, 2)))
    with pytest.raises(Wrong):
        second.receive(wrong() + b"".join(_frames(3)))


def test_a_gap_that_is_said_is_noticed() -> None:
    """All that the benchmark asks for is in the log, or on the feed."""
    [follower] = _followers(1)
    follower.query()
    with pytest.raises(Wrong):
        follower.receive(_ANSWER + CURSOR.notice(welcome("start", session="s", heartbeat=25, gap="expired")))
    with pytest.raises(Wrong):
        Follower(Transcript()).receive(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
