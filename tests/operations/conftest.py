"""A system that is compared, and damaged."""

from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from operations.disaster import Ground


@pytest.fixture
def ground(sql: psycopg.Connection[Any], engine: Elasticsearch, index: str) -> Ground:
    """Twenty rows and their documents."""
    return Ground.filled(sql, engine, index, 20)
