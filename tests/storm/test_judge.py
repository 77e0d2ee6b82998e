"""The storm's judge sees each kind of damage, and nothing else."""

import uuid
from decimal import Decimal
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from engines.node import Node
from servers import Servers
from storm.judge import Judge
from storm.report import Report

pytestmark = pytest.mark.real_engine


@pytest.fixture
def node(servers: Servers) -> Node:
    """The judge's eyes."""
    return Node(servers.sink, number=Decimal)


@pytest.fixture
def whole(sql: lab.Sql, engine: Elasticsearch, index: str) -> list[uuid.UUID]:
    """Three entities at version 2, and their documents."""
    entities = [lab.put(sql, version=2)[0] for _ in range(3)]
    sql.execute("SET TimeZone = 'UTC'")
    for id_, version, row in sql.execute(
        "SELECT entity_type || ':' || entity_id, event_version, to_jsonb(s) FROM search_index s"
    ):
        write(engine, index, id_, version, row)
    return entities


def write(engine: Elasticsearch, index: str, id_: str, version: int, document: Any) -> None:
    engine.index(index=index, id=id_, version=version, version_type="external_gte", document=document)


def judged(sql: lab.Sql, node: Node, index: str, *, events: int = 3) -> Report:
    report = Report(events=events)
    Judge(sql, node, index).judge(report)
    return report


def test_losses_ghosts_failures_and_missing_rows_are_told_apart(
    sql: lab.Sql, engine: Elasticsearch, node: Node, index: str, whole: list[uuid.UUID]
) -> None:
    report = judged(sql, node, index)
    assert (report.wrong, report.lost, report.resurrected, report.documents) == ([], 0, 0, 3)
    ghost, missing = f"block:{uuid.uuid4()}", f"block:{whole[1]}"
    write(engine, index, ghost, 1, {})
    engine.delete(index=index, id=missing)
    sql.execute(
        "UPDATE search_outbox_events SET status = 'failed', error_reason = 'mapping' WHERE entity_id = %s",
        [whole[0]],
    )
    report = judged(sql, node, index, events=4)
    assert (report.lost, report.resurrected, report.failed) == (2, 1, {"mapping": 1})
    assert report.wrong[:4] == [
        "1 rows are missing in the outbox",
        f"{index}: '{missing}' is missing",
        f"{index}: '{ghost}' has no row",
        "1 events failed: mapping",
    ]
