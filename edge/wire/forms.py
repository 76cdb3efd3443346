"""The messages of an edge as types: what notices are encoded from, and the schemas in docs/ are made from.

Posts are no such values in an edge: their payloads are taken over as bytes. The types of posts here say what these
bytes are. Clients ignore members that they do not know, so no type forbids others.

References: docs/protocol.md, "Messages".
"""

from typing import Annotated, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from edge.wire.requests import Code, Id
from streams.contract import Post

_CURSOR: Final = "0000000000000000000qvtj44pj8q7ca"

Cursor = Annotated[
    str,
    Meta(
        description="A place in the feed. An opaque token that needs no escaping in a URL.",
        pattern="^[0-9a-z]+$",
        max_length=128,
        examples=[_CURSOR],
    ),
]
Count = Annotated[int, Meta(ge=0)]
Why = Literal["invalid", "expired", "recreated", "unknown", "interrupted"]
"""Why something is missing: the reasons of :mod:`edge.feed.position`."""


Shown = Annotated[Post, Meta(description="As the worker's own lookup makes it; with LOOKUP_SQL it may be any JSON.")]
Window = Annotated[int, Meta(description="When the post's window began: milliseconds since 1970 in UTC.")]


class PlainPost(Struct, frozen=True, tag_field="action", tag="created"):
    """A post, as the plain client gets it."""

    payload: Shown


class PlacedPost(Struct, frozen=True, tag_field="action", tag="created"):
    """A post, with its place in the feed."""

    payload: Shown
    cursor: Annotated[Cursor, Meta(description="Everything up to and including this post.")]
    window: Window


class EventPost(Struct, frozen=True, tag_field="action", tag="created"):
    """A post, where the transport carries its cursor."""

    payload: Shown
    window: Window


class Lost(Struct, frozen=True):
    """What is missing before a welcome's cursor."""

    records: Annotated[Count, Meta(description="Records of the feed.")]


ExpiresAt = Annotated[
    str, Meta(description="When the client's token expires, RFC 3339 in UTC.", examples=["2024-01-01T01:00:00Z"])
]


class Standing(Struct, frozen=True, omit_defaults=True):
    """Where a client stands, and why not where it wanted to be."""

    recovered: Annotated[bool, Meta(description="Whether nothing is missing of what was asked for.")]
    cursor: Annotated[Cursor, Meta(description="Everything before the message that follows.")]
    session: Annotated[str, Meta(description="Identifies the session in the edge's log.")]
    heartbeat: Annotated[float, Meta(description="After how many seconds without a message a heartbeat comes.", gt=0)]
    behind: Annotated[
        Count,
        Meta(
            description="Records between the cursor and the end of what this edge has read of the feed;"
            " with a filter at most these."
        ),
    ]
    reason: (
        Annotated[Why, Meta(description="Why something is missing; it is there when recovered is false.")] | UnsetType
    ) = UNSET
    lost: Lost | UnsetType = UNSET
    expires_at: Annotated[ExpiresAt, Meta(description="It is there when the token expires.")] | UnsetType = UNSET


class Welcome(Struct, frozen=True, tag_field="action", tag="welcome"):
    """The first message, and one after each gap."""

    payload: Standing


class Gone(Struct, frozen=True, omit_defaults=True):
    """Why what was asked for cannot be read whole, and where to go on: the body of a 410, which has no action."""

    recovered: Annotated[bool, Meta(description="Never: something is missing.", extra_json_schema={"const": False})]
    cursor: Annotated[Cursor, Meta(description="The feed's end, as Stream-Next-Offset has it.")]
    reason: Annotated[Why, Meta(description="Why something is missing.")]
    lost: Annotated[Lost, Meta(description="It is there when the number is known.")] | UnsetType = UNSET


class Nothing(Struct, frozen=True):
    """An object of which no member is known yet."""


class CaughtUp(Struct, frozen=True, tag_field="action", tag="caught_up"):
    """The client has passed the end of what its edge had read of the feed when its session began."""

    payload: Nothing
    cursor: Cursor


class Beat(Struct, frozen=True):
    """What a heartbeat says."""

    time: Annotated[str, Meta(description="The edge's clock, RFC 3339 in UTC.", examples=["2024-01-01T00:00:00Z"])]


class Heartbeat(Struct, frozen=True, tag_field="action", tag="heartbeat"):
    """Nothing else was sent for a while; the cursor is the client's place."""

    payload: Beat
    cursor: Cursor


class Expiry(Struct, frozen=True):
    """The end of the client's token."""

    expires_at: ExpiresAt


class Expiring(Struct, frozen=True, tag_field="action", tag="expiring"):
    """The client's token expires soon; once a token."""

    payload: Expiry


class Ending(Struct, frozen=True):
    """Why a stream ends, as a close of a WebSocket would say it."""

    code: Annotated[int, Meta(description="A close code.")]
    reason: str


class End(Struct, frozen=True, tag_field="action", tag="end"):
    """The last message, where the transport has no closes of its own."""

    payload: Ending


class Stored(Struct, frozen=True):
    """How far a client has come, as it said."""

    position: Cursor


class Acked(Struct, frozen=True, kw_only=True, tag_field="action", tag="acked"):
    """The answer to ``ack``."""

    id: Id = UNSET
    payload: Stored


class Chosen(Struct, frozen=True):
    """What a client sees from now on."""

    authors: Annotated[Count, Meta(description="How many authors it has chosen, each counted once; 0 for everybody.")]


class Filtered(Struct, frozen=True, kw_only=True, tag_field="action", tag="filtered"):
    """The answer to ``filter``: what follows it is chosen by the new filter."""

    id: Id = UNSET
    payload: Chosen
    cursor: Cursor


class Renewal(Struct, frozen=True, omit_defaults=True):
    """The token that the session goes on with."""

    expires_at: Annotated[ExpiresAt, Meta(description="It is there when the token expires.")] | UnsetType = UNSET


class Authorized(Struct, frozen=True, kw_only=True, tag_field="action", tag="authorized"):
    """The answer to ``token``: what follows it is what the new token allows."""

    id: Id = UNSET
    payload: Renewal


class Reason(Struct, frozen=True):
    """Why a request is not done."""

    code: Code
    message: Annotated[str, Meta(description="A sentence for people.")]


class Error(Struct, frozen=True, kw_only=True, tag_field="action", tag="error"):
    """The answer to a request that is not done; the session goes on."""

    id: Id = UNSET
    payload: Reason


Form = Welcome | CaughtUp | Heartbeat | Expiring | End | Acked | Filtered | Authorized | Error
"""What is made a notice of."""
