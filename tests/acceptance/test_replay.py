"""Replay: audited, filtered, and a dry run changes nothing."""

import uuid

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli

WHO = ("--by", "alice", "--reason", "fixed root cause")


def _fail(sql: lab.Sql, reason: str = "mapping", kind: str = "block", created: str = "now") -> uuid.UUID:
    entity = uuid.uuid4()
    lab.source(sql, entity, kind=kind)
    event = lab.event(sql, entity, kind=kind, status="failed", created=created)
    sql.execute(
        "UPDATE search_outbox_events SET attempts = 10, error_reason = %s, error = %s WHERE id = %s",
        [reason, "[/nope] \x1b[31m it broke", event],
    )
    return event


def test_filters_select_and_a_limit_takes_the_oldest(cli: Cli, sql: lab.Sql) -> None:
    old = _fail(sql, "connect", created="2024-01-01T00:00:00Z")
    page = _fail(sql, "mapping", kind="page", created="2024-06-01T00:00:00Z")
    new = _fail(sql, "mapping", created="2025-01-01T00:00:00Z")

    def matched(*filters: str) -> set[str]:
        return set(cli.json("replay", *WHO, "--dry-run", *filters)["ids"])

    assert matched("--error-reason", "mapping") == {str(page), str(new)}
    assert matched("--entity-type", "page") == {str(page)}
    assert matched("--since", "2024-06-01", "--until", "2025-01-01T00:00:00+00:00") == {str(page)}
    assert matched("--id", str(old), "--id", str(new)) == {str(old), str(new)}
    assert matched("--id", str(old), "--error-reason", "mapping") == set()
    assert matched("--limit", "1") == {str(old)}
    chosen = [str(old), str(page), str(new)]
    twice = [word for id_ in (*chosen, chosen[0].upper()) for word in ("--id", id_)]
    done = cli.json("replay", *WHO, "--limit", "2", *twice)
    assert set(done["ids"]) == {str(old), str(page)}
    assert lab.event_row(sql, new)["status"] == "failed"
    (act,) = cli.json("audit")["audit"]
    assert (act["id"], act["action"], act["operator"]) == (done["audit_id"], "replay", "alice")
    assert (act["reason"], act["affected"]) == ("fixed root cause", 2)
    assert act["filters"] == {"ids": chosen, "limit": 2}
    assert {each["id"] for each in cli.json("audit", "--id", act["id"])["events"]} == set(done["ids"])
    nothing = cli.json("replay", *WHO, "--entity-type", "nobody")
    assert (nothing["matched"], nothing["ids"]) == (0, [])
    assert "0 failed events match" in cli.ok("replay", *WHO, "--entity-type", "nobody")


def test_what_is_discarded_is_done_for_good_and_who_did_it_is_known(cli: Cli, sql: lab.Sql) -> None:
    closed, kept = _fail(sql, "mapping"), _fail(sql, "connect")
    before = lab.event_row(sql, kept)
    seen = cli.json("failed", "discard", *WHO, "--error-reason", "mapping")
    assert (seen["matched"], seen["discarded"], seen["ids"]) == (1, 1, [str(closed)])
    row = lab.event_row(sql, closed)
    assert (row["status"], row["error_reason"]) == ("done", "discarded")
    assert row["processed_at"] is not None
    assert lab.event_row(sql, kept) == before
    (audit,) = cli.json("audit")["audit"]
    assert (audit["action"], audit["operator"], audit["id"]) == ("discard", "alice", seen["audit_id"])


def test_only_failed_rows_can_be_replayed_whatever_the_id(cli: Cli, sql: lab.Sql) -> None:
    pending = lab.put(sql)[1]
    processing = lab.event(sql, uuid.uuid4(), status="processing")
    before = lab.rows(sql)
    for each in (pending, processing, uuid.uuid4()):
        assert cli.json("replay", *WHO, "--id", str(each))["matched"] == 0
    assert lab.rows(sql) == before


@pytest.mark.real_engine
def test_a_replayed_old_event_after_newer_ones_harms_nothing(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    event = _fail(sql)
    entity = lab.event_row(sql, event)["entity_id"]
    lab.source(sql, entity, 5, text="five")
    lab.event(sql, entity, 5)
    cli.ok("worker", "--drain")
    cli.ok("replay", *WHO)
    cli.ok("worker", "--drain")
    assert lab.document(engine, index, entity)["text"] == "five"
    sql.execute("DELETE FROM search_index WHERE entity_id = %s", [entity])
    lab.event(sql, entity, 6, op="delete")
    cli.ok("worker", "--drain")
    sql.execute(
        "UPDATE search_outbox_events SET status = 'failed', processed_at = NULL WHERE id = %s", [event]
    )
    cli.ok("replay", *WHO)
    cli.ok("worker", "--drain")
    assert lab.document(engine, index, entity) is None
    assert lab.by_status(sql) == {"done": 3}
    assert lab.event_row(sql, event)["replay_count"] == 2
    assert lab.one(sql, "SELECT count(*) FROM outbox_operator_audit") == 2
