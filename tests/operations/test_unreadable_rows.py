"""A row of search_index whose document raises: verify and rebuild name it, and go on with all others."""

import json

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli

pytestmark = pytest.mark.real_engine
WHO = ("--by", "alice", "--reason", "drill")
# A type whose values become JSON by a function of ours, for it stands for whatever a column may compute.
RAISING = """
CREATE TYPE odd AS ENUM ('usual', '22012', '23514', 'XX000', '08001');
CREATE FUNCTION odd_to_json(o odd) RETURNS json LANGUAGE plpgsql AS $$ BEGIN
    IF o <> 'usual' THEN RAISE EXCEPTION 'raised with %', o USING ERRCODE = o::text; END IF;
    RETURN '1';
END $$;
CREATE CAST (odd AS json) WITH FUNCTION odd_to_json(odd);
ALTER TABLE search_index ALTER COLUMN rank_score TYPE odd USING 'usual';
INSERT INTO search_index (entity_type, entity_id, text, event_version)
SELECT 'block', gen_random_uuid(), 'text ' || n, 1 FROM generate_series(1, 300) n;
"""
EVENTS = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version)
SELECT entity_type, entity_id, 'upsert', event_version FROM search_index
"""
SPOIL = """
UPDATE search_index s SET rank_score = b.state::odd
FROM (VALUES ('text 1', '22012'), ('text 150', '23514'), ('text 151', 'XX000'), ('text 300', '08001'))
    b (text, state) WHERE s.text = b.text
RETURNING s.entity_type || ':' || s.entity_id, b.state
"""


@pytest.fixture
def bad(sql: psycopg.Connection, cli: Cli, index: str) -> dict[str, str]:
    """Delivered rows, of which some raise by now: their SQLSTATEs by document id."""
    sql.execute(RAISING)
    sql.execute(EVENTS)
    cli.ok("worker", "--drain")
    assert index
    return dict(sql.execute(SPOIL).fetchall())


@pytest.mark.parametrize("more", [[], ["--versions-only"]], ids=["content", "versions"])
def test_verify_names_each_and_finds_what_else_differs(
    bad: dict[str, str], cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, more: list[str]
) -> None:
    query = "SELECT entity_type || ':' || entity_id FROM search_index WHERE text = 'text 77'"
    (missing,) = sql.execute(query).fetchone() or ("",)
    engine.delete(index=index, id=missing)
    done = cli("verify", "--json", "--limit", "100", *more)
    assert done.returncode == 4, done.stderr
    report = json.loads(done.stdout)
    found = {each["id"]: each for each in report["first"]}
    unreadable = {} if more else bad
    assert found.keys() == unreadable.keys() | {missing}
    assert (report["rows"], report["by_kind"]["unreadable"]) == (300, len(unreadable))
    for id_, state in unreadable.items():
        assert f"raised with {state}" in found[id_]["error"]
    shown = cli("verify", *more)
    assert shown.returncode == 4
    assert more or "raised with 23514" in " ".join(shown.stdout.split())
    repaired = json.loads(cli("verify", "--repair", *WHO, "--json", *more).stdout)["repaired"]
    assert (repaired["enqueued"], repaired["left"]) == (1, len(unreadable))


def test_rebuild_names_each_and_leaves_it_out_where_that_is_allowed(
    bad: dict[str, str], cli: Cli, engine: Elasticsearch, index: str
) -> None:
    done = cli("rebuild", "--yes", "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["phase"]) == (4, "aborted")
    assert {each["id"] for each in report["failures"]} <= bad.keys()
    report = cli.json("rebuild", "--yes", "--allow-failures")
    assert (report["copied"], report["refused"]) == (296, 4)
    assert {each["id"]: each["reason"] for each in report["failures"]} == dict.fromkeys(bad, "bad_document")
    engine.indices.refresh(index=index)
    assert engine.count(index=index)["count"] == 296


def test_failed_show_says_what_postgresql_raises_beside_the_document(
    bad: dict[str, str], cli: Cli, sql: psycopg.Connection
) -> None:
    sql.execute(EVENTS)
    cli.ok("worker", "--drain")
    failed = sql.execute(
        "SELECT id::text, entity_type || ':' || entity_id FROM search_outbox_events WHERE status = 'failed'"
    ).fetchall()
    assert len(failed) == len(bad)
    for id_, document in failed:
        shown = " ".join(cli.ok("failed", "show", id_).split())
        assert f"search_index cannot be read: raised with {bad[document]}" in shown
        assert "They were not compared." in shown
        assert cli.json("failed", "show", id_)["document"]["body"]["text"]
