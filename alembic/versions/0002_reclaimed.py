"""Reclaimed events are claimed alone: an index that finds them without reading past the others.

Revision ID: 0002
Revises: 0001
"""

from alembic import op

revision = "0002"
down_revision = "0001"

TAKES = (("index", "ix_search_outbox_events_reclaimed"),)


def upgrade() -> None:
    op.execute(
        "CREATE INDEX IF NOT EXISTS ix_search_outbox_events_reclaimed ON search_outbox_events (created_at)"
        " WHERE status = 'pending' AND error_reason = 'lease_expired'"
    )


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_search_outbox_events_reclaimed")
