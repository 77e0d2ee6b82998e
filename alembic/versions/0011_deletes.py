"""Deletes that were delivered are sent again, for a write that is late may arrive after the tombstone's end.

Revision ID: 0011
Revises: 0010
"""

from alembic import op

revision = "0011"
down_revision = "0010"

TAKES = (("table", "outbox_deletes"),)  # by the downgrade
# A row a delivered delete, until it has been sent for the last time. projection as in the metrics;
# document_id, version and routing are those of the action. No constraint but the key: a document that is
# deleted twice has two rows, and of two deletes the index takes the newer one.
DELETES = """
CREATE TABLE IF NOT EXISTS outbox_deletes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    projection text NOT NULL,
    document_id text NOT NULL,
    version bigint NOT NULL,
    routing text NOT NULL DEFAULT '',
    delivered_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_outbox_deletes_due ON outbox_deletes (projection, due_at);
"""


def upgrade() -> None:
    op.execute(DELETES)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS outbox_deletes")
