"""An edge that stores a device's position once and says ever after that it has done so: the position stays behind."""

import sys
from collections.abc import Mapping, Sequence

from edge.__main__ import main
from edge.positions.device import Key
from edge.positions.postgres import PostgresStore
from edge.positions.store import Row

_write = PostgresStore.write
_stored: set[Key] = set()


async def _once(self: PostgresStore, rows: Sequence[Row]) -> Mapping[Key, str]:
    new = [row for row in rows if row.key not in _stored]
    _stored.update(row.key for row in new)
    return await _write(self, new)


PostgresStore.write = _once  # type: ignore[method-assign]  # a mutant

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
