"""No slower as the table grows: ids in time order, and autovacuum by numbers of rows, not by shares.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"

TAKES = (
    ("setting", "search_outbox_events.id: ids in time order by default"),
    ("setting", "search_outbox_events: autovacuum by numbers of rows"),
)
# A UUID version 7 as uuidv7() makes it (RFC 9562, section 6.2, method 3): 60 bits of time since 1970 in
# 1/4096 ms, the version in between, and the last 64 bits of a random UUID with their variant.
BY_HAND = (
    "CAST(overlay(lpad(to_hex(CAST(extract(epoch FROM clock_timestamp()) * 4096000 AS bigint)), 15, '0')"
    " PLACING '7' FROM 13 FOR 0) || substr(CAST(gen_random_uuid() AS text), 20) AS uuid)"
)
# Asked of the server that runs it, which need not be the one that it was printed for. A default of the
# application's own stays.
IDS = f"""
DO $$
DECLARE
    was text := (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef JOIN pg_attribute
        ON attrelid = adrelid AND attnum = adnum
        WHERE adrelid = 'search_outbox_events'::regclass AND attname = 'id');
BEGIN
    IF coalesce(was, 'gen_random_uuid()') <> 'gen_random_uuid()' THEN
        RETURN;
    ELSIF to_regprocedure('pg_catalog.uuidv7()') IS NOT NULL THEN
        ALTER TABLE search_outbox_events ALTER COLUMN id SET DEFAULT pg_catalog.uuidv7();
    ELSE
        ALTER TABLE search_outbox_events ALTER COLUMN id SET DEFAULT {BY_HAND};
    END IF;
END
$$;
"""
RANDOM_IDS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
               WHERE adrelid = 'search_outbox_events'::regclass AND attname = 'id'
               AND pg_get_expr(adbin, adrelid) ~ '^uuidv7\\(\\)$|4096000') THEN
        ALTER TABLE search_outbox_events ALTER COLUMN id SET DEFAULT gen_random_uuid();
    END IF;
END
$$;
"""
# An event leaves its dead rows however large the table is: a fifth of 100,000,000 done rows is a day's
# backlog of them. A vacuum that comes often finds little to do: it skips the pages that are all visible.
# By the default cost limit it sweeps 40,000 rows a second, two an event: less than a worker leaves.
# Statistics are for the operator's commands alone, and a sample of a large table is many reads: later.
OPTIONS = {
    "autovacuum_vacuum_scale_factor": "0",
    "autovacuum_vacuum_threshold": "20000",
    "autovacuum_vacuum_insert_scale_factor": "0",
    "autovacuum_vacuum_insert_threshold": "50000",
    "autovacuum_analyze_scale_factor": "0.01",
    "autovacuum_analyze_threshold": "50000",
    "autovacuum_vacuum_cost_limit": "1000",
}
# Storage parameters are the leaves' own, for a partitioned table can have none. Who has set any of them
# for autovacuum has thought about it: that table keeps what it has.
PARTS = """
DO $$
DECLARE
    part regclass;
BEGIN
    FOR part IN
        SELECT oid FROM pg_class
        WHERE relkind = 'r' AND {which} AND (oid = 'search_outbox_events'::regclass
            OR oid IN (SELECT relid FROM pg_partition_tree('search_outbox_events'::regclass)))
    LOOP
        EXECUTE 'ALTER TABLE ' || part::text || ' {what}';
    END LOOP;
END
$$;
"""
UNTOUCHED = "coalesce(array_to_string(reloptions, ' '), '') !~ 'autovacuum'"


def upgrade() -> None:
    op.execute(IDS)
    op.execute(PARTS.format(which=UNTOUCHED, what=f"SET ({_options()})"))


def downgrade() -> None:
    op.execute(PARTS.format(which=_ours(), what=f"RESET ({', '.join(OPTIONS)})"))
    op.execute(RANDOM_IDS)


def _options() -> str:
    return ", ".join(f"{name} = {value}" for name, value in OPTIONS.items())


def _ours() -> str:
    """Whether a table has exactly what the upgrade gives."""
    each = ", ".join(f"'{name}={value}'" for name, value in OPTIONS.items())
    return f"reloptions @> ARRAY[{each}]"
