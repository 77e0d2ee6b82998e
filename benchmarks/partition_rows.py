"""Two outboxes with the same past, one plain and one partitioned by time; and what is left of them."""

from sqlalchemy import Connection, TextClause, text

from outboxctl.core.schema.names import EVENTS, parts
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.rig import Rig

PARTITIONS = 12
OLD = [f"{EVENTS}_{n}" for n in range(PARTITIONS - 1)]
# The last one begins today: the past is in all others, and today's events in none of them.
PARTITION = f"""
CREATE TABLE {EVENTS} (id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
CREATE TABLE {EVENTS}_rest PARTITION OF {EVENTS} DEFAULT;
DO $$
BEGIN
    FOR n IN 0..{PARTITIONS - 1} LOOP
        EXECUTE 'CREATE TABLE {EVENTS}_' || n || ' PARTITION OF {EVENTS} FOR VALUES FROM ('
            || quote_literal(current_date + 30 * (n - {PARTITIONS - 1})) || ') TO ('
            || quote_literal(current_date + 30 * (n - {PARTITIONS - 2})) || ')';
    END LOOP;
END
$$;
"""
# From eleven months ago to the day before yesterday, in the order in which a table fills.
DONE = text(f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, event_version, status, attempts, processed_at,
    created_at, updated_at)
SELECT 'block', gen_random_uuid(), 'upsert', 1, 'done', 1, t, t, t
FROM generate_series(1, :rows) n, LATERAL (
    SELECT current_date - interval '330 days' + (n - 1) * (interval '329 days' / :rows) AS t) past
""")
UNDER_WAY = text(f"SELECT count(*) FROM {EVENTS} WHERE status IN ('pending', 'processing')")
BYTES = text(f"SELECT sum(pg_total_relation_size(part)) FROM ({parts(EVENTS)}) p")
WAL = text("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
# As `docs/operators-desk/partitions.md` has it.
DETACH = """
SET LOCAL lock_timeout = '2s';
ALTER TABLE {events} DETACH PARTITION {part};
DO $$
BEGIN
    IF EXISTS (SELECT FROM {part} WHERE status = 'pending')
        OR EXISTS (SELECT FROM {part} WHERE status = 'processing')
        OR EXISTS (SELECT FROM {part} WHERE status = 'failed') THEN
        RAISE EXCEPTION 'not everything in it is done: nothing was detached';
    END IF;
END
$$;
DROP TABLE {part};
"""


def partition(connection: Connection) -> None:
    """Create the partitioned table, for the upgrade to adopt."""
    connection.exec_driver_sql(PARTITION)


def make(rig: Rig, done: int) -> None:
    """Fill the past, and leave nothing to be written out while we measure."""
    fill.reset(rig)
    with rig.database.begin() as connection:
        connection.execute(DONE, {"rows": done})
    _settle(rig)


def pending(rig: Rig, events: int, size: int, seed: int) -> None:
    """As many events more to deliver."""
    fill.write(rig.database, events, size, 1_000, seed=seed)
    _settle(rig)


def under_way(rig: Rig) -> int:
    """How many events are not done."""
    return int(_number(rig, UNDER_WAY))


def wal(rig: Rig) -> float:
    """Megabytes of WAL so far."""
    return _number(rig, WAL) / 1e6


def megabytes(rig: Rig) -> float:
    """Size of the outbox with its indexes."""
    return _number(rig, BYTES) / 1e6


def drop_old(rig: Rig) -> None:
    """Drop every partition of the past, once it is seen to hold nothing but done rows."""
    for part in OLD:
        with rig.database.begin() as connection:
            connection.exec_driver_sql(DETACH.format(events=EVENTS, part=part))


def _settle(rig: Rig) -> None:
    fill.vacuum(rig)
    rig.checkpoint()


def _number(rig: Rig, query: TextClause) -> float:
    with rig.database.begin() as connection:
        return float(connection.execute(query).scalar_one())
