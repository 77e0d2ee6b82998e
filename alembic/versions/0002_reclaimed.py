"""Reclaimed events are claimed alone: an index that finds them without reading past the others.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"

# By its table: the search path need not lead to it.
DROP = """
DO $$
DECLARE
    found regclass := (SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'search_outbox_events'::regclass
        AND c.relname = 'ix_search_outbox_events_reclaimed');
BEGIN
    IF found IS NOT NULL THEN
        EXECUTE 'DROP INDEX ' || found::text;
    END IF;
END
$$;
"""
TAKES = (("index", "ix_search_outbox_events_reclaimed"),)


def upgrade() -> None:
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_search_outbox_events_reclaimed ON search_outbox_events (created_at)"
        " WHERE status = 'pending' AND error_reason = 'lease_expired'"
    )


def downgrade() -> None:
    op.execute(DROP)
