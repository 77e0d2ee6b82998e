"""An index spoilt behind the tool's back: found to the last document, and healed by ordinary events."""

import json
import uuid
from functools import partial
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk

from acceptance import lab
from processes import Cli, eventually

WHO = ("--by", "alice", "--reason", "a snapshot was restored")
EACH = 6
COUNT = 120


@pytest.fixture
def ids(cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str) -> list[str]:
    """The ids of documents at version 3, the same on both sides, and nothing under way."""
    lab.load(sql, COUNT)
    sql.execute("UPDATE search_index SET event_version = 3")
    sql.execute("UPDATE search_outbox_events SET event_version = 3")
    cli.ok("worker", "--drain")
    assert set(_documents(engine, index)) == set(_rows(sql))
    return sorted(_rows(sql))


def _rows(sql: lab.Sql) -> dict[str, Any]:
    found = lab.rows(sql, "SELECT entity_type, entity_id::text, text, event_version FROM search_index")
    return {f"{each['entity_type']}:{each['entity_id']}": each for each in found}


def _documents(engine: Elasticsearch, index: str) -> dict[str, Any]:
    engine.indices.refresh(index=index)
    hits = engine.search(index=index, size=5000)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def _agrees(sql: lab.Sql, engine: Elasticsearch, index: str) -> bool:
    """Whether the index says what the database says, by the eyes of an ordinary client."""
    rows, documents = _rows(sql), _documents(engine, index)
    return rows.keys() == documents.keys() and all(
        documents[id_][name] == row[name] for id_, row in rows.items() for name in row
    )


def _spoil(engine: Elasticsearch, index: str, ids: list[str]) -> dict[str, set[str]]:
    """Delete, add, age and alter documents with an ordinary client; which, by the word of the issue."""
    deleted, updated, put, aged, altered = (ids[start : start + EACH] for start in range(0, 5 * EACH, EACH))
    source = _documents(engine, index)
    for id_ in deleted:
        engine.delete(index=index, id=id_)
    for id_ in updated:
        engine.update(index=index, id=id_, doc={"text": "altered by _update"})
    for id_ in put:
        engine.index(index=index, id=id_, document=source[id_] | {"text": "altered by PUT"})
    for id_ in altered:
        body = source[id_] | {"text": "the same version"}
        engine.index(index=index, id=id_, document=body, version=3, version_type="external_gte")
    _age(engine, index, {id_: source[id_] | {"text": "of yesterday", "event_version": 1} for id_ in aged})
    added = [f"block:{uuid.uuid4()}" for _ in range(EACH)]
    bulk(engine, [{"_index": index, "_id": id_, "text": "a stranger"} for id_ in added], refresh=True)
    return {
        "missing": {*deleted},
        "ahead": {*updated, *put},
        "stale": {*aged},
        "altered": {*altered},
        "extra": {*added},
    }


def _age(engine: Elasticsearch, index: str, old: dict[str, Any]) -> None:
    """Put documents of version 1 where newer ones were, as an old snapshot would."""
    engine.indices.put_settings(index=index, settings={"index.gc_deletes": "0s"})
    for id_ in old:
        engine.delete(index=index, id=id_)

    def put(id_: str) -> bool:
        engine.indices.refresh(index=index)
        return "result" in engine.options(ignore_status=409).index(
            index=index, id=id_, document=old[id_], version=1, version_type="external"
        )

    for id_ in old:
        eventually(partial(put, id_), what="the tombstone is forgotten")
    engine.indices.put_settings(index=index, settings={"index.gc_deletes": "1h"})


def _found(cli: Cli, *args: str) -> Any:
    seen = cli("verify", "--json", "--limit", "1000", *args)
    report = json.loads(seen.stdout)
    assert seen.returncode == (4 if report["differences"] else 0)
    return report


def _by_kind(report: Any) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for each in report["first"]:
        kinds.setdefault(each["kind"], set()).add(each["id"])
    return kinds


@pytest.mark.real_engine
def test_a_spoilt_index_is_found_exactly_and_healed_exactly(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str, ids: list[str]
) -> None:
    assert _found(cli)["differences"] == 0
    spoilt = _spoil(engine, index, ids)
    report = _found(cli)
    assert _by_kind(report) == spoilt
    assert report["by_kind"] == {kind: len(each) for kind, each in spoilt.items()} | {"unreadable": 0}
    before = lab.state(sql), _documents(engine, index)
    rehearsal = cli("verify", "--repair", *WHO, "--dry-run", "--json")
    assert json.loads(rehearsal.stdout)["differences"] == report["differences"]
    assert (lab.state(sql), _documents(engine, index)) == before
    cli.ok("verify", "--repair", *WHO)
    count = COUNT + report["differences"]
    assert lab.one(sql, "SELECT count(*) FROM search_outbox_events") == count
    cli.ok("worker", "--drain")
    assert _found(cli, "--full")["differences"] == 0
    assert _agrees(sql, engine, index)
    assert lab.by_status(sql) == {"done": count}
    acts = [each for each in cli.json("audit")["audit"] if each["action"] == "repair"]
    assert sum(each["affected"] for each in acts) == report["differences"]
    assert {(each["operator"], each["reason"]) for each in acts} == {(WHO[1], WHO[3])}


ONE = "(SELECT min(entity_id::text)::uuid FROM search_index)"
SILENT = {
    "altered": f"UPDATE search_index SET text = 'changed without a version' WHERE entity_id = {ONE}",
    "missing": "INSERT INTO search_index (id, entity_type, entity_id, text, event_version, created_at, "
    "updated_at) VALUES (gen_random_uuid(), 'page', gen_random_uuid(), 'no event', 1, now(), '2001-01-01')",
    "extra": f"DELETE FROM search_index WHERE entity_id = {ONE}",
}


@pytest.mark.usefixtures("ids")
@pytest.mark.parametrize("kind", SILENT)
def test_a_row_changed_without_an_event_is_found_at_once_though_both_sides_had_agreed(
    cli: Cli, sql: lab.Sql, kind: str
) -> None:
    assert _found(cli)["differences"] == 0
    sql.execute(SILENT[kind])
    report = _found(cli)
    assert (report["differences"], report["by_kind"][kind]) == (1, 1)
    sql.execute("DELETE FROM search_index")
    assert _found(cli)["by_kind"]["extra"] == COUNT
