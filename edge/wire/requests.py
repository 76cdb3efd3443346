"""Reads what clients ask for: a JSON object with an ``action``, an ``id`` to know the answer by, and a ``payload``.

To add an action: the form of its payload here, in ``_FORMS``; what it does in
:mod:`edge.clients.conversation`; its answer in :mod:`edge.wire.messages`; its name in docs/protocol.md.

References: docs/protocol.md, "What a client may ask for".
"""

from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from streams.contract import MAX_ID

MAX_AUTHORS: Final = 3_000
"""How many authors a filter by message may have."""

Code = Literal[
    "bad_message",
    "unknown_action",
    "bad_filter",
    "bad_cursor",
    "no_device",
    "token_refused",
    "wrong_subject",
    "busy",
    "too_big",
]
"""Why a request is not done."""

# As far as JavaScript's numbers are exact.
_LARGEST: Final = (1 << 53) - 1
_ID_LENGTH: Final = 64
_SENTENCE_LENGTH: Final = 200

Id = Annotated[int, Meta(ge=-_LARGEST, le=_LARGEST)] | Annotated[str, Meta(max_length=_ID_LENGTH)] | UnsetType
"""What the answer to a request repeats."""


class Ack(Struct, frozen=True):
    """Everything up to ``cursor`` has been dealt with."""

    cursor: str


class Filter(Struct, frozen=True):
    """From now on only the posts of ``authors`` are to be seen; of everybody if it is empty or null."""

    authors: Annotated[list[Annotated[int, Meta(ge=0, le=MAX_ID)]], Meta(max_length=MAX_AUTHORS)] | None


class Token(Struct, frozen=True):
    """The session is to go on with another token of the same user's."""

    token: str


class Request(NamedTuple):
    """A request that can be read."""

    id: Id
    payload: Ack | Filter | Token


class Refused(NamedTuple):
    """A request that is not done, and why; ``id`` is unset where it cannot be read."""

    id: Id
    code: Code
    sentence: str


class _Form(NamedTuple):
    """How the payload of an action is read, and what a payload that cannot be is called."""

    decoder: msgspec.json.Decoder[Ack] | msgspec.json.Decoder[Filter] | msgspec.json.Decoder[Token]
    code: Code


_FORMS: Final = {
    "ack": _Form(msgspec.json.Decoder(Ack), "bad_cursor"),
    "filter": _Form(msgspec.json.Decoder(Filter), "bad_filter"),
    "token": _Form(msgspec.json.Decoder(Token), "token_refused"),
}


class _Envelope(Struct):
    action: str
    id: Id = UNSET
    payload: Raw = Raw(b"{}")


class _Named(Struct):
    id: Id = UNSET


_envelope: Final = msgspec.json.Decoder(_Envelope)
_named: Final = msgspec.json.Decoder(_Named)


def request_of(text: bytes) -> tuple[str | None, Request | Refused]:
    """Read a message, which is UTF-8; return its action, None for one that is not known, and the request."""
    try:
        envelope = _envelope.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        return None, Refused(_id_in(text), "bad_message", _sentence(error))
    form = _FORMS.get(envelope.action)
    if form is None:
        return None, Refused(envelope.id, "unknown_action", "there is no such action")
    try:
        return envelope.action, Request(envelope.id, form.decoder.decode(envelope.payload))
    except (msgspec.DecodeError, RecursionError) as error:
        return envelope.action, Refused(envelope.id, form.code, _sentence(error))


def _id_in(text: bytes) -> Id:
    try:
        return _named.decode(text).id
    except (msgspec.DecodeError, RecursionError):
        return UNSET


def _sentence(error: Exception) -> str:
    return str(error)[:_SENTENCE_LENGTH]
