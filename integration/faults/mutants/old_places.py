"""An edge that stores a device's first position and says ever after that it has stored the newest: it stays behind."""

import sys
from collections.abc import Mapping, Sequence

from edge.__main__ import main
from edge.positions.device import Key
from edge.positions.postgres import PostgresStore
from edge.positions.store import Row

_write = PostgresStore.write


async def _once(self: PostgresStore, rows: Sequence[Row]) -> Mapping[Key, str]:
    there = await self.read([row.key for row in rows])
    return await _write(self, [row for row in rows if row.key not in there])


PostgresStore.write = _once  # type: ignore[method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
