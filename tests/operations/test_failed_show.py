"""An event beside its source row and its document: what is wrong, field by field."""

import json
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from operations.failures import fail
from outboxctl.operations.inspection import differences
from processes import Cli


def _write(engine: Elasticsearch, index: str, entity: str, version: int, **body: Any) -> None:
    engine.index(
        index=index, id=f"block:{entity}", document=body, version=version, version_type="external_gte"
    )


@pytest.mark.no_servers
def test_a_field_is_missing_differs_or_is_only_there() -> None:
    here = {"a": 1, "b": "x", "c": None, "d": 1.0, "t": [{"x": True}]}
    there: dict[str, Any] = {"b": "y", "c": None, "d": 1, "t": [{"x": 1}], "e": []}
    assert [(d.field, d.kind) for d in differences(here, there)] == [
        ("a", "missing"),
        ("b", "differs"),
        ("t", "differs"),
        ("e", "only there"),
    ]
    assert differences(here, here) == differences(None, None) == []
    assert [d.kind for d in differences(here, None)] == ["missing"] * 5


def test_both_sides_and_the_difference(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    entity = uuid4()
    lab.source(sql, entity, 7)
    event = fail(sql, "[/nope] \x1b[31m", entity_id=entity)
    _write(engine, index, str(entity), 5, text="\x1b]0;owned\x07[red]" * 99, event_version=5, extra="x")
    before = lab.state(sql)
    seen = cli.json("failed", "show", event)
    assert (seen["event"]["id"], seen["source"]["event_version"], seen["document"]["version"]) == (
        event,
        7,
        5,
    )
    kinds = {d["field"]: d["kind"] for d in seen["difference"]}
    assert (kinds["text"], kinds["extra"], kinds["created_at"]) == ("differs", "only there", "missing")
    shown = cli.ok("failed", "show", event)
    assert not {"\x1b", "\x07"} & set(shown)
    assert "version 5" in shown
    assert seen["fingerprint"] in shown
    assert lab.state(sql) == before


def test_a_bad_op_without_a_row_and_a_document_is_told_as_it_is(cli: Cli, sql: psycopg.Connection) -> None:
    """Its source row was called gone, which never was, and the index was said to say what the row says."""
    (event,) = cli.json("inject", "bad-op")["ids"]
    entity = sql.execute("SELECT entity_id FROM search_outbox_events").fetchone()
    assert entity
    cli.ok("worker", "--drain")
    shown = cli.ok("failed", "show", event)
    assert f"search_index has no row for block:{entity[0]}" in shown
    assert f"There is no document block:{entity[0]} in the index." in shown
    assert "No difference: neither exists." in shown
    assert "gone" not in shown
    assert f"Next: outboxctl failed discard --id {event} --by YOU" in shown


def test_without_the_sink_the_rest_is_shown(cli: Cli, sql: psycopg.Connection) -> None:
    event = fail(sql, created_at="infinity", event_version=None, error=None, error_reason=None)
    for env in ({"ELASTIC_URL": "http://127.0.0.1:9"}, {"ELASTIC_INDEX": "there-is-none"}):
        seen = json.loads(cli.ok("failed", "show", event, "--json", env=env))
        assert (seen["source"], seen["document"], seen["difference"]) == (None, None, None)
        assert seen["sink_error"].startswith(("connect: ", "index_unavailable: ", "the index "))
        shown = cli.ok("failed", "show", event, env=env)
        assert "The index could not be read" in shown
        assert "infinity" in shown
        assert "search_index has no row for block:" in shown


def test_times_are_in_utc_whatever_the_sessions_zone(cli: Cli, sql: psycopg.Connection) -> None:
    event = fail(sql, created_at="2026-01-02 03:04:05+00")
    seen = cli.json("failed", "show", event, env={"PGTZ": "Asia/Shanghai"})
    assert seen["event"]["created_at"] == "2026-01-02T03:04:05+00:00"
