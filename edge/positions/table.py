"""The table of positions, and the statements that are asked of it.

Tokens of cursors sort by their bytes as positions do (:mod:`edge.feed.position`), so the column has the collation C.
Rows are written over and over: pages keep room for that, so that no index has to be written.
"""

from typing import Final

from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    MetaData,
    Table,
    Text,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.ddl import CreateTable

from edge.positions.device import DEVICES

NAME: Final = "postcast_positions"
RIGHTS: Final = "SELECT, INSERT, UPDATE, DELETE"
"""What the edge's role needs on the table."""

_BYTES: Final = Text(collation="C")

POSITIONS: Final = Table(
    NAME,
    MetaData(),
    Column("subject", _BYTES, primary_key=True),
    Column("device", _BYTES, primary_key=True),
    Column("position", _BYTES, nullable=False),
    Column("stored_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    postgresql_with={"fillfactor": 70},
)

CREATE: Final = CreateTable(POSITIONS, if_not_exists=True)

_table = POSITIONS.c
_names = [bindparam(name, type_=ARRAY(Text)) for name in ("subjects", "devices")]
_positions = bindparam("positions", type_=ARRAY(Text))
_keys = func.unnest(*_names).table_valued("subject", "device").render_derived(name="asked")

READ: Final = select(_table.subject, _table.device, _table.position).join(
    _keys, (_table.subject == _keys.c.subject) & (_table.device == _keys.c.device)
)
"""Takes the arrays ``subjects`` and ``devices``."""

_swaps = (
    func.unnest(*_names, _positions, bindparam("replaced", type_=ARRAY(Text)))
    .table_valued("subject", "device", "position", "replaced")
    .render_derived(name="swap")
)
_swapped = (
    select(_table.subject, _table.device, _swaps.c.position)
    .join(
        _swaps,
        (_table.subject == _swaps.c.subject)
        & (_table.device == _swaps.c.device)
        & (_table.position == _swaps.c.replaced),
    )
    # In one order, as those of WRITE: an UPDATE alone locks rows as it happens to find them.
    .order_by(_table.subject, _table.device)
    .with_for_update(of=POSITIONS)
    .subquery("swapped")
)
SWAP: Final = (
    update(POSITIONS)
    .where(_table.subject == _swapped.c.subject, _table.device == _swapped.c.device)
    .values(position=_swapped.c.position, stored_at=func.now())
)
"""Compare and swap. Takes the arrays ``subjects``, ``devices``, ``positions`` and ``replaced``.

In a transaction of its own: the locks of WRITE are in order among themselves, and not behind these.
"""

_given = func.unnest(*_names, _positions).table_valued("subject", "device", "position").render_derived(name="given")
_insert = insert(POSITIONS).from_select(
    ["subject", "device", "position", "stored_at"],
    # In one order: statements of two edges would else wait for each other.
    select(_given.c.subject, _given.c.device, _given.c.position, func.now()).order_by(
        _given.c.subject.collate("C"), _given.c.device.collate("C")
    ),
)
_written = (
    _insert.on_conflict_do_update(
        index_elements=[_table.subject, _table.device],
        set_={"position": _insert.excluded.position, "stored_at": _insert.excluded.stored_at},
        where=_table.position < _insert.excluded.position,
    )
    # A row that was there has been locked for it, and says by whom.
    .returning(_table.subject, _table.device, literal_column("xmax = 0").label("is_new"))
    .cte("written")
)
WRITE: Final = (
    select(_given.c.subject, _given.c.device, _table.position, _written.c.is_new)
    .select_from(
        _given.outerjoin(
            _written, (_written.c.subject == _given.c.subject) & (_written.c.device == _given.c.device)
        ).outerjoin(POSITIONS, (_table.subject == _given.c.subject) & (_table.device == _given.c.device))
    )
    .where(or_(_written.c.subject.is_(None), _written.c.is_new))
)
"""Store what is further on. Takes the arrays ``subjects``, ``devices`` and ``positions``.

Returns what was not written, with the position that was there before, and what is new.
"""

_ranked = (
    select(
        _table.subject,
        _table.device,
        func.row_number()
        .over(partition_by=_table.subject, order_by=(_table.stored_at.desc(), _table.device))
        .label("place"),
    )
    .where(_table.subject == func.any(bindparam("subjects", type_=ARRAY(Text))))
    .subquery("ranked")
)
_oldest = (
    select(_table.subject, _table.device)
    .join(_ranked, (_table.subject == _ranked.c.subject) & (_table.device == _ranked.c.device))
    .where(_ranked.c.place > DEVICES)
    # One that another edge stores just now is not the oldest any more. And who waits for nobody needs no order.
    .with_for_update(of=POSITIONS, skip_locked=True)
    .subquery("oldest")
)
TRIM: Final = delete(POSITIONS).where(_table.subject == _oldest.c.subject, _table.device == _oldest.c.device)
"""Keep the newest devices of subjects. Takes the array ``subjects``."""
