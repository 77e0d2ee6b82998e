"""A database and an index, and what must hold in them."""

import psycopg
import pytest
from elasticsearch import Elasticsearch

from scene import Scene


@pytest.fixture
def scene(sql: psycopg.Connection, engine: Elasticsearch, index: str) -> Scene:
    """This test's database and index."""
    return Scene(sql, engine, index)
