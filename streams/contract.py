"""The records on Kafka and their encoding: all that the edge may know of the streams.

Three topics carry three kinds of record, each one JSON object, encoded here and nowhere else:

* ``posts.created`` — :class:`Created`: the ids of posts that were announced together, and how often they were looked up
  in vain; a record of one id is keyed by it;
* ``posts.feed`` — :class:`FeedRecord`: the posts of a window (or of a part of it), ready to be shown;
* ``posts.dead`` — :class:`DeadLetter`: what could not be delivered, and why.

A reader ignores fields that it does not know, so that a newer writer and an older reader can run side by side during
an upgrade.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Annotated, Final, NamedTuple, NewType, cast

import msgspec

Millis = NewType("Millis", int)
"""An instant or a duration in whole milliseconds; instants count from the Unix epoch, UTC."""
Partition = NewType("Partition", int)
Offset = NewType("Offset", int)
PostId = NewType("PostId", int)

CREATED: Final = "created"
"""The only action so far: a post was created."""

MAX_ID: Final = 2**63 - 1
"""The largest ``bigint``: what PostgreSQL can be asked for."""

MAX_IDS: Final = 1_000
"""How many ids one record of ``posts.created`` holds at most."""

MAX_ATTEMPT: Final = 1_000
"""The largest attempt that a record can carry: ten times the largest ``MAX_ATTEMPTS``."""

MAX_FEED_RECORD_BYTES: Final = 256 * 1024
"""How large a feed record may get before compression: a quarter of Kafka's default limit of 1 MB,
so that a record fits also where compression gains nothing and headers and batching add to it."""

MAX_DEAD_BODY_BYTES: Final = 64 * 1024
"""How much of a dead letter's body is kept."""


class Created(NamedTuple):
    """A record of ``posts.created``: look these posts up. ``attempt`` counts the lookups that found nothing.

    It holds 1 to :data:`MAX_IDS` ids, in the order in which they arrived. On the wire it is ``{"id":n}`` for one id
    and ``{"ids":[…]}`` for several, with ``attempt`` where that is not 0.
    """

    ids: Sequence[PostId]
    attempt: int = 0

    @property
    def key(self) -> bytes | None:
        """The record's key: the id in decimal, or None for several ids."""
        return b"%d" % self.ids[0] if len(self.ids) == 1 else None


_Id = Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]


class _Created(msgspec.Struct, frozen=True, omit_defaults=True):
    """The wire form of :class:`Created`: exactly one of ``id`` and ``ids``."""

    id: _Id | msgspec.UnsetType = msgspec.UNSET
    ids: Annotated[list[_Id], msgspec.Meta(min_length=1, max_length=MAX_IDS)] | msgspec.UnsetType = msgspec.UNSET
    attempt: Annotated[int, msgspec.Meta(ge=0, le=MAX_ATTEMPT)] = 0


class User(msgspec.Struct, frozen=True):
    """Who wrote a post, as a client sees it."""

    id: int
    username: str


class Post(msgspec.Struct, frozen=True):
    """A post as a client sees it; the order of the fields is the order on the wire.

    ``created_at`` is RFC 3339 in UTC with ``Z``.
    """

    id: int
    description: str
    created_at: str
    user: User
    is_liked: bool
    image_urls: list[str]
    likes_count: int


