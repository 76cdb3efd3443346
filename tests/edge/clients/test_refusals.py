"""Refusals as HTTP answers."""

from edge.clients.refusals import refusal
from edge.wire.handshake import Rejected, Why


def test_a_refusal_is_a_status_and_a_sentence() -> None:
    answer = refusal(Rejected(400, "That makes no sense."))
    assert (answer.status, answer.text, answer.keep_alive) == (400, "That makes no sense.\n", None)
    assert set(answer.headers) == {"Content-Type"}


def test_a_client_is_told_when_to_try_again_in_whole_seconds_and_not_too_early() -> None:
    assert refusal(Rejected(503, "Full.", 1.2)).headers["Retry-After"] == "2"


def test_a_connection_of_which_there_are_too_many_is_not_kept() -> None:
    assert refusal(Rejected(503, "Full.", 1, is_closed=True)).keep_alive is False


def test_a_client_that_is_not_known_is_told_how_to_sign_in() -> None:
    """RFC 6750 §3: who came without a token has made no error."""
    reasons: tuple[Why, ...] = ("token", "anonymous")
    told = {why: refusal(Rejected(401, "Sign in.", why=why)).headers for why in reasons}
    assert told["token"]["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert told["anonymous"]["WWW-Authenticate"] == "Bearer"


def test_a_client_with_another_version_is_told_which_one_is_spoken() -> None:
    """RFC 9110 §15.5.22, RFC 6455 §4.4."""
    headers = refusal(Rejected(426, "Upgrade.")).headers
    wanted = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    assert wanted.items() <= headers.items()
