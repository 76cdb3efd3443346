"""The files that machines read: made of the types, current, and true of every message."""

import json
import re
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from jsonschema import Draft202012Validator, ValidationError
from msgspec import UNSET

from edge.clients.post_answers import gone_answer
from edge.clients.post_requests import PostsRequest
from edge.feed.position import Cursor, Reason, before, parse
from edge.feed.selection import BadAuthors, parse_authors
from edge.wire.forms import Form
from edge.wire.messages import (
    acked,
    authorized,
    caught_up,
    end,
    error,
    expiring,
    filtered,
    heartbeat,
    message,
    welcome,
    with_cursor,
    with_window,
)
from edge.wire.requests import Code, Refused, request_of
from integration.schemas import ALL, ANSWERS, ASKED, FOLDER, SENT, files
from streams.contract import Offset, decode_feed

ROOT: Final = Path(__file__).parents[1]
GOLDEN: Final = ROOT / "tests/golden"
PROTOCOL: Final = (ROOT / "docs/protocol.md").read_text("utf-8")
TOKEN: Final = "0000000000000000000qvtj44pj8q7ca"


def schemas() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text("utf-8")) for path in (FOLDER / "schemas").glob("*.json")}


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schemas()[name])


def name_of(said: dict[str, Any]) -> str:
    """Return the name of a message's schema: a post's says what it has beside its payload."""
    if said["action"] == "created" and "window" in said:
        return "created.v1" if "cursor" in said else "created.event"
    return str(said["action"])


def examples() -> list[dict[str, Any]]:
    """Return the messages that the protocol shows, whole lines of JSON with an action."""
    lines = re.findall(r'^(?:[CS]: )?(?:data: )?(\{"action":.*\})$', PROTOCOL, re.MULTILINE)
    # What is left out of a long line is an ellipsis.
    return [json.loads(line) for line in lines if "…" not in line]


def made() -> list[bytes]:
    """Return a message of each kind and shape that the code makes."""
    record = decode_feed((GOLDEN / "feed_record.json").read_bytes())
    plain = [message(publication) for publication in record.publications]
    notices = [
        *(
            welcome(TOKEN, session="7", heartbeat=seconds, behind=behind, gap=gap, lost=lost)
            for seconds, behind, gap, lost in [
                (25, 0, None, None),
                (0.5, 3, None, None),
                *((25, 0, reason, None) for reason in get_args(Reason)),
                (25, 0, "expired", 12),
            ]
        ),
        welcome(TOKEN, session="7", heartbeat=25, expires_at=1704067200),
        expiring(1704067200, TOKEN),
        *(authorized(id_, end_) for id_ in (UNSET, 7) for end_ in (None, 1704067200)),
        caught_up(TOKEN),
        heartbeat(TOKEN, 1704067200),
        end(1001, "the server shuts down", TOKEN),
        *(acked(id_, TOKEN) for id_ in (UNSET, 7, "seven", -(2**53) + 1)),
        *(filtered(id_, 2, TOKEN) for id_ in (UNSET, 7)),
        *(error(Refused(UNSET, code, "a sentence")) for code in get_args(Code)),
        error(Refused("x" * 64, "busy", "")),
    ]
    placed = [with_cursor(text, TOKEN, record.window) for text in plain]
    event = [with_window(text, record.window) for text in plain]
    return [*plain, *placed, *event, *(notice.text for notice in notices)]


def test_the_files_are_what_make_schemas_makes() -> None:
    there = {path.relative_to(FOLDER): path.read_text("utf-8") for path in FOLDER.glob("schemas/*")}
    there[Path("asyncapi.json")] = (FOLDER / "asyncapi.json").read_text("utf-8")
    assert there == files()


@pytest.mark.parametrize("name", ALL)
def test_each_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])


def test_the_golden_message_is_valid() -> None:
    validator("created").validate(json.loads((GOLDEN / "client_message.json").read_text("utf-8")))


@pytest.mark.parametrize("said", examples(), ids=name_of)
def test_the_protocols_examples_are_valid(said: dict[str, Any]) -> None:
    validator(name_of(said)).validate(said)


@pytest.mark.parametrize("text", made(), ids=lambda text: text[:60].decode())
def test_what_the_code_makes_is_valid(text: bytes) -> None:
    said = json.loads(text)
    validator(name_of(said)).validate(said)


def test_there_is_a_schema_of_each_message_that_an_edge_makes() -> None:
    noticed = {form.__struct_config__.tag for form in get_args(Form)}
    assert noticed | {"created", "created.v1", "created.event"} == SENT.keys()
    assert {name_of(json.loads(text)) for text in made()} == SENT.keys()


@pytest.mark.parametrize("text", made(), ids=lambda text: text[:60].decode())
def test_a_message_without_one_of_its_members_is_not_valid(text: bytes) -> None:
    said = json.loads(text)
    schema = schemas()[name_of(said)]
    assert schema["$ref"] == f"#/$defs/{SENT[name_of(said)].__name__}"
    checker = validator(name_of(said))
    for member in said.keys() - {"id"}:
        with pytest.raises(ValidationError):
            checker.validate({name: value for name, value in said.items() if name != member})
        with pytest.raises(ValidationError):
            checker.validate({**said, member: None})


