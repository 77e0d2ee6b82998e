"""Order: late, doubled, stale and orphaned events never harm the index."""

import uuid

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli


def test_a_stale_or_repeated_event_does_not_turn_a_document_back(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    entity = uuid.uuid4()
    lab.source(sql, entity, 5, text="five")
    lab.event(sql, entity, 5)
    cli.ok("worker", "--drain")
    lab.event(sql, entity, 2)
    lab.event(sql, entity, 5)
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": 3}
    assert lab.document(engine, index, entity)["text"] == "five"
    # The source went back (a restore): what the index holds is newer, so it stays.
    lab.source(sql, entity, 3, text="three")
    lab.event(sql, entity, 3)
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": 4}
    assert lab.document(engine, index, entity)["text"] == "five"


@pytest.mark.real_engine
def test_a_deleted_entity_does_not_come_back_by_a_late_upsert_event(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    entity, _ = lab.put(sql)
    cli.ok("worker", "--drain")
    sql.execute("DELETE FROM search_index WHERE entity_id = %s", [entity])
    lab.event(sql, entity, 2, op="delete")
    cli.ok("worker", "--drain")
    assert lab.document(engine, index, entity) is None
    lab.event(sql, entity, 1)
    lab.event(sql, entity, 2, op="delete")
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": 4}
    assert lab.document(engine, index, entity) is None


def test_an_entity_deleted_and_written_anew_is_found_again(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    entity, _ = lab.put(sql)
    cli.ok("worker", "--drain")
    sql.execute("DELETE FROM search_index WHERE entity_id = %s", [entity])
    lab.event(sql, entity, 2, op="delete")
    lab.source(sql, entity, 3, text="reborn")
    lab.event(sql, entity, 3)
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": 3}
    assert lab.document(engine, index, entity)["text"] == "reborn"
    # The delete alone, late, while the row lives: the row says what is true.
    lab.event(sql, entity, 2, op="delete")
    cli.ok("worker", "--drain")
    assert lab.document(engine, index, entity)["text"] == "reborn"
