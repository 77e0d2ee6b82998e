"""The schema of the release before this one, and how to get there."""

from alembic import command

from outboxctl.core.database import Database
from outboxctl.core.schema.migrations import config

PREVIOUS = "0004"


def go_back(db: Database, revision: str) -> None:
    """As `db downgrade` does, unasked."""
    with db.begin() as connection:
        command.downgrade(config(connection), revision)
