"""An outbox with a past: millions of done rows, failed ones of several causes; and its state in between."""

from sqlalchemy import text

from outboxctl.core.schema.names import AUDIT, EVENTS
from outboxctl.drills.bench import fill
from outboxctl.drills.bench.rig import Rig

# Done from 60 to 8 days ago, in the order in which a table fills.
DONE = text(f"""
INSERT INTO {EVENTS} (id, entity_type, entity_id, op, event_version, status, attempts, processed_at,
    created_at, updated_at)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'done', 1, t, t, t
FROM generate_series(1, :rows) n,
    LATERAL (SELECT now() - interval '60 days' + n * (interval '52 days' / :rows) AS t) past
""")
# Eight causes; each error has an id and a number of its own.
FAILED = text(f"""
INSERT INTO {EVENTS} (id, entity_type, entity_id, op, event_version, status, attempts, error_reason, error,
    created_at, updated_at)
SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, 'failed', 10,
    (ARRAY['mapping', 'connect', 'timeout', 'bad_request'])[1 + n % 4],
    'cause ' || chr(65 + n % 8) || ': failed to parse field [text] of ' || gen_random_uuid() || ' after '
        || n || ' ms', now(), now()
FROM generate_series(1, :rows) n
""")
FAILED_AGAIN = text(f"""
UPDATE {EVENTS} SET status = 'failed', attempts = 10, error_reason = 'mapping',
    error = 'cause A: failed to parse field [text] of ' || id
WHERE status = 'pending'
""")
# now() is the start of a batch's transaction: what lies between two starts is the batch and what is around.
LONGEST = text(f"""
SELECT 1000 * extract(epoch FROM max(gap)) FROM (
    SELECT lead(at) OVER (ORDER BY at) - at AS gap FROM {AUDIT} WHERE act_id = CAST(:act AS uuid)) gaps
""")
PRUNED = text(f"SELECT count(*) FROM {AUDIT} WHERE action = 'prune'")


def make(rig: Rig, done: int, failed: int) -> None:
    """Fill both tables' past, and leave nothing to be written out while we measure."""
    fill.reset(rig)
    with rig.database.begin() as connection:
        connection.execute(DONE, {"rows": done})
        connection.execute(FAILED, {"rows": failed})
    settle(rig)


def fail_again(rig: Rig) -> None:
    """What was replayed has failed once more."""
    with rig.database.begin() as connection:
        connection.execute(FAILED_AGAIN)
    settle(rig)


def settle(rig: Rig) -> None:
    fill.vacuum(rig)
    rig.checkpoint()


def longest_batch_ms(rig: Rig, act: str) -> float:
    """The longest batch of an act, in milliseconds."""
    with rig.database.begin() as connection:
        return float(connection.execute(LONGEST, {"act": act}).scalar() or 0)


def prune_batches(rig: Rig) -> int:
    """How many batches were pruned so far, by all runs."""
    with rig.database.begin() as connection:
        return int(connection.execute(PRUNED).scalar_one())
