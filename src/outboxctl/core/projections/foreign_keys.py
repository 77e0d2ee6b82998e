"""Foreign keys: how `projection init` ties the tables of a document."""

from typing import NamedTuple

from outboxctl.core.sql import Connection, text
from outboxctl.domain.projection import Relation

# Of a partition those of the table that it is a part of: they have copies of their parents' foreign keys, or
# each has its own.
FOREIGN_KEYS = text("""
SELECT cn.nspname::text, c.relname::text, pn.nspname::text, p.relname::text,
    ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY place),
    ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (num, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY place)
FROM pg_constraint k
JOIN pg_class c ON c.oid = coalesce(pg_partition_root(k.conrelid), k.conrelid)
JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class p ON p.oid = coalesce(pg_partition_root(k.confrelid), k.confrelid)
JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
ORDER BY cn.nspname, c.relname, k.conname
""")


class Step(NamedTuple):
    """From one table to another by a foreign key, in either direction: equal values in these columns."""

    here: Relation
    columns: tuple[str, ...]
    there: Relation
    their_columns: tuple[str, ...]

    def back(self) -> "Step":
        """The same in the other direction."""
        return Step(self.there, self.their_columns, self.here, self.columns)


def constraints(connection: Connection) -> list[Step]:
    """All foreign keys, from the table that has it to the one that it names; two on the same columns once."""
    rows = connection.execute(FOREIGN_KEYS)
    steps = [Step(Relation(*row[:2]), tuple(row[4]), Relation(*row[2:4]), tuple(row[5])) for row in rows]
    return list(dict.fromkeys(steps))
