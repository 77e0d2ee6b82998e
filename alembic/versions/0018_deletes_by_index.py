"""A delete that is sent again goes to the index that a column of the document had chosen.

Revision ID: 0018
Revises: 0017
"""

from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.execute("ALTER TABLE outbox_deletes ADD COLUMN IF NOT EXISTS index_name text NOT NULL DEFAULT ''")
