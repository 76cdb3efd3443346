"""What is written into pages between marks: from a line ``<!-- figures: NAME -->`` to the next ``<!-- end -->``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_BLOCK: Final = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_UNMEASURED: Final = "*Not measured in these runs.*"


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """Replace what stands between the marks of a page; a mark that is not among the blocks is a KeyError."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]] or _UNMEASURED}\n\n{found[3]}", text)


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table; nothing at all when it has no rows."""
    body = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *body]) if body else ""
