"""Order: late, doubled, stale and orphaned events never harm the index."""

import uuid
from collections.abc import Callable

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli, Worker, eventually


def test_several_events_of_one_entity_are_all_done_with_the_newest_document(
    sql: lab.Sql, worker: Callable[..., Worker], engine: Elasticsearch, index: str
) -> None:
    entity = uuid.uuid4()
    for version in (1, 2, 3):
        lab.source(sql, entity, version, text=f"version {version}")
        lab.event(sql, entity, version)
    lab.event(sql, entity, 2, created="yesterday")
    running = worker()
    eventually(lambda: lab.by_status(sql) == {"done": 4})
    assert lab.document(engine, index, entity)["text"] == "version 3"
    eventually(lambda: running.metric("outbox_processed_total", op="upsert") == 4)
    assert running.metric("outbox_idempotent_noop_total", reason="coalesced") == 3
    assert lab.document(engine, index, entity)["event_version"] == 3


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


def test_upserts_without_a_source_row_and_deletes_of_the_unknown_are_done_without_a_document(
    sql: lab.Sql, worker: Callable[..., Worker], engine: Elasticsearch, index: str
) -> None:
    gone, never = uuid.uuid4(), uuid.uuid4()
    lab.event(sql, gone, 4)
    lab.event(sql, never, 4, op="delete")
    running = worker()
    eventually(lambda: lab.by_status(sql) == {"done": 2})
    assert lab.document(engine, index, gone) is None
    assert lab.document(engine, index, never) is None
    eventually(lambda: running.metric("outbox_processed_total") == 2)
    assert running.metric("outbox_idempotent_noop_total", reason="source_missing") == 1
    assert running.metric("outbox_idempotent_noop_total", reason="delete_missing") == 1
    assert running.metric("outbox_failed_total") == 0


def test_an_event_ahead_of_its_source_row_waits_for_it(
    sql: lab.Sql, worker: Callable[..., Worker], engine: Elasticsearch, index: str
) -> None:
    entity = uuid.uuid4()
    lab.source(sql, entity, 1, text="one")
    early = lab.event(sql, entity, 2)
    _, neighbour = lab.put(sql)
    running = worker(
        OUTBOX_BASE_BACKOFF_SECONDS="0.1", OUTBOX_MAX_BACKOFF_SECONDS="0.2", OUTBOX_MAX_ATTEMPTS="50"
    )
    row = eventually(
        lambda: (r := lab.event_row(sql, early))["status"] == "pending" and r["attempts"] > 0 and r
    )
    assert row["error_reason"] == "source_not_visible"
    assert row["next_retry_at"] is not None
    eventually(lambda: lab.event_row(sql, neighbour)["status"] == "done")
    lab.source(sql, entity, 2, text="two")
    eventually(lambda: lab.event_row(sql, early)["status"] == "done")
    assert lab.document(engine, index, entity)["text"] == "two"
    assert running.metric("outbox_retry_scheduled_total", reason="source_not_visible") >= 1
    done = lab.event_row(sql, early)
    assert (done["next_retry_at"], done["error_reason"], done["error"]) == (None, None, None)


def test_versions_out_of_range_fail_alone(cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str) -> None:
    entity = uuid.uuid4()
    lab.source(sql, entity, 9223372036854775807, text="the last version")
    last = lab.event(sql, entity, 9223372036854775807)
    zero = uuid.uuid4()
    lab.source(sql, zero, 0)
    first = lab.event(sql, zero, 0)
    negative, empty = (lab.put(sql)[1] for _ in range(2))
    sql.execute("UPDATE search_outbox_events SET event_version = -1 WHERE id = %s", [negative])
    sql.execute("UPDATE search_outbox_events SET event_version = NULL WHERE id = %s", [empty])
    cli.ok("worker", "--drain")
    for bad in (negative, empty):
        row = lab.event_row(sql, bad)
        assert (row["status"], row["error_reason"], row["attempts"]) == (
            "failed",
            "deterministic_exception",
            1,
        )
    assert lab.event_row(sql, last)["status"] == "done"
    assert lab.event_row(sql, first)["status"] == "done"
    assert lab.document(engine, index, entity)["text"] == "the last version"
    assert lab.document(engine, index, zero) is not None


def test_a_source_row_without_a_usable_version_harms_only_itself(cli: Cli, sql: lab.Sql) -> None:
    odd = [lab.put(sql, version=version)[1] for version in (None, -1)]
    good = [lab.put(sql)[1] for _ in range(3)]
    cli.ok("worker", "--drain")
    assert {lab.event_row(sql, each)["status"] for each in good} == {"done"}
    assert {lab.event_row(sql, each)["status"] for each in odd} <= {"failed", "pending"}
    assert all(lab.event_row(sql, each)["error_reason"] for each in odd)
    lab.assert_clean(sql)
