"""Alembic's entry: migrates on the connection that `outboxctl db` hands in, or prints SQL."""

import os
from contextlib import closing

from alembic import context

from outboxctl.core.database import Database
from outboxctl.core.schema.marker import current
from outboxctl.core.schema.migrations import check_known, version_table
from outboxctl.core.schema.names import VERSION
from outboxctl.core.sql import Connection


def run_offline() -> None:
    named = {"paramstyle": "named"}  # any other doubles each per cent
    context.configure(
        dialect_name="postgresql", dialect_opts=named, literal_binds=True, version_table=VERSION
    )
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        with closing(Database(os.environ["DATABASE_URL"])) as database, database.begin() as connection:
            check_known(current(connection), database.name)  # Alembic takes 0001 for the beginning of a name
            migrate(connection)
    else:
        migrate(connection)


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, **version_table(connection))
    with context.begin_transaction():
        context.run_migrations()


run_offline() if context.is_offline_mode() else run_online()
