"""A sample of the source against the index: what differs is found, what is under way is not blamed."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.operations.check.sample_comparison import drift
from processes import Cli
from scene import Scene
from sinks import client_of

SOURCE = """
INSERT INTO search_index (id, entity_type, entity_id, text, event_version)
SELECT gen_random_uuid(), %s, gen_random_uuid(), 'text', %s FROM generate_series(1, %s)
RETURNING entity_type || ':' || entity_id
"""
EVENT = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, status, event_version)
SELECT entity_type, entity_id, 'upsert', %s, event_version FROM search_index
WHERE entity_type || ':' || entity_id = %s
"""
SIZE = 50


def entity(sql: psycopg.Connection, version: int = 5, kind: str = "block") -> str:
    return str(sql.execute(SOURCE, [kind, version, 1]).fetchall()[0][0])


def index_at(scene: Scene, id_: str, version: int) -> None:
    scene.engine.index(
        index=scene.index, id=id_, document={}, version=version, version_type="external_gte", refresh=False
    )


@pytest.fixture
def look(db: Database, scene: Scene) -> Callable[..., Any]:
    """Takes a sample; the ids that differ."""

    def drifted() -> list[str]:
        found = drift(db, client_of(scene.engine), scene.index, SIZE)
        assert found.sampled
        return sorted(found.differing)

    return drifted


@pytest.mark.real_engine
def test_missing_stale_and_ahead_are_found_and_nothing_else(
    look: Callable[..., Any], sql: psycopg.Connection, scene: Scene
) -> None:
    same, missing, stale, ahead = (entity(sql) for _ in range(4))
    for id_, version in ((same, 5), (stale, 4), (ahead, 6)):
        index_at(scene, id_, version)
    for id_ in (same, missing, stale, ahead):
        sql.execute(EVENT, ["done", id_])
    assert look() == sorted([missing, stale, ahead])
    # Most pages have no row: what is left is found all the same.
    sql.execute(SOURCE, ["page", 1, 20_000])
    sql.execute("DELETE FROM search_index WHERE entity_type = 'page'")
    assert look() == sorted([missing, stale, ahead])


@pytest.mark.real_engine
@pytest.mark.parametrize("status", ["pending", "processing"])
def test_what_is_under_way_is_no_drift(
    look: Callable[..., Any], sql: psycopg.Connection, scene: Scene, status: str
) -> None:
    ids = [entity(sql) for _ in range(3)]
    index_at(scene, ids[1], 4)
    for id_ in ids:
        sql.execute(EVENT, [status, id_])
    assert look() == []
    sql.execute("UPDATE search_outbox_events SET entity_type = 'other'")
    assert look() == sorted(ids), "another entity's events say nothing of these"


@pytest.mark.real_engine
def test_the_command_names_one_and_what_to_run(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    kind = "a|b\x1b[31m[/nope]{}"
    entity(sql, kind=kind)
    done = cli("check", "--drift-sample", "10")
    assert done.returncode == 4
    first, finding = done.stdout.splitlines()
    assert first.startswith("OUTBOX CRITICAL - drift 1 | ")
    assert "1 of 1 sampled entities differ" in finding
    assert finding.endswith("run: outboxctl verify")
    assert "\x1b" not in done.stdout
    engine.index(
        index=index,
        id=f"{kind}:{sql.execute('SELECT entity_id FROM search_index').fetchall()[0][0]}",
        document={},
        version=5,
        version_type="external_gte",
    )
    assert "drift=0" in cli.ok("check", "--drift-sample", "10")
