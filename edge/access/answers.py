"""Answers by HTTP: counted by their status, and the last one to a request that was not read to its end."""

from collections import Counter
from http import HTTPStatus
from typing import Final

_STATUSES: Final = frozenset((101, 200, 204, 304, 400, 401, 403, 404, 405, 408, 410, 414, 426, 429, 431, 500, 503))


_REFUSAL: Final = (
    "HTTP/1.1 {0} {0.phrase}\r\nConnection: close\r\nCache-Control: no-store\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {1}\r\n{2}\r\n{3}"
)


def refusal(status: HTTPStatus, sentence: str, lines: str = "") -> bytes:
    """Make the answer with which a connection ends: a sentence; ``lines`` are added to the head, each with its end."""
    body = f"{sentence}\n"
    return _REFUSAL.format(status, len(body.encode()), lines, body).encode()


class Answers:
    """Counts answers: each status that the edge gives by itself, and all others, which aiohttp may give, as one."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """How many answers there were, by the status's label."""

    def note(self, status: int) -> None:
        """Count an answer."""
        self.counts[str(status) if status in _STATUSES else "other"] += 1
