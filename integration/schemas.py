"""Makes docs/schemas/*.json and docs/asyncapi.json of the messages' types; ``make schemas`` runs it.

AsyncAPI 3 describes the edge as the application: what it sends has the action ``send``.
"""

import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from edge import __version__
from edge.wire import forms
from edge.wire.requests import _FORMS, Id

FOLDER: Final = Path(__file__).parent.parent / "docs"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

SENT: Final[dict[str, type[Struct]]] = {
    "created": forms.PlainPost,
    "created.v1": forms.PlacedPost,
    "created.event": forms.EventPost,
    "welcome": forms.Welcome,
    "caught_up": forms.CaughtUp,
    "heartbeat": forms.Heartbeat,
    "expiring": forms.Expiring,
    "end": forms.End,
    "acked": forms.Acked,
    "filtered": forms.Filtered,
    "authorized": forms.Authorized,
    "error": forms.Error,
}
"""What an edge sends, by the name of its schema."""


def _asking(action: str, payload: type[Struct]) -> type[Struct]:
    """Make the form of a request from that of its payload."""
    name = f"{payload.__name__}Request"
    members: list[tuple[str, Any] | tuple[str, Any, Any]] = [("payload", payload), ("id", Id, UNSET)]
    return msgspec.defstruct(
        name, members, namespace={"__doc__": inspect.getdoc(payload)}, tag_field="action", tag=action
    )


ASKED: Final = {action: _asking(action, form.decoder.type) for action, form in _FORMS.items()}
"""What a v1 client may ask for on a WebSocket, by its action."""
ANSWERS: Final = {"ack": "acked", "filter": "filtered", "token": "authorized"}
"""The action of the answer to each request that is done; else it is ``error``."""

BODIES: Final[dict[str, type[Struct]]] = {"gone": forms.Gone}
"""What an edge answers by HTTP beside pages, by the name of its schema."""

ALL: Final = {**SENT, **BODIES, **ASKED}

_V1: Final = ("created.v1", "welcome", "caught_up", "heartbeat", "expiring")
_EVENTS: Final = ("created.event", "welcome", "caught_up", "heartbeat", "expiring", "end")

_ABOUT: Final = """\
Posts, live: over a WebSocket, as Server-Sent Events, and in pages. docs/protocol.md is the norm; this document says of
it what its form can say. Close codes, most answers by HTTP, the order of messages and promises are not in it."""
_WEBSOCKET: Final = """\
A client that offers the subprotocol postcast.v1, or has a cursor, a history or a device in its query, is a v1 client:
it gets a welcome first, and a cursor with every post. Any other client is plain: it gets posts, and nothing else."""
_STREAM: Final = """\
The body of the answer to GET. Each message is the data of an event, whose id is the message's cursor. Posts are events
without a type; all others have their action as their type. A client that comes back sends the newest id in the header
Last-Event-ID, which goes before cursor, device and history."""
_PAGES: Final = """\
The read half of Durable Streams, in JSON. A page is the body of an answer with the status 200; the body of a 410 says
why there is none, and where to go on. All other answers are in docs/protocol.md alone."""
_QUERY: Final[dict[str, Any]] = {
    "cursor": {"type": "string", "maxLength": 128, "description": "Go on after this place. Not together with history."},
    "history": {
        "type": "string",
        "pattern": "^[0-9]{1,9}$",
        "description": "Begin with the last N posts that are still in memory. Not together with cursor.",
    },
    "device": {
        "type": "string",
        "pattern": "^[A-Za-z0-9._~-]{1,64}$",
        "description": "Without a cursor, go on where this device of the token's subject was, if that is stored.",
    },
    "author": {
        "type": "string",
        "pattern": "^([0-9]{1,19}(,[0-9]{1,19})*)?$",
        "description": "Only posts of these authors, with commas between them; it may be there several times.",
    },
    "token": {
        "type": "string",
        "maxLength": 8192,
        "description": "Who the client is, for those that can send no header. Only edges with TOKEN_IN_QUERY read it.",
    },
}
_PAGE_QUERY: Final[dict[str, Any]] = {
    "offset": {
        "type": "string",
        "pattern": "^(-1|now|[0-9a-z]+)$",
        "maxLength": 128,
        "description": "A place: a cursor or a Stream-Next-Offset; -1 or none for the first post, now for the end.",
    },
    "live": {
        "type": "string",
        "enum": ["long-poll"],
        "description": "Wait where nothing follows; with an offset only.",
    },
    "cursor": {
        "type": "string",
        "pattern": "^[0-9]{1,15}$",
        "description": "The Stream-Cursor of the answer before. No place in the feed.",
    },
    "author": _QUERY["author"],
    "token": _QUERY["token"],
}
_PAGE_HEADERS: Final[dict[str, Any]] = {
    "Stream-Next-Offset": {"type": "string", "description": "The offset of the next request."},
    "Stream-Up-To-Date": {
        "type": "string",
        "const": "true",
        "description": "There when the page reaches the feed's end.",
    },
    "Stream-Cursor": {"type": "string", "description": "With live: what the next request repeats as cursor."},
    "ETag": {"type": "string"},
}
_HEADERS: Final = {
    "Sec-WebSocket-Protocol": {
        "type": "string",
        "description": "Subprotocols; postcast.v1 makes a v1 client.",
        "examples": ["postcast.v1"],
    },
    "Last-Event-ID": {
        "type": "string",
        "maxLength": 128,
        "description": "Go on after this place. It goes before cursor, device and history, and makes no v1 client.",
    },
}


