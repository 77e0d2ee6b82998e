"""What migrations make is in the lists of `core/schema/names.py`, by which everything else finds it."""

import psycopg

from outboxctl.core.schema.names import ALL_TABLES, TRIGGER_FUNCTIONS

RELATIONS = """
SELECT relname::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
"""
# Those of projections are made with their schema: in their migration it is written as `@.`.
FUNCTIONS = r"""
SELECT proname::text FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND proname NOT LIKE 'outbox\_projections\_%'
"""


def test_each_table_is_in_the_list(sql: psycopg.Connection) -> None:
    """One that is not is found by the search path alone, and `outboxctl roles` gives nobody a right to it."""
    assert {name for (name,) in sql.execute(RELATIONS)} == {*ALL_TABLES}


def test_each_function_is_in_the_list(sql: psycopg.Connection) -> None:
    """One that is not is made and called without a schema: where the search path says so, or not at all."""
    assert {name for (name,) in sql.execute(FUNCTIONS)} == {*TRIGGER_FUNCTIONS}
