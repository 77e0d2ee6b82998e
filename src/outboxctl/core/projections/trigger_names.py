"""The tables that projections watch, and the triggers on each: their names, and when they fire.

A table has one set of triggers, whatever the number of projections that use it.
"""

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from outboxctl.core.projections.catalog import MAX_NAME
from outboxctl.domain.projection import BLANK_PADDED, EVERYTHING, Follow, KeyColumn, Projection, Relation

OLD, NEW = "old_rows", "new_rows"  # transition tables
# The bits of pg_trigger.tgtype.
ROW, INSERT, DELETE, UPDATE, TRUNCATE = 1, 4, 8, 16, 32


@dataclass(frozen=True)
class Trigger:
    """One trigger: the end of its name, its events, its transition tables, `tgtype`."""

    suffix: str
    events: str
    old: str
    new: str
    type: int

    @property
    def clauses(self) -> str:
        """What stands between the table and the function."""
        tables = [
            f"{which} TABLE AS {name}" for which, name in (("OLD", self.old), ("NEW", self.new)) if name
        ]
        referencing = f"REFERENCING {' '.join(tables)} " if tables else ""
        return f"{referencing}FOR EACH {'ROW' if self.type & ROW else 'STATEMENT'}"


TRUNCATED = Trigger("truncate", "TRUNCATE", "", "", TRUNCATE)
# A trigger with transition tables takes one event only.
INSERTED = Trigger("insert", "INSERT", "", NEW, INSERT)
OF_STATEMENTS = (
    INSERTED,
    Trigger("update", "UPDATE", OLD, NEW, UPDATE),
    Trigger("delete", "DELETE", OLD, "", DELETE),
    TRUNCATED,
)
# Bytes of a table's name that a trigger's has room for.
LONGEST = MAX_NAME - len("outbox__12345678_truncate")
# Of a partitioned table, or a partition. PostgreSQL copies it to the partitions, also to those that are made
# later.
OF_ROWS = Trigger("row", "INSERT OR UPDATE OR DELETE", "", "", ROW | INSERT | UPDATE | DELETE)


@dataclass(frozen=True)
class Watched:
    """What one projection watches of a table: its root, or a followed table by its place in the projection.

    `key`: its columns that hold a document's key, with the types of the root's; else `parameters`: those that
    a query of keys takes, with their `types`, whose events say `name` (`Follow.name`); with `all` neither.
    `columns`: further ones whose change counts; empty: all.
    """

    projection: str
    place: int | None
    table: Relation
    key: tuple[KeyColumn, ...]
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    all: bool = False
    name: str = ""
    types: tuple[str, ...] = ()

    @property
    def follow(self) -> int | None:
        """What the events of its changes have as `follow`: NULL where the table has the document's key."""
        if self.all:
            return EVERYTHING
        return None if self.key else self.place

    @property
    def key_names(self) -> tuple[str, ...]:
        """The columns that say which documents a row belongs to."""
        return (*(each.name for each in self.key), *self.parameters)

    @property
    def all_names(self) -> tuple[str, ...]:
        """All columns that it needs by name."""
        return tuple(dict.fromkeys([*self.key_names, *self.columns]))

    @property
    def names(self) -> tuple[str, ...]:
        """The columns whose change counts; none: every column."""
        return self.all_names if self.columns else ()


@dataclass(frozen=True)
class WatchedTable:
    """A table with all that watch it."""

    table: Relation
    users: tuple[Watched, ...]

    @property
    def key_names(self) -> tuple[str, ...]:
        """The columns that say which documents of any projection a row belongs to."""
        return tuple(dict.fromkeys(name for each in self.users for name in each.key_names))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that any projection uses; none: every column."""
        if not all(each.names for each in self.users):
            return ()
        return tuple(dict.fromkeys(name for each in self.users for name in each.names))

    @property
    def projections(self) -> tuple[str, ...]:
        """The projections that use it."""
        return tuple(dict.fromkeys(each.projection for each in self.users))


def tables_of(projection: Projection) -> set[Relation]:
    """The root and the followed tables."""
    return {projection.root, *(each.table for each in projection.follow)}


def watched_tables(projections: Iterable[Projection], tables: Collection[Relation]) -> list[WatchedTable]:
    """Those of the tables that a projection with triggers uses, in the order of their names."""
    users: dict[Relation, list[Watched]] = {}
    for projection in sorted(projections, key=lambda each: each.name):
        for each in watched(projection) if projection.triggers else ():
            users.setdefault(each.table, []).append(each)
    return [WatchedTable(table, tuple(users[table])) for table in sorted(tables, key=str) if table in users]


def watched(projection: Projection) -> list[Watched]:
    """The root first, then the followed tables in their order; one table may occur several times."""
    root = Watched(projection.name, None, projection.root, projection.key, (), projection.columns)
    return [root, *(_followed(projection, place, each) for place, each in enumerate(projection.follow))]


def _followed(projection: Projection, place: int, follow: Follow) -> Watched:
    pairs = zip(follow.key, projection.key, strict=bool(follow.key))
    own = dict(zip(follow.key, follow.types, strict=False))
    # By their texts both are alike, but for the blanks at the end of a child's char(n).
    key = tuple(
        KeyColumn(name, BLANK_PADDED if own.get(name) == BLANK_PADDED else column.type)
        for name, column in pairs
    )
    types = follow.types if follow.parameters else ()
    how = (key, follow.parameters, follow.columns, follow.all, follow.name, types)
    return Watched(projection.name, place, follow.table, *how)


def function_name(schema: str, table: Relation, *, rows: bool = False) -> str:
    """The name of a table's function; `rows`: of its triggers for each row. `schema` is the outbox's.

    A hash: schemas may have tables of one name, and outboxes triggers on one table.
    """
    digest = hashlib.sha256("\0".join((schema, table.schema, table.name)).encode()).hexdigest()[:8]
    readable = table.name.encode()[:LONGEST].decode(errors="ignore")
    return "_".join(("outbox", readable, digest, *(["row"] if rows else [])))


def trigger_name(schema: str, table: Relation, trigger: Trigger) -> str:
    """The name of a trigger."""
    return f"{function_name(schema, table)}_{trigger.suffix}"
