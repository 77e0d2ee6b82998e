"""The operator's desk: workers that say how they are, acts that can be undone, rebuilds that resume.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"

TAKES = (("table", "outbox_workers"), ("table", "outbox_rebuilds"))
# One audit row a batch; the rows of one act share act_id (NULL: the row is an act by itself, as all
# were before). What the events said before the act is kept beside their ids, in the same order: an
# undo puts it back.
AUDIT = """
ALTER TABLE outbox_operator_audit ADD COLUMN IF NOT EXISTS act_id uuid;
ALTER TABLE outbox_operator_audit ADD COLUMN IF NOT EXISTS before_reasons text[];
ALTER TABLE outbox_operator_audit ADD COLUMN IF NOT EXISTS before_errors text[];
ALTER TABLE outbox_operator_audit ADD COLUMN IF NOT EXISTS before_attempts integer[];
ALTER TABLE outbox_operator_audit ADD COLUMN IF NOT EXISTS before_times timestamptz[];
CREATE INDEX IF NOT EXISTS ix_outbox_operator_audit_act ON outbox_operator_audit (act_id)
    WHERE act_id IS NOT NULL;
"""
# A row a worker process, written again at every heartbeat: room for HOT updates.
WORKERS = """
CREATE TABLE IF NOT EXISTS outbox_workers (
    id uuid PRIMARY KEY,
    worker_id varchar(120) NOT NULL,
    host varchar(255) NOT NULL,
    pid integer NOT NULL,
    version varchar(40) NOT NULL,
    started_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    in_flight integer NOT NULL,
    outage_policy varchar(10) NOT NULL,
    circuit_open boolean NOT NULL,
    rate_in double precision,
    rate_out double precision
) WITH (fillfactor = 50);
"""
# One unended row an alias: a rebuild that was killed is found there, and goes on. `body` is the new
# index as it shall be in the end; `caught_up_to` the moment up to which events have been followed.
REBUILDS = """
CREATE TABLE IF NOT EXISTS outbox_rebuilds (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    action varchar(20) NOT NULL,
    alias varchar(255) NOT NULL,
    old_index varchar(255),
    new_index varchar(255) NOT NULL,
    concrete boolean NOT NULL,
    body jsonb NOT NULL,
    phase varchar(20) NOT NULL,
    cursor_type varchar(50),
    cursor_id uuid,
    copied bigint NOT NULL DEFAULT 0,
    caught_up bigint NOT NULL DEFAULT 0,
    healed bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,
    caught_up_to timestamptz NOT NULL DEFAULT now(),
    operator varchar(120) NOT NULL,
    reason text NOT NULL,
    grace_seconds double precision NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    swapped_at timestamptz,
    ended_at timestamptz,
    kept_index varchar(255),
    kept_until timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS uq_outbox_rebuilds_under_way ON outbox_rebuilds (alias)
    WHERE ended_at IS NULL;
"""


def upgrade() -> None:
    op.execute(AUDIT)
    op.execute(WORKERS)
    op.execute(REBUILDS)


def downgrade() -> None:
    # The audit stays: it is nobody's to take away.
    op.execute("DROP TABLE IF EXISTS outbox_workers")
    op.execute("DROP TABLE IF EXISTS outbox_rebuilds")
