"""Alembic's entry: migrates on the connection that `outboxctl db` hands in, or prints SQL."""

import os

from alembic import context
from sqlalchemy import create_engine

from outboxctl.core.schema.names import VERSION


def run_offline() -> None:
    context.configure(dialect_name="postgresql", literal_binds=True, version_table=VERSION)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    connection = context.config.attributes.get("connection")
    if connection is None:
        url = os.environ["DATABASE_URL"].partition("://")[2]
        connection = create_engine(f"postgresql+psycopg://{url}").connect()
    context.configure(connection=connection, version_table=VERSION)
    with context.begin_transaction():
        context.run_migrations()


run_offline() if context.is_offline_mode() else run_online()
