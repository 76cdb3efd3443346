"""How a session goes on with another token, or does not."""

import json
from typing import Any

import pytest
from msgspec import UNSET

from edge.access.grant import Grant, TokenRefused
from edge.clients.owed import Owed
from edge.clients.renewing import TOKENS, TOKENS_SECONDS, Renewing
from edge.clients.view import view
from edge.fanout.session import Session
from edge.feed.selection import Selection, Selections
from edge.wire.encoding import Notice
from edge.wire.requests import Refused
from edge.wire.websocket_encodings import CURSOR
from tests.edge.kit.records import at
from tests.edge.kit.sign_in import Desk, granted

AWAY = TokenRefused("No keys.", "key", retry_after=3)


class Bench:
    """A client of subject 7, which may see these authors, and asks for those."""

    def __init__(self, grant: Grant | None = None, asked: Selection | None = None, limit: int = 100) -> None:
        self.selections = Selections(limit)
        found = view(self.selections, grant, asked)
        assert found is not None
        self.session = Session(at(3, 1), CURSOR, b"", found.selection, grant=grant, asked=found.asked)
        self.can_renew = True
        self.desk = Desk()
        self.renewing = Renewing(self.session, self, self.selections, self.desk)
        self.owed = Owed(lambda: None)
        self.now = 1000.0

    def renew(self, grant: Grant, selection: Selection | None) -> bool:
        """Go on with it, or not."""
        if self.can_renew:
            self.session.grant, self.session.selection = grant, selection
        return self.can_renew

    def select(self, selection: Selection | None) -> str | None:
        """Never be asked."""
        raise AssertionError(selection)

    def tell(self, data: bytes) -> bool:
        """Never be told."""
        raise AssertionError(data)

    def cursor(self) -> str | None:
        """Know of none."""

    def leave(self) -> None:
        """Never leave."""

    pause_writing = resume_writing = stop = expect_close = leave

    def brings(self, token: str, found: Grant | TokenRefused | None = None) -> Any:
        """Return the answer to a token, its payload where it is done, and the code of an error else."""
        if found is not None:
            self.desk.grants[token] = found
        self.now += TOKENS_SECONDS
        answer = self.renewing.begin(UNSET, token, self.now, self.owed.later)
        assert answer is not None
        answer = answer() if callable(answer) else answer
        if isinstance(answer, Notice):
            return json.loads(answer.text)["payload"]
        assert token not in answer.sentence
        return answer.code

    @property
    def seen(self) -> list[int] | None:
        """What the client sees."""
        selection = self.session.selection
        return None if selection is None else selection.authors.tolist()


def test_a_session_is_its_subjects() -> None:
    """No token makes it another's; the old one stays."""
    old = granted("7", 1)
    bench = Bench(old)
    assert bench.brings("foreign", granted("8")) == "wrong_subject"
    assert (bench.session.grant, bench.seen) == (old, [1])


def test_nobody_signs_in_on_an_open_connection() -> None:
    """The token is not even looked at: what is bound to a subject begins when its client connects."""
    bench = Bench(None)
    assert bench.brings("mine", granted("7")) == "wrong_subject"
    assert (bench.session.grant, bench.desk.asked) == (None, [])


def test_a_token_that_is_refused_changes_nothing() -> None:
    old = granted("7", 1)
    bench = Bench(old)
    assert bench.brings("bad") == "token_refused"
    assert (bench.session.grant, bench.seen) == (old, [1])


def test_a_token_that_cannot_be_told_good_or_bad_may_be_brought_again() -> None:
    bench = Bench(granted("7"))
    assert bench.brings("mine", AWAY) == "busy"


@pytest.mark.parametrize(("expires_at", "told"), [(None, {}), (1704067200.5, {"expires_at": "2024-01-01T00:00:00Z"})])
def test_the_answer_says_when_the_new_token_expires(expires_at: float | None, told: dict[str, str]) -> None:
    bench = Bench(granted("7"))
    assert bench.brings("mine", granted("7", expires_at=expires_at)) == told


@pytest.mark.parametrize(
    ("claim", "asked", "seen"),
    [
        (None, None, None),
        (None, [2, 9], [2, 9]),
        ([1, 2], None, [1, 2]),
        ([1, 2], [2, 9], [2]),
        ([], None, []),
        ([], [2, 9], []),
        ([5], [2, 9], []),
    ],
)
def test_the_clients_own_filter_stays(claim: list[int] | None, asked: list[int] | None, seen: list[int] | None) -> None:
    """It sees what is in both, whatever the old token allowed; and gets back what the old one did not allow."""
    wish = None if asked is None else Selection(asked)
    bench = Bench(granted("7", 3), wish)
    new = granted("7", *(claim or ()), all_authors=claim is None)
    assert bench.brings("mine", new) == {}
    assert (bench.seen, bench.session.asked and bench.session.asked.authors.tolist()) == (seen, asked)
    assert bench.brings("back", granted("7")) == {}
    assert bench.seen == asked


def test_equal_claims_are_one_object() -> None:
    """Which counts once, and is what such clients are served together by."""
    bench, claim = Bench(granted("7")), Selection([1, 2])
    shared = bench.selections.the(claim)
    assert bench.brings("mine", granted("7", 1, 2)) == {}
    assert bench.session.grant is not None
    assert bench.session.grant.claim is bench.session.selection is shared is claim


@pytest.mark.parametrize("limit", [5, 7])
def test_a_claim_for_which_there_is_no_room_is_put_off(limit: int) -> None:
    """Itself, or what is in it and in the filter."""
    old = granted("7")
    bench = Bench(old, Selection([1, 2, 9]), limit)
    assert bench.brings("mine", granted("7", 1, 2, 4)) == "busy"
    assert (bench.session.grant, bench.seen) == (old, [1, 2, 9])


def test_a_client_that_takes_nothing_cannot_go_on_now() -> None:
    old = granted("7")
    bench = Bench(old)
    bench.can_renew = False
    assert bench.brings("mine", granted("7", 1)) == "busy"
    assert bench.session.grant is old


def test_only_so_many_tokens_are_looked_at() -> None:
    """Be they good or not."""
    bench = Bench(granted("7"))
    for _ in range(3 * TOKENS):
        bench.renewing.begin(UNSET, "bad", bench.now, bench.owed.later)
    assert len(bench.desk.asked) == TOKENS
    answer = bench.renewing.begin(UNSET, "bad", bench.now, bench.owed.later)
    assert isinstance(answer, Refused)
    assert answer.code == "busy"
    assert bench.brings("mine", granted("7")) == {}


def test_a_token_whose_key_has_to_be_fetched_is_answered_later() -> None:
    """As if the key had been there, in the request's turn."""
    bench = Bench(granted("7"))
    bench.desk.grants["mine"] = granted("7", 1)
    bench.desk.unknown.add("mine")
    assert bench.renewing.begin(5, "mine", bench.now, bench.owed.later) is None
    assert list(bench.owed.due()) == []
    bench.desk.fetch()
    seen = bench.seen
    [due] = bench.owed.due()
    assert isinstance(due, Notice)
    assert (json.loads(due.text)["id"], seen, bench.seen) == (5, None, [1])
