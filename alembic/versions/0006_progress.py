"""A worker's heartbeat says when it last completed an event, or saw none waiting.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"

# Nullable, without a default: a worker of the release before writes its row as ever.
ADD = "ALTER TABLE outbox_workers ADD COLUMN IF NOT EXISTS progress_at timestamptz"
TAKES = (("column", "outbox_workers.progress_at"),)  # by the downgrade


def upgrade() -> None:
    op.execute(ADD)


def downgrade() -> None:
    op.execute("ALTER TABLE outbox_workers DROP COLUMN IF EXISTS progress_at")