def schema(name: str, form: type[Struct]) -> dict[str, Any]:
    """Make the JSON Schema of a message."""
    return {"$schema": _DIALECT, "$id": f"{name}.json", **_tidied(msgspec.json.schema(form))}


def asyncapi() -> dict[str, Any]:
    """Make the AsyncAPI document."""
    _, components = msgspec.json.schema_components(ALL.values(), ref_template="#/components/schemas/{name}")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Postcast's edge",
            "version": __version__,
            "description": _line(_ABOUT),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "websocket": {"host": "localhost:8080", "protocol": "ws", "description": "An edge, for WebSockets."},
            "http": {"host": "localhost:8080", "protocol": "http", "description": "The same edge, for HTTP."},
        },
        "channels": {
            "websocket": {
                "address": "/",
                "title": "A WebSocket (RFC 6455, version 13)",
                "description": _line(_WEBSOCKET),
                "servers": [{"$ref": "#/servers/websocket"}],
                "messages": _in_channel(name for name in ALL if name not in {"created.event", "end", *BODIES}),
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": {"type": "object", "properties": _QUERY},
                        "headers": {"type": "object", "properties": _HEADERS},
                        "bindingVersion": "0.1.0",
                    }
                },
            },
            "events": {
                "address": "/events",
                "title": "Server-Sent Events",
                "description": _line(_STREAM),
                "servers": [{"$ref": "#/servers/http"}],
                "messages": _in_channel(_EVENTS),
            },
            "posts": {
                "address": "/posts",
                "title": "Pages of posts",
                "description": _line(_PAGES),
                "servers": [{"$ref": "#/servers/http"}],
                "messages": _in_channel(["page", *BODIES]),
            },
        },
        "operations": {
            "sendPlain": _sending("websocket", "The posts of a plain client.", ["created"]),
            "sendV1": _sending("websocket", "What a v1 client is sent without asking for it.", _V1),
            "sendEvents": _sending("events", "A stream of events.", _EVENTS) | _got(_QUERY),
            "sendPage": _sending("posts", "A page of posts, or why there is none.", ["page", *BODIES])
            | _got(_PAGE_QUERY),
            **{f"do_{action}": _doing(action, form) for action, form in ASKED.items()},
        },
        "components": {
            "messages": {_key(name): _message(name, form) for name, form in ALL.items()}
            | {"page": _page(), "gone": _gone()},
            "schemas": _tidied(components),
        },
    }