def gone() -> list[dict[str, Any]]:
    """Return the bodies of 410 that the code makes, for each reason, with and without what is lost."""
    seen, end = before(Offset(3)), parse(TOKEN.replace("qvtj", "rvtj", 1))
    assert isinstance(end, Cursor)
    reasons: tuple[Reason, ...] = get_args(Reason)
    answers = [gone_answer(PostsRequest(), reason, end, cursor) for reason in reasons for cursor in (None, seen)]
    return [json.loads(answer.body) for answer in answers]


@pytest.mark.parametrize("body", gone(), ids=json.dumps)
def test_what_is_said_of_a_page_that_cannot_be_read_is_valid_with_all_its_members_alone(body: dict[str, Any]) -> None:
    checker = validator("gone")
    checker.validate(body)
    for member in body.keys() - {"lost"}:
        with pytest.raises(ValidationError):
            checker.validate({name: value for name, value in body.items() if name != member})
    for member in body:
        with pytest.raises(ValidationError):
            checker.validate({**body, member: None})
    assert not checker.is_valid({**body, "recovered": True})


def test_the_protocols_example_of_a_page_that_cannot_be_read_is_valid() -> None:
    [example] = re.findall(r'^(\{"recovered":.*\})$', PROTOCOL, re.MULTILINE)
    validator("gone").validate(json.loads(example))


REQUESTS: Final[list[dict[str, Any]]] = [
    {"action": "ack", "id": 1, "payload": {"cursor": TOKEN}},
    {"action": "ack", "payload": {"cursor": TOKEN}},
    {"action": "ack", "id": 2**53, "payload": {"cursor": TOKEN}},
    {"action": "ack", "id": "x" * 64, "payload": {"cursor": TOKEN}},
    {"action": "ack", "id": "x" * 65, "payload": {"cursor": TOKEN}},
    {"action": "ack", "id": 1.5, "payload": {"cursor": TOKEN}},
    {"action": "ack", "id": 1, "payload": {"cursor": 5}},
    {"action": "ack", "id": 1, "payload": {}},
    {"action": "ack", "id": 1},
    *(
        {"action": "filter", "id": 1, "payload": {"authors": authors}}
        for authors in ([], None, [0, 2**63 - 1], [1] * 3000)
    ),
    *(
        {"action": "filter", "id": 1, "payload": {"authors": authors}}
        for authors in ([-1], [2**63], ["7"], [1] * 3001, 7)
    ),
    {"action": "filter", "id": 1, "payload": {}},
    *({"action": "token", "id": 1, "payload": payload} for payload in ({"token": "a.b.c"}, {}, {"token": 7})),
]


@pytest.mark.parametrize("asked", REQUESTS, ids=json.dumps)
def test_a_request_is_valid_when_the_edge_can_read_it(asked: dict[str, Any]) -> None:
    _, read = request_of(json.dumps(asked).encode())
    assert validator(asked["action"]).is_valid(asked) is not isinstance(read, Refused)


def queries() -> list[dict[str, Any]]:
    """Return what the document says of the query, by transport."""
    document = json.loads((FOLDER / "asyncapi.json").read_text("utf-8"))
    operations = document["operations"]
    found = [document["channels"]["websocket"]["bindings"]["ws"]["query"]]
    found += [operations[name]["bindings"]["http"]["query"] for name in ("sendEvents", "sendPage")]
    return [each["properties"] for each in found]


@pytest.mark.parametrize("value", ["", "7", "7,9", "0", "7,", ",7", ",", "a", "-1", " 7"])
def test_the_document_allows_the_authors_that_an_edge_reads(value: str) -> None:
    try:
        parse_authors([value])
    except BadAuthors:
        is_read = False
    else:
        is_read = True
    assert [Draft202012Validator(query["author"]).is_valid(value) for query in queries()] == [is_read] * 3


def test_the_document_has_all_parameters_that_the_protocol_names() -> None:
    """On a WebSocket also the header with which a client that comes back says where it was."""
    joins = {"cursor", "history", "device", "author", "token"}
    assert [set(query) for query in queries()] == [joins, joins, {"offset", "live", "cursor", "author", "token"}]
    headers = json.loads((FOLDER / "asyncapi.json").read_text("utf-8"))["channels"]["websocket"]["bindings"]["ws"]
    assert set(headers["headers"]["properties"]) == {"Sec-WebSocket-Protocol", "Last-Event-ID"}


def test_each_request_has_an_answer() -> None:
    assert ANSWERS.keys() == ASKED.keys() == {asked["action"] for asked in REQUESTS}
    assert set(ANSWERS.values()) < SENT.keys()


def test_what_is_new_to_a_client_is_valid() -> None:
    """Members that are added later must not make messages of today's schemas invalid."""
    said = json.loads((GOLDEN / "client_message.json").read_text("utf-8"))
    said["later"] = said["payload"]["later"] = said["payload"]["user"]["later"] = 1
    validator("created").validate(said)


def test_the_reasons_of_a_gap_are_those_of_cursors() -> None:
    assert set(schemas()["welcome"]["$defs"]["Standing"]["properties"]["reason"]["enum"]) == set(get_args(Reason))


def test_the_document_refers_to_what_it_has() -> None:
    text = (FOLDER / "asyncapi.json").read_text("utf-8")
    document = json.loads(text)
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', text):
        found = document
        for key in reference.split("/"):
            assert key in found, reference
            found = found[key]


def test_the_documents_messages_have_the_schemas_of_the_files() -> None:
    document = json.loads((FOLDER / "asyncapi.json").read_text("utf-8"))
    components = json.dumps(document["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
    assert json.loads(components) == {name: form for file in schemas().values() for name, form in file["$defs"].items()}
