"""What the metrics tell of pages of posts."""

from collections.abc import Mapping
from typing import NamedTuple


class PageFigures(NamedTuple):
    """Answers by status, and the costs of pages."""

    answers: Mapping[str, int]
    waiting: int
    """Long polls that wait."""
    bytes_sent: int
    stalled: int
    """Clients that were cut since they took nothing."""
    made: int
    bytes: int
    """The size of the pages that are being sent."""
