"""Names and SQL fragments shared by the statements; the schema itself is made by the migrations."""

from collections.abc import Iterable

from outboxctl.domain.lifecycle import BY_VERB, Verb

EVENTS = "search_outbox_events"
SOURCE = "search_index"
AUDIT = "outbox_operator_audit"
MARKER = "outbox_environment"
WORKERS = "outbox_workers"
REBUILDS = "outbox_rebuilds"
PROJECTIONS = "outbox_projections"
VERSION_BASE = "outbox_version_base"
DELETES = "outbox_deletes"
PLACES = "outbox_places"
TABLES = (EVENTS, SOURCE, AUDIT, MARKER, WORKERS, REBUILDS, PROJECTIONS, VERSION_BASE, DELETES, PLACES)
VERSION = "outboxctl_alembic_version"  # the application's own alembic_version stays its own
ALL_TABLES = (*TABLES, VERSION)
# Functions that migrations make for the trigger of the same name: a trigger's name takes no schema.
TRIGGER_FUNCTIONS = (
    *("outbox_audit_by_database", "outbox_event_begins", "outbox_version_base_rises", "outbox_workers_own"),
)
HEAD = "0003_no_suspended_views"  # the newest revision: without it every command would load alembic to know

# The oids of our tables that are there.
OIDS = ", ".join(f"to_regclass('{each}')" for each in TABLES)

# The document of a row `s` of the source: JSON text made by the server, in UTC where TimeZone says so.
DOCUMENT = """(SELECT to_json(d)::text FROM (
    SELECT s.id, s.entity_type, s.entity_id, s.library_id, s.text, s.snippet, s.rank_score,
        s.event_version, s.created_at, s.updated_at) d)"""

# The plan must not depend on statistics: on a table that was emptied and vacuumed they say "no rows".
# With these off, each step has only its index to use. SET LOCAL also survives a pooler. What an earlier
# statement of the transaction set otherwise (settle.JOIN) is set back.
PLAN = (
    "SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_nestloop = on; "
    "SET LOCAL enable_mergejoin = off; SET LOCAL jit = off; SET LOCAL TimeZone = 'UTC'"
)

# The attempts of an event that is claimed: the application may have written any number, or none.
ONE_MORE_ATTEMPT = "least(coalesce(attempts, 0), 2147483646) + 1"
# What a claim sets beside the status. The fence is lease_token.
LEASED = f"""owner = :owner, lease_token = CAST(:token AS uuid),
    lease_until = now() + make_interval(secs => :lease), processing_started_at = now(),
    attempts = {ONE_MORE_ATTEMPT}"""
# The columns of a row that no worker has claimed.
UNHELD = "owner = NULL, lease_token = NULL, lease_until = NULL, processing_started_at = NULL"

DUE = "ix_search_outbox_events_next"  # the index of due events
# SQL: the projection of an event, empty for the built-in one; what DUE begins with.
OF_PROJECTION = "(CASE WHEN entity_key IS NULL THEN '' ELSE entity_type::text END) COLLATE \"C\""

# A timestamp out of Python's range (infinity, the year 20000) would break the decoder.
SAFE = "CASE WHEN {0} BETWEEN '0001-01-02' AND '9999-12-30' THEN {0} END AS {0}"

# Lab document, section 2.2 B.
OVERDUE = """(
    lease_until < now()
    OR now() - processing_started_at > make_interval(secs => :max_processing)
    OR (lease_until IS NULL AND processing_started_at IS NULL))"""
STUCK = f"status = 'processing' AND {OVERDUE}"

# The guard of a row that is selected by its id: in a partitioned outbox two rows can have one id, each
# with a state of its own. The concatenation keeps the planner from the partial index on processing: it would
# read every event in flight, and the dead entries of those just settled (1,000 settled in 22 instead of
# 11 ms after 300,000 events). The index of ids has exactly the wanted rows.
STATUS_IS = "status || '' ="


def source(verb: Verb) -> str:
    """The verb's from-state as an SQL literal: a bound parameter could cost the partial index."""
    return f"'{BY_VERB[verb].source}'"


def target(verb: Verb) -> str:
    """The verb's to-state as an SQL literal."""
    return f"'{BY_VERB[verb].target}'"


def id_array(ids: Iterable[str]) -> str:
    """The server's own UUIDs as one array literal: a driver that adapts each costs a microsecond an id."""
    return f"{{{','.join(ids)}}}"


def parts(table: str) -> str:
    """A query of one column, `part`: the table itself and, if it is partitioned, its partitions."""
    return (
        f"SELECT '{table}'::regclass AS part UNION SELECT relid FROM pg_partition_tree('{table}'::regclass)"
    )


def tag(word: str, text: str) -> str:
    """A dollar quote that the text does not contain."""
    while f"${word}$" in text:
        word += "_"
    return f"${word}$"


def pending(where: str, *, limit: str = "") -> str:
    """A query of pending events that are in ranges of DUE: of each projection those `where`, up to `limit`.

    Each projection that has some is found by one descent of the index.
    """
    names = f"SELECT {OF_PROJECTION} AS name FROM {EVENTS} WHERE status = 'pending'"
    order = f"ORDER BY {OF_PROJECTION}, next_retry_at, created_at"
    return f"""WITH RECURSIVE pending (name) AS (
    ({names} {order} LIMIT 1)
    UNION ALL
    SELECT ({names} AND {OF_PROJECTION} > p.name {order} LIMIT 1)
    FROM pending p WHERE num_nonnulls(p.name) = 1
)
SELECT e.* FROM pending p CROSS JOIN LATERAL (
    SELECT * FROM {EVENTS} WHERE status = 'pending' AND {OF_PROJECTION} = p.name AND {where}
    {f"{order} LIMIT {limit}" if limit else ""}
) e"""
