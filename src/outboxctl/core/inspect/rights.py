"""Rights: what a worker and an operator need of the tables, and what this role lacks, by name."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.schema.roles import BORN, RIGHTS, Right, Role
from outboxctl.core.search_path import places

# Per column, because a role may have been given just the columns that it needs.
LACKING = text("""
SELECT quote_ident(a.attname) FROM pg_attribute a
WHERE a.attrelid = to_regclass(:table) AND a.attnum > 0 AND NOT a.attisdropped
    AND (CAST(:columns AS text[]) = '{}' OR a.attname = ANY (CAST(:columns AS text[])))
    AND NOT has_column_privilege(a.attrelid, a.attnum, :privilege)
ORDER BY a.attnum
""")
NO_DELETE = text("""
SELECT NOT has_table_privilege(oid, 'DELETE') FROM pg_class WHERE oid = to_regclass(:table)
""")
ROLE = text("SELECT quote_ident(current_user)")
CHANGES = text(f"""
SELECT coalesce(has_any_column_privilege(to_regclass('{EVENTS}')::oid, 'UPDATE'), false)
""")
# What was granted to others than the owner, as it stands in the catalogue: 0 is PUBLIC. A right to the whole
# table is one to each column.
GRANTED = f"""
WITH outbox AS (SELECT oid, relowner, relacl FROM pg_class WHERE oid = to_regclass('{EVENTS}')),
granted AS (
    SELECT g.grantee, g.privilege_type AS verb, NULL AS col FROM outbox, aclexplode(relacl) g
    UNION ALL
    SELECT g.grantee, g.privilege_type, a.attname::text FROM outbox
    JOIN pg_attribute a ON a.attrelid = outbox.oid AND NOT a.attisdropped, aclexplode(a.attacl) g
), theirs AS (
    SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS grantee, verb, col
    FROM granted WHERE grantee NOT IN (SELECT relowner FROM outbox)
)"""
WIDE = text(f"""{GRANTED}
SELECT grantee, array_agg(DISTINCT quote_ident(col)) FILTER (WHERE col IS NOT NULL) FROM theirs t
WHERE verb = 'INSERT' AND (col IS NULL OR col <> ALL (CAST(:born AS text[])))
    AND NOT EXISTS (SELECT FROM theirs WHERE grantee = t.grantee AND verb = 'UPDATE' AND col IS NULL)
GROUP BY 1 ORDER BY 1
""")
RECREATES = text(f"""{GRANTED}
SELECT DISTINCT grantee FROM theirs t WHERE verb = 'INSERT' AND col = 'id'
    AND EXISTS (SELECT FROM theirs WHERE grantee = t.grantee AND verb = 'DELETE') ORDER BY 1
""")
# Without these nothing works at all; a viewer has them too.
BASIS = tuple(right for right in RIGHTS if right.role is Role.WORKER and right.verbs == "SELECT")


@dataclass(frozen=True)
class Lack:
    """A privilege that is lacking, as GRANT words it: `UPDATE (status, owner)`, and its table."""

    privilege: str
    table: str


@dataclass(frozen=True)
class Wide:
    """Who (quoted for SQL) may write more of a new event than a producer; `columns` is empty for all."""

    grantee: str
    columns: list[str]


@dataclass(frozen=True)
class Rights:
    """What the role (quoted for SQL) lacks to read, to work and to operate.

    `changes`: it may change something of an event, so it is more than a viewer. Of whatever role:
    `wide` are grants to insert what no producer needs, but to those who may UPDATE all; `recreates` who
    may delete an event and insert another one under its id.
    """

    role: str
    reader: list[Lack]
    worker: list[Lack]
    operator: list[Lack]
    changes: bool
    wide: list[Wide]
    recreates: list[str]

    @property
    def no_worker(self) -> bool:
        """Whether it plainly is a viewer's or an operator's: neither is meant to deliver."""
        return not self.operator or not self.changes


def rights(connection: Connection) -> Rights:
    """Compare what this role may do with what `db roles` gives; a missing table lacks nothing."""
    role = str(connection.execute(ROLE).scalar_one())
    reader = list(_lacking(connection, BASIS))
    worker, operator = (
        [lack for lack in _lacking(connection, _of(each)) if lack not in reader]
        for each in (Role.WORKER, Role.OPERATOR)
    )
    changes = bool(connection.execute(CHANGES).scalar_one())
    rows = connection.execute(WIDE, {"born": ["id", *BORN]})
    wide = [Wide(grantee, columns or []) for grantee, columns in rows]
    recreates = list(connection.execute(RECREATES).scalars())
    return Rights(role, reader, worker, operator, changes, wide, recreates)


def _of(role: Role) -> Iterable[Right]:
    return (right for right in RIGHTS if right.role is role)


def _lacking(connection: Connection, needed: Iterable[Right]) -> Iterator[Lack]:
    for right in needed:
        for verb in right.verbs.split(", "):
            if lacking := _one(connection, verb, right):
                yield Lack(lacking, right.table)


def _one(connection: Connection, verb: str, right: Right) -> str:
    """The privilege that is lacking; empty where none is."""
    table = places(connection).name(right.table)
    given = {"table": table, "privilege": verb, "columns": list(right.columns)}
    if verb == "DELETE":  # it has no columns
        return verb if connection.execute(NO_DELETE, given).scalar() else ""
    names = connection.execute(LACKING, given).scalars().all()
    return (f"{verb} ({', '.join(names)})" if right.columns else verb) if names else ""
