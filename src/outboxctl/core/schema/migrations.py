"""Schema migrations: upgrade, inspection and SQL, without an alembic checkout."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

import outboxctl
from outboxctl.core.database import Database
from outboxctl.core.inspect.server import require_supported
from outboxctl.core.schema import marker
from outboxctl.core.schema.lock_wait import PATIENCE, with_lock_retries
from outboxctl.core.schema.marker import current
from outboxctl.core.schema.names import OIDS, VERSION
from outboxctl.core.schema.removal import orphans
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text
from outboxctl.core.sql.engine import DIALECT
from outboxctl.core.tables import EVENTS, SOURCE
from outboxctl.domain.errors import UsageError
from outboxctl.domain.printable import brief

DESCRIBE = text(f"""
WITH ours AS (SELECT * FROM unnest(CAST(ARRAY[{OIDS}] AS oid[])) oid)
SELECT 'table ' || c.relname AS item FROM pg_class c JOIN ours USING (oid) WHERE c.relkind IN ('r', 'p')
UNION ALL
SELECT 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
        || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.oid IN (SELECT oid FROM ours) AND c.relkind IN ('r', 'p')
      AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'index ' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid IN (SELECT oid FROM ours)
UNION ALL
SELECT 'constraint ' || conname FROM pg_constraint
    WHERE conrelid IN (SELECT oid FROM ours) AND contype IN ('c', 'p', 'u')
""")
# Where a superuser migrates, not even the events' owner is trusted: its trigger would run as superuser.
FOREIGN = text(f"""
SELECT c.oid::regclass::text, pg_get_userbyid(c.relowner) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles r ON r.oid = c.relowner
WHERE c.oid IN ({OIDS}, to_regclass('{VERSION}')) AND c.relname NOT IN ('{EVENTS}', '{SOURCE}')
    AND current_setting('is_superuser')::boolean AND NOT r.rolsuper AND r.oid <> n.nspowner
    AND r.oid <> (SELECT datdba FROM pg_database WHERE datname = current_database()) LIMIT 1
""")
KINDS = text(f"""
SELECT c.relname, a.attname, format_type(a.atttypid, NULL)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.oid IN ({OIDS}) AND a.attnum > 0
""")
# The columns whose types the statements need: a table with others cannot be adopted.
NEEDED = (
    *EVENTS.c["id", "entity_id", "lease_token", "next_retry_at", "lease_until", "created_at"],
    *SOURCE.c["entity_id", "event_version"],
)


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did: revisions, what is new, columns that changed (as they are now), and the marker.

    `orphans`: functions of triggers that an outbox which was dropped has left.
    """

    before: str | None
    after: str | None
    added: list[str]
    changed: list[str]
    environment: str | None
    orphans: list[str]


def version_table(connection: Connection) -> dict[str, Any]:
    """Where alembic keeps the revision, as options of its `configure`."""
    return {"version_table": VERSION, "version_table_schema": places(connection).schema(VERSION)}


def knows(revision: str) -> bool:
    """Whether this program has a migration of that name."""
    return revision in {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}


def check_known(revision: str | None, name: str) -> None:
    """Raise UsageError unless this program has a migration of that name; None: none has run yet."""
    if revision is not None and not knows(revision):
        raise UsageError(
            f"the schema in {name} is at revision {revision}, which this outboxctl does not know",
            hint="a newer outboxctl made it: upgrade outboxctl; "
            "0001 to 0018 are of checkouts before the first release: use a new database",
        )


def upgrade(
    database: Database,
    environment: str | None,
    *,
    patience: float = PATIENCE,
    report: Callable[[str], None] = lambda _: None,
) -> Upgrade:
    """Migrate to the newest revision in one transaction, adopt existing tables, and write the marker.

    Waits for locked tables as `with_lock_retries` does. Raises, with nothing changed, UsageError if the
    server or the encoding is not supported, a table's types cannot be adopted, a table of ours belongs to an
    untrusted role, or the marker contradicts `environment`; LockedError if a table stays locked.
    """

    def migrate(connection: Connection) -> Upgrade:
        require_supported(connection, database.name)
        _check_owners(connection)
        before, had = current(connection), _describe(connection)
        check_known(before, database.name)
        command.upgrade(config(connection), "head")
        _check_types(connection)
        new, columns = _describe(connection) - had, {_named(item) for item in had}
        changed = {item for item in new if _named(item) in columns}
        if environment:
            marker.write(connection, environment)
        marker.check(connection, environment, database.name)
        after, written = current(connection), marker.read(connection)
        left = [each.function for each in orphans(connection)]
        return Upgrade(before, after, _summary(new - changed), sorted(changed), written, left)

    return with_lock_retries(database, migrate, patience=patience, report=report)


def upgrade_sql() -> str:
    """The SQL of an upgrade of an empty database, for review or to be run by hand."""
    offline = config()
    offline.output_buffer = io.StringIO()
    command.upgrade(offline, "head", sql=True)
    return offline.output_buffer.getvalue()


def _describe(connection: Connection) -> set[str]:
    return set(connection.execute(DESCRIBE).scalars())


def _named(item: str) -> str:
    return " ".join(item.split()[:2])


def _summary(added: set[str]) -> list[str]:
    """A new table is one line; its columns and indexes are left out."""
    tables = {item.split()[1] for item in added if item.startswith("table ")}
    return sorted(item for item in added if item.startswith("table ") or not any(t in item for t in tables))


def _check_owners(connection: Connection) -> None:
    for name, owner in connection.execute(FOREIGN):
        raise UsageError(
            f"{brief(name, 140)} belongs to the role {brief(owner, 70)}: a superuser does not migrate it",
            hint="log in as that role; or, if you trust what it made, ALTER TABLE … OWNER TO a superuser",
        )


def _check_types(connection: Connection) -> None:
    kinds = {(table, name): kind for table, name, kind in connection.execute(KINDS)}
    for table in (EVENTS, SOURCE):
        needed = {c.name: c.type.compile(DIALECT).lower() for c in NEEDED if c.table is table}
        found = {name: kinds[table.name, name] for name in needed}
        wrong = [f"{name} is {found[name]}, not {it}" for name, it in needed.items() if found[name] != it]
        if wrong:
            raise UsageError(
                f"table {table} cannot be adopted: {'; '.join(wrong)}",
                hint="change these columns' types first; nothing was changed",
            )


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration; with a connection it migrates there, in its open transaction."""
    package = Path(outboxctl.__file__).parent
    shipped, checkout = package / "alembic", package.parents[1] / "alembic"
    options = Config()
    scripts = shipped if shipped.is_dir() else checkout
    options.set_main_option("script_location", str(scripts).replace("%", "%%"))
    options.attributes["connection"] = connection
    return options
