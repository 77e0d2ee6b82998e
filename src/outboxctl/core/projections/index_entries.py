"""What the indexes of a table are entered by: the first column or expression of each."""

from dataclasses import dataclass, field

from outboxctl.core.projections.catalog import RELATION, of
from outboxctl.core.projections.plan_conditions import bare
from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Relation

# An index with a condition finds the rows that meet it, a lossy or sorted one of another kind finds no equal
# values: whether these serve, the plan says.
ENTRIES = text(f"""
SELECT x.relname::text, pg_get_indexdef(x.oid, 1, false), i.indkey[0] = 0,
    m.amname IN ('btree', 'hash') AND i.indpred IS NULL
FROM {RELATION} JOIN pg_index i ON i.indrelid = c.oid AND i.indisvalid
JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
""")
# A varchar is compared as text, and its index is entered so.
VARCHARS = text(f"""
SELECT quote_ident(a.attname) FROM {RELATION} JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'varchar'::regtype
""")
# The table whose partition it is, at the top; partitions that hold rows. One that is no partition is both.
TOP = text(f"""
SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = (SELECT coalesce(pg_partition_root(c.oid), c.oid) FROM {RELATION})
""")
LEAVES = text(f"""
SELECT n.nspname::text, c.relname::text FROM pg_partition_tree((SELECT c.oid FROM {RELATION})) t
JOIN pg_class c ON c.oid = t.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.isleaf AND c.relkind = 'r' ORDER BY 1, 2
""")


@dataclass(frozen=True)
class Entry:
    """The first column or expression of an index. `whole`: it finds equal values of all rows."""

    first: str
    expression: bool
    whole: bool


@dataclass
class Entries:
    """The indexes of tables, each table looked up once."""

    connection: Connection
    _indexes: dict[Relation, dict[str, Entry]] = field(default_factory=dict)
    _varchars: dict[Relation, frozenset[str]] = field(default_factory=dict)

    def of(self, table: Relation) -> dict[str, Entry]:
        """The valid indexes of a table, by name."""
        if table not in self._indexes:
            rows = self.connection.execute(ENTRIES, of(table))
            self._indexes[table] = {name: Entry(*more) for name, *more in rows}
        return self._indexes[table]

    def varchars(self, table: Relation) -> frozenset[str]:
        """The columns of type varchar, quoted where SQL needs it."""
        if table not in self._varchars:
            self._varchars[table] = frozenset(self.connection.execute(VARCHARS, of(table)).scalars())
        return self._varchars[table]


def begins(connection: Connection, table: Relation, column: str) -> bool:
    """Whether an index of the whole table begins with this column or expression, as SQL has it."""
    entries = Entries(connection).of(table).values()
    return any(each.whole and bare(each.first) == bare(column) for each in entries)


def top(connection: Connection, table: Relation) -> Relation:
    """The partitioned table that a partition is of; any other table itself."""
    return Relation(*connection.execute(TOP, of(table)).one())


def leaves(connection: Connection, table: Relation) -> list[Relation]:
    """The partitions that hold the rows of a partitioned table; none of any other."""
    found = [Relation(*row) for row in connection.execute(LEAVES, of(table))]
    return [] if found == [table] else found
