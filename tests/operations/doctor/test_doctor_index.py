"""The index: each finding is brought about in a real engine, and ends with what is said to mend it."""

from typing import Any

import pytest
from elasticsearch import Elasticsearch

from operations.doctor.ward import Ward
from outboxctl.operations.doctor.model import End
from outboxctl.sink.index.index_setup import MAPPING

pytestmark = pytest.mark.real_engine
SETTINGS: dict[str, dict[str, Any]] = {
    "gc-deletes": {"gc_deletes": "60s"},
    "refresh-off": {"refresh_interval": "-1"},
    "translog-async": {"translog.durability": "async"},
    "index-blocked": {"blocks.write": True, "blocks.read_only_allow_delete": True},
    "ingest-pipeline": {"default_pipeline": "drop-drafts", "final_pipeline": "stamp"},
}
FIELDS = MAPPING["properties"]
REFUSING = {
    "text": {"type": "long"},
    "snippet": {"properties": {"de": {"type": "text"}}},
    "event_version": {"type": "integer"},
    "rank_score": {"type": "boolean"},
    "created_at": {"type": "date", "format": "epoch_millis"},
    "library_id": {"type": "ip"},
}
TAKING = {
    "text": {"type": "keyword"},
    "rank_score": {"type": "float"},
    "created_at": {"type": "date_nanos"},
    "updated_at": {"type": "date", "format": "strict_date_optional_time||epoch_millis"},
    "extra": {"type": "ip"},
}


def _instead(engine: Elasticsearch, index: str, **mapping: Any) -> None:
    """Another mapping behind the same name."""
    engine.indices.delete(index=f"{index}-000001")
    alias = {index: {"is_write_index": True}}
    settings = {"gc_deletes": "1h", "number_of_replicas": 0}
    engine.indices.create(index=f"{index}-000001", aliases=alias, mappings=mapping, settings=settings)


def test_an_index_of_this_project_is_healthy(ward: Ward) -> None:
    report = ward.examine(End.SINK)
    assert report.findings == []
    assert len(report.examined) == 5


@pytest.mark.parametrize("id_", SETTINGS)
def test_a_setting_that_harms_is_found_and_mended(
    ward: Ward, engine: Elasticsearch, index: str, id_: str
) -> None:
    engine.indices.put_settings(index=f"{index}-000001", settings={"index": SETTINGS[id_]})
    ward.cures(id_, End.SINK)
    assert ward.ids(End.SINK) == []


def test_a_pipeline_that_is_switched_off_is_no_finding(ward: Ward, engine: Elasticsearch, index: str) -> None:
    engine.indices.put_settings(index=f"{index}-000001", settings={"index": {"default_pipeline": "_none"}})
    assert ward.ids(End.SINK) == []


def test_a_missing_index_is_made_as_this_project_makes_it(
    ward: Ward, engine: Elasticsearch, index: str
) -> None:
    made = engine.indices.get(index=index)[f"{index}-000001"]
    engine.indices.delete(index=f"{index}-000001")
    assert ward.ids(End.SINK) == ["index-missing"]
    ward.cures("index-missing", End.SINK)
    again = engine.indices.get(index=index)[f"{index}-000001"]
    assert (again["aliases"], again["mappings"]) == (made["aliases"], made["mappings"])
    assert ward.ids(End.SINK) == []


def test_a_closed_index_is_opened(ward: Ward, engine: Elasticsearch, index: str) -> None:
    engine.indices.close(index=f"{index}-000001")
    ward.cures("index-closed", End.SINK)


def test_an_alias_of_two_indexes_says_where_writes_go(ward: Ward, engine: Elasticsearch, index: str) -> None:
    engine.indices.put_alias(index=f"{index}-000001", name=index, is_write_index=False)
    engine.indices.create(index=f"{index}-000002", mappings=MAPPING, settings={"number_of_replicas": 0})
    try:
        engine.indices.put_alias(index=f"{index}-000002", name=index)
        ward.cures("alias-no-write-index", End.SINK)
        # Only the one that is written to matters.
        assert "-000002" in ward.one("gc-deletes", End.SINK).what
    finally:
        engine.indices.delete(index=f"{index}-000002")


def test_fields_that_take_the_documents_values_are_no_finding(
    ward: Ward, engine: Elasticsearch, index: str
) -> None:
    _instead(engine, index, properties=FIELDS | TAKING)
    assert ward.ids(End.SINK) == []


@pytest.mark.parametrize("field", REFUSING)
def test_a_field_that_refuses_the_documents_value_is_found(
    ward: Ward, engine: Elasticsearch, index: str, field: str
) -> None:
    _instead(engine, index, dynamic=False, properties=FIELDS | {field: REFUSING[field]})
    assert ward.ids(End.SINK) == ["mapping-refuses"]
    assert f"maps {field} as" in ward.one("mapping-refuses", End.SINK).what
    document = {field: {"created_at": "2026-01-01T00:00:00+00:00", "event_version": 2**40, "rank_score": 0.5}}
    with pytest.raises(Exception, match=r"document_parsing_exception|mapper_parsing_exception"):
        engine.index(index=index, document={field: document[field].get(field, "some text")})


def test_a_strict_mapping_without_our_columns_is_completed(
    ward: Ward, engine: Elasticsearch, index: str
) -> None:
    lean = {name: FIELDS[name] for name in ("id", "entity_type", "text")}
    _instead(engine, index, dynamic="strict", properties=lean)
    assert "entity_id, library_id" in ward.cures("mapping-strict", End.SINK).what
    assert ward.ids(End.SINK) == []


def test_an_index_that_keeps_no_documents_is_found(ward: Ward, engine: Elasticsearch, index: str) -> None:
    _instead(engine, index, properties=FIELDS, _source={"enabled": False})
    assert ward.ids(End.SINK) == ["source-disabled"]
