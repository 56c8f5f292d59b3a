"""What is wrong with a ledger whose rows nobody could have written: asked when something fails that should not.

SQLite keeps any value in any column, so a changed cell reads well and breaks later, far from here. PostgreSQL keeps its types itself.
"""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from ...spaces.errors import Failure, reason
from .migrations import tables
from .migrations.database import open_database, original, plain

_KINDS: tuple[tuple[type[sa.types.TypeEngine[Any]], tuple[str, ...]], ...] = (
    (sa.JSON, ("text",)),
    (sa.Boolean, ("integer",)),
    (sa.Integer, ("integer",)),
    (sa.String, ("text",)),
)
"""What a column's values are to SQLite; numbers with a fraction may be whole."""


def require_sound(url: str) -> None:
    """Raise `Failure` naming the first cells that are not what their column holds; nothing for a ledger that is no SQLite file."""
    engine = open_database(url)
    try:
        if engine.dialect.name != "sqlite":
            return
        with engine.connect() as connection:
            found = [told for table in tables.metadata.sorted_tables for told in _odd(connection, table)]
            found += [told for table in (tables.results, tables.problems) for told in _orphans(connection, table)]
        if found:
            more = f" (and in {len(found) - 1} more columns)" if len(found) > 1 else ""
            raise Failure(f"the ledger {plain(engine.url)} was damaged or changed: {found[0]}{more}; put a copy of it back")
    except sa.exc.DBAPIError as error:
        raise Failure(f"the ledger {plain(engine.url)} cannot be read: {reason(original(error))}; put a copy of it back") from error
    finally:
        engine.dispose()


def _odd(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    if not sa.inspect(connection).has_table(table.name):
        return
    for column in table.columns:
        row = connection.execute(sa.text(f'SELECT rowid, quote("{column.name}") FROM {table.name} WHERE {_wrong(column)} LIMIT 1')).first()
        if row is not None:
            yield f"row {row[0]} of {table.name} has {str(row[1])[:40]} as its {column.name}"


def _orphans(connection: sa.Connection, table: sa.Table) -> Iterator[str]:
    """The first row that belongs to a trial which its study does not have."""
    if not all(sa.inspect(connection).has_table(name) for name in (table.name, tables.trials.name)):
        return
    trial = sa.and_(tables.trials.c.study == table.c.study, tables.trials.c.number == table.c.trial)
    alone = sa.select(table.c.id, table.c.trial).where(~sa.exists().where(trial)).limit(1)
    if (row := connection.execute(alone).first()) is not None:
        yield f"row {row.id} of {table.name} is of trial {row.trial}, which its study does not have"


def _wrong(column: "sa.Column[object]") -> str:
    """The condition under which a cell is none of its column's."""
    kinds = next((kinds for kind, kinds in _KINDS if isinstance(column.type, kind)), ("real", "integer"))
    null = column.nullable and not column.primary_key
    allowed = ", ".join(f"'{kind}'" for kind in (*kinds, *(("null",) if null else ())))
    odd = f'typeof("{column.name}") NOT IN ({allowed})'
    if not isinstance(column.type, sa.JSON):
        return odd
    cell = f'"{column.name}"'
    return f"CASE WHEN {odd} THEN 1 WHEN {cell} IS NULL THEN 0 WHEN NOT json_valid({cell}) THEN 1 ELSE json_type({cell}) <> 'object' END"
