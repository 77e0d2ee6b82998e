"""Where the documents of a projection are, where that is not by their keys alone, and what they hold.

Revision ID: 0016
Revises: 0015
"""

from alembic import op
from sqlalchemy.schema import CreateIndex, CreateTable

from outboxctl.core.tables import PLACES

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.execute(CreateTable(PLACES, if_not_exists=True))
    for index in PLACES.indexes:
        op.execute(CreateIndex(index, if_not_exists=True))