class Publication(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to show: ``payload`` is encoded once, by the worker, and never decoded to be sent.

    ``author`` is the id of who wrote the post, where the lookup knows it; readers do without.
    """

    action: str
    id: int
    payload: msgspec.Raw
    author: int | None = None


class FeedRecord(msgspec.Struct, frozen=True):
    """A record of ``posts.feed``: publications of the window that starts at ``window`` (ms), in their order."""

    window: int
    publications: list[Publication]


class DeadLetter(msgspec.Struct, frozen=True):
    """A record of ``posts.dead``.

    ``reason`` is one of a few fixed words that can be searched for, ``detail`` a sentence for people,
    ``body`` the first 64 KiB of what was set aside (base64 in JSON), ``length`` its whole length in
    bytes and ``sha256`` the hexadecimal digest of all of it.
    """

    reason: str
    detail: str
    body: bytes
    length: int
    sha256: str


class BadRecord(ValueError):
    """A record that is not what its topic's contract says."""


_encoder = msgspec.json.Encoder()
_decode_created = msgspec.json.Decoder(_Created).decode
_decode_feed = msgspec.json.Decoder(FeedRecord).decode
_decode_dead = msgspec.json.Decoder(DeadLetter).decode

# One publication's share of a record beside its payload: field names, punctuation, two 19-digit ids.
_PUBLICATION_OVERHEAD: Final = 96


def encode_created(record: Created) -> bytes:
    """Encode a record of ``posts.created``."""
    if len(record.ids) == 1:
        return _encoder.encode(_Created(id=record.ids[0], attempt=record.attempt))
    return _encoder.encode(_Created(ids=list(record.ids), attempt=record.attempt))


def decode_created(value: bytes) -> Created:
    """Decode a record of ``posts.created``; raises :class:`BadRecord`."""
    try:
        record = _decode_created(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"not a record of posts.created: {error}") from error
    match record:
        case _Created(id=int(one), ids=msgspec.UNSET):
            return Created((PostId(one),), record.attempt)
        case _Created(id=msgspec.UNSET, ids=list(several)):
            return Created(cast("list[PostId]", several), record.attempt)
        case _:
            raise BadRecord("not a record of posts.created: it has none or both of `id` and `ids`")


def encode_feed(record: FeedRecord) -> bytes:
    """Encode a record of ``posts.feed``."""
    return _encoder.encode(record)


def decode_feed(value: bytes) -> FeedRecord:
    """Decode a record of ``posts.feed``; the payloads stay encoded. Raises :class:`BadRecord`."""
    try:
        return _decode_feed(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"not a record of posts.feed: {error}") from error


def encode_dead(record: DeadLetter) -> bytes:
    """Encode a record of ``posts.dead``."""
    return _encoder.encode(record)


def decode_dead(value: bytes) -> DeadLetter:
    """Decode a record of ``posts.dead``; raises :class:`BadRecord`."""
    try:
        return _decode_dead(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"not a record of posts.dead: {error}") from error


def publication(post: PostId, payload: bytes, author: int | None = None) -> Publication:
    """Return the publication of a post's creation; ``payload`` is the post as clients see it, in JSON."""
    return Publication(action=CREATED, id=post, payload=msgspec.Raw(payload), author=author)


def encode_post(post: Post) -> bytes:
    """Encode a post as clients see it, once for all of them."""
    return _encoder.encode(post)


def dead_letter(reason: str, detail: str, body: bytes) -> DeadLetter:
    """Describe what is set aside; of a long body only the beginning is kept."""
    return DeadLetter(
        reason=reason,
        detail=detail,
        body=body[:MAX_DEAD_BODY_BYTES],
        length=len(body),
        sha256=sha256(body).hexdigest(),
    )


def feed_records(
    window: Millis, publications: Iterable[Publication], limit: int = MAX_FEED_RECORD_BYTES
) -> Iterator[FeedRecord]:
    """Split a window's publications, in order, into records of at most ``limit`` bytes each.

    A publication that is larger than that goes alone: the schema bounds a post's text and keys,
    but not how many images it has, and Kafka's own limit is four times ours.
    """
    part: list[Publication] = []
    size = 0
    for one in publications:
        share = len(bytes(one.payload)) + _PUBLICATION_OVERHEAD
        if part and size + share > limit:
            yield FeedRecord(window=window, publications=part)
            part, size = [], 0
        part.append(one)
        size += share
    if part:
        yield FeedRecord(window=window, publications=part)
