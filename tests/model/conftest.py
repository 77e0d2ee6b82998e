"""A database whose clock is a row of a table."""

from urllib.parse import urlsplit

import psycopg
import pytest

# The statements say `now()`; in this database that is ours, for every session from now on.
CLOCK = """
CREATE SCHEMA clock;
CREATE TABLE clock.moment AS SELECT pg_catalog.now() AS at;
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT at FROM clock.moment';
ALTER DATABASE {} SET search_path = clock, public, pg_catalog;
"""


@pytest.fixture
def clock(url: str) -> None:
    """Time is passed in."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(CLOCK.format(urlsplit(url).path[1:]))
