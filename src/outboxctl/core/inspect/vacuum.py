"""Vacuum of the outbox: dead rows, autovacuum's settings, and what holds vacuum back."""

from dataclasses import dataclass
from datetime import datetime

from outboxctl.core.schema.names import EVENTS
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text

# Of a partitioned outbox only the partitions hold rows. `reloptions` win over the server's settings.
# Widths are known once a table was analyzed.
PARTS = text("""
SELECT c.oid::regclass::text AS name, c.reltuples::float8 AS rows, pg_relation_size(c.oid)::float8 AS bytes,
    coalesce(s.n_dead_tup, 0) AS dead, coalesce(s.n_live_tup, 0) AS live,
    coalesce(o.on, true) AS enabled, coalesce(o.fillfactor, 100) AS fillfactor,
    coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold')::float8) AS threshold,
    coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor')::float8) AS scale,
    (SELECT sum(w.avg_width)::float8 FROM pg_stats w
        WHERE w.schemaname = s.schemaname AND w.tablename = s.relname) AS width
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
CROSS JOIN LATERAL (
    SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_enabled')::boolean AS on,
        max(option_value) FILTER (WHERE option_name = 'fillfactor')::int AS fillfactor,
        max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold')::float8 AS threshold,
        max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor')::float8 AS scale
    FROM pg_options_to_table(c.reloptions)
) o
WHERE c.relkind = 'r' AND (c.oid = to_regclass(:table) OR c.oid IN (
    SELECT relid FROM pg_partition_tree(to_regclass(:table))))
ORDER BY c.oid
""")
# Vacuum of a table depends on the transactions of its own database, and on every slot. A role without
# pg_read_all_stats sees NULL for other roles' sessions.
TRANSACTIONS = text("""
SELECT pid::text AS name, state AS kind,
    extract(epoch FROM coalesce(:now, now()) - xact_start)::float8 AS seconds
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL OR state LIKE 'idle in transaction%')
    AND xact_start < coalesce(:now, now()) - make_interval(secs => :longest) ORDER BY xact_start LIMIT 20
""")
PREPARED = text("""
SELECT quote_literal(gid) AS name, 'prepared' AS kind,
    extract(epoch FROM coalesce(:now, now()) - prepared)::float8 AS seconds
FROM pg_prepared_xacts WHERE database = current_database()
    AND prepared < coalesce(:now, now()) - make_interval(secs => :longest) ORDER BY prepared LIMIT 20
""")
SLOTS = text("""
SELECT quote_literal(slot_name) AS name, slot_type AS kind,
    CASE WHEN pg_is_in_recovery() THEN 0
        ELSE coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) END::float8 AS bytes,
    xmin IS NOT NULL AS holds_rows
FROM pg_replication_slots
WHERE NOT active AND NOT temporary AND (restart_lsn IS NOT NULL OR xmin IS NOT NULL)
ORDER BY slot_name LIMIT 20
""")


@dataclass(frozen=True)
class Part:
    """The outbox or a partition of it (`name`, quoted for SQL) as autovacuum sees it, and its settings.

    `rows` is -1 before the first analyze; `dead` and `live` are the statistics' estimates, `bytes` without
    indexes. `width`: bytes of an average row's values, None before the first analyze.
    """

    name: str
    rows: float
    bytes: float
    dead: int
    live: int
    enabled: bool
    fillfactor: int
    threshold: float
    scale: float
    width: float | None

    @property
    def due_at(self) -> float:
        """Dead rows at which autovacuum starts."""
        return self.threshold + self.scale * max(self.rows, 0.0)


@dataclass(frozen=True)
class Holder:
    """A transaction older than the limit; `name` is a process id, or a prepared one's id quoted for SQL."""

    name: str
    kind: str
    seconds: float


@dataclass(frozen=True)
class Slot:
    """A replication slot that nobody reads; `bytes` of WAL are kept for it."""

    name: str
    kind: str
    bytes: float
    holds_rows: bool


@dataclass(frozen=True)
class Holders:
    """Everything that holds vacuum back."""

    transactions: list[Holder]
    prepared: list[Holder]
    slots: list[Slot]


def parts(connection: Connection) -> list[Part]:
    """Read the facts of each table that holds events."""
    values = {"table": places(connection).name(EVENTS)}
    return [Part(**row._asdict()) for row in connection.execute(PARTS, values)]


def holders(connection: Connection, *, longest: float, now: datetime | None = None) -> Holders:
    """Transactions older than `longest` seconds, and abandoned replication slots."""
    values = {"longest": longest, "now": now}
    return Holders(
        [Holder(**row._asdict()) for row in connection.execute(TRANSACTIONS, values)],
        [Holder(**row._asdict()) for row in connection.execute(PREPARED, values)],
        [Slot(**row._asdict()) for row in connection.execute(SLOTS)],
    )
