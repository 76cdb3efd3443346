"""What the hub knows of a gap."""

from edge.fanout.member import Gap
from edge.feed.position import Position
from edge.wire.websocket_encodings import CURSOR, CURSOR_DEFLATED
from tests.edge.kit.records import messages


def test_what_tells_of_a_gap_is_made_once_for_each_encoding() -> None:
    """The same object for all clients, with the reason and the cursor to go on from."""
    gap = Gap(Position(3), "interrupted", "c")
    told = gap.welcome(CURSOR)
    assert gap.welcome(CURSOR) is told
    assert gap.welcome(CURSOR_DEFLATED) is gap.welcome(CURSOR_DEFLATED)
    payload = {"recovered": False, "reason": "interrupted", "cursor": "c"}
    assert messages(told) == [{"action": "welcome", "payload": payload}]
