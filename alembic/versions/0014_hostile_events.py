"""Who may not UPDATE events writes neither a follow event nor a key of more than 8,192 bytes.

Revision ID: 0014
Revises: 0013
"""

from alembic import context, op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    first = context.script.get_revision("0001")
    op.execute(first.module.BEGINS)
