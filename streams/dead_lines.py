"""Dead letters as an operator sees them: one line of text, or one JSON object, for each."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from streams.contract import Millis
from streams.dead import Action, Verdict, posts_named

# How much of a body fits a terminal's line beside the rest.
_SHOWN_BYTES: Final = 40


def text_line(verdict: Verdict, action: Action | None = None) -> str:
    """Return a letter's line; for an ``action`` it ends with what becomes of the letter."""
    place, written, letter = verdict.letter
    body = letter.body[:_SHOWN_BYTES]
    shown = f"{body!r}{'…' if letter.length > len(body) else ''}"
    parts = [
        f"{place!s:>8}",
        f"{_instant(written, 'seconds'):<20}",
        f"{_printable(letter.reason):<12}",
        f"{letter.length:>8} B",
        shown,
        _printable(letter.detail),
    ]
    if action is not None:
        parts.append(f"not {action}: {_printable(verdict.refusal)}" if verdict.refusal else action)
    return "  ".join(parts)


def json_line(verdict: Verdict, action: Action | None = None) -> str:
    """Return a letter's JSON object; for an ``action`` it says what becomes of the letter.

    ``body`` is base64, as on posts.dead. ``ids`` are the posts that requeueing the letter announces.
    """
    place, written, letter = verdict.letter
    fields: dict[str, object] = {
        "partition": place.partition,
        "offset": place.offset,
        "written": _instant(written, "milliseconds"),
        "reason": letter.reason,
        "detail": letter.detail,
        "length": letter.length,
        "sha256": letter.sha256,
        "body": letter.body,
        "ids": posts_named(verdict.letter),
    }
    if action is not None:
        fields["outcome"] = "refused" if verdict.refusal else action
        if verdict.refusal:
            fields["why"] = verdict.refusal
    return msgspec.json.encode(fields).decode()


def _instant(millis: Millis, precision: str) -> str:
    try:
        instant = datetime.fromtimestamp(millis / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        # A foreign record may carry any timestamp.
        return f"{millis} ms"
    return instant.isoformat(timespec=precision).replace("+00:00", "Z")


def _printable(text: str) -> str:
    """Escape what would break the line or reach a terminal's controls: a foreign letter may hold any text."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
