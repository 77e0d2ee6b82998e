"""The judge of documents names each one that is missing, extra or not its row, by its last digit."""

from decimal import Decimal
from pathlib import Path
from types import ModuleType

import psycopg
import pytest

from engines.node import Node
from processes import Cli
from schemas.place import Place
from servers import Servers

SCHEMA = ModuleType("kept")
SCHEMA.__dict__.update(
    NAME="kept",
    TABLES="""
        CREATE SCHEMA kept;
        CREATE TABLE kept.things (id int PRIMARY KEY, size numeric(38, 18));
        INSERT INTO kept.things SELECT n, 0.1 FROM generate_series(1, 3) n;
    """,
    DECLARATION="""
[projections.thing]
root = "kept.things"
key = "id"
document = "kept.things"
index = "{thing}"
""",
)


@pytest.mark.real_engine
def test_a_wrong_document_is_named_whatever_is_wrong_with_it(
    sql: psycopg.Connection, cli: Cli, tmp_path: Path, servers: Servers
) -> None:
    engine = Node(servers.sink, number=Decimal)
    place = Place(SCHEMA, sql, cli, tmp_path)
    cli.ok("worker", "--drain")
    assert place.differences(engine) == []
    index = place.indexes["thing"]
    engine.ok("DELETE", f"/{index}/_doc/1")
    engine.put(index, "2", 2**60, {"id": 2, "size": 0.10000000000000002})
    engine.put(index, "4", 1, {"id": 4, "size": 0.1})
    found = place.differences(engine)
    assert [line.partition(" ")[2][:3] for line in found] == ["'1'", "'4'", "'2'"]
    place.remove(engine)
