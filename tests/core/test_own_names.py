"""What migrations make is in the lists of `core/schema/names.py`, by which everything else finds it."""

import psycopg

from outboxctl.core.schema.names import ALL_TABLES, TRIGGER_FUNCTIONS

OURS = 16_384  # the first oid that is not PostgreSQL's own
RELATIONS = """
SELECT relnamespace::regnamespace || '.' || relname FROM pg_class
WHERE oid >= %s AND relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace <> 'pg_toast'::regnamespace
"""
FUNCTIONS = "SELECT pronamespace::regnamespace || '.' || proname FROM pg_proc WHERE oid >= %s"


def test_each_table_is_in_the_list(sql: psycopg.Connection) -> None:
    """One that is not is found by the search path alone, and `outboxctl roles` gives nobody a right to it."""
    found = {name for (name,) in sql.execute(RELATIONS, [OURS])}
    assert found == {f"public.{name}" for name in ALL_TABLES}


def test_each_function_is_in_the_list(sql: psycopg.Connection) -> None:
    """One that is not is made beside PostgreSQL's own, in `pg_catalog`, or `outboxctl db drop` leaves it."""
    found = {name for (name,) in sql.execute(FUNCTIONS, [OURS])}
    assert found == {f"public.{name}" for name in TRIGGER_FUNCTIONS}
