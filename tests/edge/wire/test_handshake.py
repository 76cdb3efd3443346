"""Which requests ask for a WebSocket, and what is wrong with them; on the wire in test_conformance_handshake."""

import pytest
from multidict import CIMultiDict

from edge.wire.handshake import Rejected, fault_in, is_asked_for

GOOD = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
NO_KEY = Rejected(400, "The header Sec-WebSocket-Key is 16 bytes in base64, and there is one of it.")
NO_VERSION = Rejected(426, "The WebSocket's version is 13 here, said once.")
NO_CONNECTION = Rejected(400, "A WebSocket needs the header Connection: Upgrade.")


@pytest.mark.parametrize(
    ("method", "version", "upgrade", "asks"),
    [
        ("GET", (1, 1), ["websocket"], True),
        ("GET", (1, 1), ["WebSocket"], True),
        ("GET", (1, 1), ["h2c , WEBSOCKET"], True),
        ("GET", (1, 1), ["h2c", "websocket"], True),
        ("GET", (1, 1), [], False),
        ("GET", (1, 1), ["h2c"], False),
        ("GET", (1, 1), ["notwebsocket"], False),
        ("HEAD", (1, 1), ["websocket"], False),
        ("POST", (1, 1), ["websocket"], False),
        ("GET", (1, 0), ["websocket"], False),
        ("GET", (2, 0), ["websocket"], False),
    ],
)
def test_a_websocket_is_asked_for_with_get_and_an_upgrade_to_it(
    method: str, version: tuple[int, int], upgrade: list[str], asks: bool
) -> None:
    """Whatever else a client would upgrade to may be ignored (RFC 9110 §7.8)."""
    assert is_asked_for(method, version, CIMultiDict(("upgrade", value) for value in upgrade)) is asks


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ([], None),
        ([("connection", "keep-alive, UPGRADE")], None),
        ([("connection", "keep-alive")], NO_CONNECTION),
        ([("connection", "")], NO_CONNECTION),
        ([("sec-websocket-version", "8")], NO_VERSION),
        ([("sec-websocket-version", "")], NO_VERSION),
        ([("sec-websocket-version", "13"), ("sec-websocket-version", "13")], NO_VERSION),
        ([("sec-websocket-key", "")], NO_KEY),
        ([("sec-websocket-key", "dGhlIHNhbXBsZSBub25j")], NO_KEY),
        ([("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZSE=")], NO_KEY),
        ([("sec-websocket-key", "dGhl IHNhbXBsZSBub25jZQ==")], NO_KEY),
        ([("sec-websocket-key", "\u0660GhlIHNhbXBsZSBub25jZQ==")], NO_KEY),
        ([("sec-websocket-key", GOOD["Sec-WebSocket-Key"] + "\n")], NO_KEY),
        ([("sec-websocket-key", GOOD["Sec-WebSocket-Key"])] * 2, NO_KEY),
    ],
)
def test_a_handshake_is_complete_and_says_each_thing_once(
    changes: list[tuple[str, str]], fault: Rejected | None
) -> None:
    """RFC 6455 §4.2.1; another version is told which one is spoken here (§4.4)."""
    headers = CIMultiDict(GOOD)
    for name, _ in changes:
        headers.popall(name, None)
    headers.extend(changes)
    assert fault_in(headers) == fault


@pytest.mark.parametrize(
    ("name", "fault"),
    [("Connection", NO_CONNECTION), ("Sec-WebSocket-Version", NO_VERSION), ("Sec-WebSocket-Key", NO_KEY)],
)
def test_none_of_its_headers_may_be_missing(name: str, fault: Rejected) -> None:
    assert fault_in(CIMultiDict({key: value for key, value in GOOD.items() if key != name})) == fault
