"""The tables that a projection watches, and the triggers on each: their names, and when they fire."""

import hashlib
from dataclasses import dataclass

from outboxctl.core.projections.names import MAX_NAME
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
# Of a partitioned table, or a partition. PostgreSQL copies it to the partitions, also to those that are made
# later.
OF_ROWS = Trigger("row", "INSERT OR UPDATE OR DELETE", "", "", ROW | INSERT | UPDATE | DELETE)


@dataclass(frozen=True)
class Watched:
    """A table with triggers: the root, or a followed table by its place in the projection.

    `key`: its columns that hold a document's key, with the types of the root's; else `parameters`: those that
    a query of keys takes, whose events say `name` (`Follow.name`); with `all` neither. `columns`: further
    ones whose change counts; empty: all.
    """

    place: int | None
    table: Relation
    key: tuple[KeyColumn, ...]
    parameters: tuple[str, ...]
    columns: tuple[str, ...]
    all: bool = False
    name: str = ""

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
    def names(self) -> tuple[str, ...]:
        """All columns that the function reads by name."""
        return tuple(dict.fromkeys([*self.key_names, *self.columns]))


def watched(projection: Projection) -> list[Watched]:
    """The root first, then the followed tables in their order; one table may occur several times."""
    root = Watched(None, projection.root, projection.key, (), projection.columns)
    return [root, *(_followed(projection, place, each) for place, each in enumerate(projection.follow))]


def _followed(projection: Projection, place: int, follow: Follow) -> Watched:
    pairs = zip(follow.key, projection.key, strict=bool(follow.key))
    own = dict(zip(follow.key, follow.types, strict=False))
    # By their texts both are alike, but for the blanks at the end of a child's char(n).
    key = tuple(
        KeyColumn(name, BLANK_PADDED if own.get(name) == BLANK_PADDED else column.type)
        for name, column in pairs
    )
    return Watched(place, follow.table, key, follow.parameters, follow.columns, follow.all, follow.name)


def function_name(projection: str, place: int | None, *, rows: bool = False) -> str:
    """The name of the function of the root, or of a followed table; `rows`: of its triggers for each row."""
    return _short("outbox", projection, "root" if place is None else str(place), *(["row"] if rows else []))


def trigger_name(projection: str, place: int | None, trigger: Trigger) -> str:
    """The name of a trigger."""
    return _short("outbox", projection, "root" if place is None else str(place), trigger.suffix)


def functions_of(projection: str) -> str:
    """A regular expression of PostgreSQL for the names of all functions of a projection."""
    end = "_root_row"  # the longest one
    shortened = function_name(projection, None, rows=True).removesuffix(end)
    stems = "|".join(dict.fromkeys([f"outbox_{projection}", shortened]))
    return f"^({stems})_(root|[0-9]+)(_row)?$" if "|" in stems else f"^{stems}_(root|[0-9]+)(_row)?$"


def _short(prefix: str, projection: str, *ends: str) -> str:
    name = "_".join((prefix, projection, *ends))
    if len(name) <= MAX_NAME:
        return name
    digest = hashlib.sha256(projection.encode()).hexdigest()[:8]
    return "_".join((prefix, projection[:30], digest, *ends))
