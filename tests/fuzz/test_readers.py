"""The AMQP body, what clients ask for, the records of two topics, the cursor, tokens and what they say.

Each reader takes what is good, and says no to the rest. An exception of any other kind than the one that says no is
a failure.
"""

import contextlib
import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from edge.access.grant import TokenRefused
from edge.access.keys import Keys, secrets_of
from edge.access.tokens import Rules, read, verify
from edge.feed.log import Log
from edge.feed.position import Ahead, Cursor, Gap, Resume, parse
from edge.wire.messages import acked, error
from edge.wire.requests import Refused, Request, request_of
from edge.wire.websocket_encodings import CURSOR, PLAIN
from streams.announcement import NotAnId, announced_post
from streams.contract import (
    MAX_ATTEMPT,
    MAX_ID,
    MAX_IDS,
    BadRecord,
    Offset,
    dead_letter,
    decode_created,
    decode_dead,
    decode_feed,
    encode_created,
    encode_dead,
)
from tests.edge.kit.records import everything, messages, record
from tests.edge.kit.tokens import NOW, SECRET, signed
from tests.fuzz.corpus import inputs, mutated

_EXAMPLES = settings(max_examples=500)


def announcement_is_read(body: bytes) -> None:
    """See that an id is what the contract calls one, and that everything else becomes a dead letter that holds it."""
    try:
        post = announced_post(body)
    except NotAnId as error:
        letter = decode_dead(encode_dead(dead_letter("not_an_id", str(error), body)))
        assert (letter.body, letter.length) == (body[: 64 * 1024], len(body))
        assert not (re.fullmatch(rb"[0-9]{1,19}", body) and 1 <= int(body) <= MAX_ID)
    else:
        assert 1 <= post <= MAX_ID
        named: Any = int(body) if re.fullmatch(rb"[0-9]{1,19}", body) else json.loads(body)["id"]
        assert (type(named), named) == (int, post)


def created_record_is_read(value: bytes) -> None:
    """See that a record of posts.created has one id or several that PostgreSQL can be asked for, and can be written."""
    try:
        record = decode_created(value)
    except BadRecord:
        return
    assert 1 <= len(record.ids) <= MAX_IDS
    assert all(type(post) is int and 1 <= post <= MAX_ID for post in record.ids)
    assert 0 <= record.attempt <= MAX_ATTEMPT
    again = decode_created(encode_created(record))
    assert (list(again.ids), again.attempt) == (list(record.ids), record.attempt)


def feed_record_is_read(value: bytes) -> None:
    """See that a log takes any record, shows whole messages in whole frames, and can say where everybody stands."""
    log = Log(limit=1 << 20, reach=1000)
    log.begin(Offset(0), Offset(0))
    appended = log.append(Offset(0), value)
    assert not isinstance(appended, Gap)
    log.append(Offset(1), record(2**40))
    plain, with_cursor = (messages(everything(log, 0, encoding)) for encoding in (PLAIN, CURSOR))
    assert len(plain) == len(with_cursor) == appended.shown + 1
    for told, bare in zip(with_cursor, plain, strict=True):
        cursor = parse(told.pop("cursor"))
        assert isinstance(told.pop("window"), int)
        assert told == bare
        assert isinstance(cursor, Cursor)
        assert isinstance(log.resume(cursor), Resume)
    with contextlib.suppress(BadRecord):
        assert appended.shown + appended.repeats in {0, len(decode_feed(value).publications)}


def cursor_is_read(token: bytes) -> None:
    """See that a token has one spelling, and that a log has an answer for every one."""
    text = token.decode("utf-8", "surrogateescape")
    found = parse(text)
    if isinstance(found, Gap):
        assert found == Gap("invalid")
        return
    assert str(found) == text
    log = Log(limit=1 << 20, reach=1000)
    log.begin(Offset(3), Offset(5))
    for offset in range(3, 8):
        log.append(Offset(offset), record(offset))
    answer = log.resume(found)
    assert isinstance(answer, Resume | Ahead | Gap)
    if isinstance(answer, Resume):
        assert log.tail <= answer.position <= log.head


def request_is_read(text: bytes) -> None:
    """See that a client's message is a request whose answer repeats its id, or an error that says why it is none."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return  # What is no UTF-8 never gets so far.
    action, asked = request_of(text)
    if isinstance(asked, Refused):
        assert (action is None) == (asked.code in {"bad_message", "unknown_action"})
    answer = json.loads((acked(asked.id, "c") if isinstance(asked, Request) else error(asked)).text)
    if asked.id is not UNSET:
        assert (answer["id"], type(answer["id"])) == (json.loads(text)["id"], type(asked.id))
    assert ("id" in answer) == (asked.id is not UNSET)


_KEYS = Keys(secrets_of(SECRET))


def token_is_read(text: bytes) -> None:
    """See that what nobody has signed lets nobody in, and that nothing of it is said again."""
    token = text.decode("latin-1")
    found = read(token)
    refused = found if isinstance(found, TokenRefused) else verify(found, _KEYS, Rules(), NOW)
    assert refused is None or isinstance(refused, TokenRefused)
    if refused is not None:
        assert all(part not in refused.sentence for part in token.split(".") if len(part) > 8)


def claims_are_read(payload: bytes) -> None:
    """See that a restriction is what the token says, and that nobody has signed in without a name and in their time."""
    found = read(signed(payload))
    if isinstance(found, TokenRefused):
        assert not payload or len(payload) > 5000
        return
    grant = verify(found, _KEYS, Rules(), NOW)
    assert grant is not None
    if isinstance(grant, TokenRefused):
        assert "alice" not in grant.sentence
        return
    said: Any = json.loads(payload)
    assert (grant.subject, grant.expires_at) == (said["sub"], said.get("exp"))
    assert grant.subject.isprintable()
    assert grant.expires_at is None or grant.expires_at > NOW - 30
    assert said.get("aud", []) == []
    allowed = None if grant.claim is None else set(grant.claim.authors)
    assert allowed == (set(said["postcast"]["authors"]) if "postcast" in said else None)


READERS = {
    "token": token_is_read,
    "claims": claims_are_read,
    "request": request_is_read,
    "announcement": announcement_is_read,
    "created_record": created_record_is_read,
    "feed_record": feed_record_is_read,
    "cursor": cursor_is_read,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_says_yes_or_no_to_every_input_that_was_ever_worth_keeping(reader: str) -> None:
    for value in inputs(reader):
        READERS[reader](value)


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@_EXAMPLES
def test_a_reader_says_yes_or_no_to_whatever_comes(reader: str, data: st.DataObject) -> None:
    READERS[reader](data.draw(mutated(reader)))
