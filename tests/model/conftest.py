"""A database whose clock is a row of a table."""

import psycopg
import pytest

# The statements say `now()`, and search `pg_catalog` alone: in this database that function is replaced. It
# must be one that the planner can inline, for the executor finds built-in functions by their number.
CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.moment AS SELECT pg_catalog.now() AS at;
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM clock.moment';
SET allow_system_table_mods = on;
CREATE OR REPLACE FUNCTION pg_catalog.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT clock.now()';
"""


@pytest.fixture
def clock(url: str) -> None:
    """Time is passed in."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CLOCK)