def _in_channel(names: Iterable[str]) -> dict[str, Any]:
    return {_key(name): {"$ref": f"#/components/messages/{_key(name)}"} for name in names}


def _sending(channel: str, summary: str, names: Iterable[str]) -> dict[str, Any]:
    return {
        "action": "send",
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{_key(name)}"} for name in names],
    }


def _got(query: dict[str, Any]) -> dict[str, Any]:
    """Say that an operation answers GET, with what may be in the query."""
    parameters = {"type": "object", "properties": query}
    return {"bindings": {"http": {"method": "GET", "query": parameters, "bindingVersion": "0.3.0"}}}


def _page() -> dict[str, Any]:
    """Make the message that is a page of posts."""
    form = SENT["created.v1"]
    return {
        "name": "page",
        "title": "Page",
        "summary": "Posts with their places, oldest first; an empty array for none.",
        "payload": {"type": "array", "items": {"$ref": f"#/components/schemas/{form.__name__}"}},
        "bindings": _answered(200, _PAGE_HEADERS),
    }


def _gone() -> dict[str, Any]:
    """Make the message that says that there is no page."""
    headers = {"Stream-Next-Offset": _PAGE_HEADERS["Stream-Next-Offset"]}
    return _message("gone", BODIES["gone"]) | {"bindings": _answered(410, headers)}


def _answered(status: int, headers: dict[str, Any]) -> dict[str, Any]:
    """Say with which status and headers a message is the body of an answer."""
    told = {"type": "object", "properties": headers, "required": ["Stream-Next-Offset"]}
    return {"http": {"headers": told, "statusCode": status, "bindingVersion": "0.3.0"}}


def _doing(action: str, form: type[Struct]) -> dict[str, Any]:
    """Make the operation of a v1 client's request."""
    channel = {"$ref": "#/channels/websocket"}
    return {
        "action": "receive",
        "summary": _plain(form.__doc__ or ""),
        "channel": channel,
        "messages": [{"$ref": f"#/channels/websocket/messages/{action}"}],
        "reply": {
            "channel": channel,
            "messages": [{"$ref": f"#/channels/websocket/messages/{name}"} for name in (ANSWERS[action], "error")],
        },
    }


def _message(name: str, form: type[Struct]) -> dict[str, Any]:
    return {
        "name": name.partition(".")[0],
        "title": form.__name__,
        "summary": _plain(form.__doc__ or ""),
        "payload": {"$ref": f"#/components/schemas/{form.__name__}"},
    }


def _key(name: str) -> str:
    """Return a message's name as components are called: letters, digits, underscores."""
    return name.replace(".", "_")


def _line(text: str) -> str:
    return text.replace("\n", " ")


def _tidied(value: Any) -> Any:
    """Make plain text of all descriptions."""
    if isinstance(value, dict):
        return {
            key: _plain(inner) if key == "description" and isinstance(inner, str) else _tidied(inner)
            for key, inner in value.items()
        }
    return [_tidied(inner) for inner in value] if isinstance(value, list) else value


def _plain(docstring: str) -> str:
    """Undo what a docstring has: indented lines, and names in double backticks."""
    return inspect.cleandoc(docstring).replace("``", "")


def files() -> dict[Path, str]:
    """Make all files: their texts by their paths below docs/."""
    made = {Path("asyncapi.json"): asyncapi()}
    made |= {Path("schemas") / f"{name}.json": schema(name, form) for name, form in ALL.items()}
    return {path: json.dumps(value, indent=2, ensure_ascii=False) + "\n" for path, value in made.items()}


def _main() -> None:
    for old in FOLDER.glob("schemas/*.json"):
        old.unlink()
    for path, text in files().items():
        (FOLDER / path).parent.mkdir(exist_ok=True)
        (FOLDER / path).write_text(text, "utf-8")


if __name__ == "__main__":
    _main()
