"""Looks for secrets in what a process has said: whole, in pieces, and in the spellings that text makes of them."""

import base64
import json
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

_TELLING: Final = 12
"""So many characters in a row are no accident. The heads of all tokens are alike, and tell nothing."""


class Secret:
    """A secret with its name; ``pieces`` are what must stand nowhere."""

    def __init__(self, name: str, text: str, *, is_token: bool = False) -> None:
        self.name = name
        # Of a token what was said and by whom, and what proves it; its head says only how it is signed.
        parts = text.split(".")[1:] if is_token and text.count(".") else [text]
        pieces = [part for part in parts if len(part) >= _TELLING]
        self.pieces = {spelling for piece in pieces for spelling in _spellings(piece)}

    def place_in(self, said: str) -> int | None:
        """Say where it, or a piece of it, stands in a text; None where it does not."""
        places = [place for piece in self.pieces if (place := said.find(piece)) >= 0]
        return min(places, default=None)


def found(secrets: Iterable[Secret], said: Iterable[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """Return the name of each secret with where it stands and the words around it; ``said`` are places and texts."""
    texts = list(said)
    return [
        (secret.name, where, text[max(0, place - 100) : place + 100])
        for secret in secrets
        for where, text in texts
        if (place := secret.place_in(text)) is not None
    ]


def _spellings(piece: str) -> set[str]:
    """Return a text as it is, cut to half, and as logs, URLs, JSON and Basic credentials write it."""
    raw = piece.encode()
    # Where a longer text was encoded, the piece may begin at any of three places of its groups.
    encoded = [base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")[2 * shift :][2:-4] for shift in range(3)]
    return {
        piece[: max(_TELLING, len(piece) // 2)],
        piece[-max(_TELLING, len(piece) // 2) :],
        quote(piece, safe=""),
        json.dumps(piece)[1:-1],
        repr(piece)[1:-1],
        raw.hex(),
        *(each for each in encoded if len(each) >= _TELLING),
    }
