"""Tenants, whose indexes are deleted at the end."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from tenants.tenancy import Tenants


@pytest.fixture
def tenants(
    sql: psycopg.Connection, cli: Cli, engine: Elasticsearch, index: str, tmp_path: Path
) -> Iterator[Tenants]:
    """Three tenants that are declared, and not applied."""
    made = Tenants(sql, cli, engine, f"{index}-of", tmp_path / "tenants.toml")
    made.add("tenant_a", "tenant_b", "tenant_c")
    made.declare("tenant_*")
    yield made
    made.delete_indexes()
