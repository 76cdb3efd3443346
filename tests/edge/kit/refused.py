"""What a client is told that is not let in."""

from collections.abc import Sequence

import pytest
from websockets.exceptions import InvalidStatus

from tests.edge.kit.edge import Edge


async def refusal(
    edge: Edge,
    query: str = "",
    offers: Sequence[str] = (),
    forwarded_for: str | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> tuple[int, str, str | None]:
    """Be refused: status, sentence and when to try again."""
    with pytest.raises(InvalidStatus) as raised:
        async with edge.connect(query, offers=offers, forwarded_for=forwarded_for, headers=headers):
            pass
    response = raised.value.response
    return response.status_code, bytes(response.body or b"").decode(), response.headers.get("Retry-After")
