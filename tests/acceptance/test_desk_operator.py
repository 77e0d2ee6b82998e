"""Lab 5 by its own words, and the reports that an operator lives on: names, keys and exit codes."""

import json
from typing import Any

from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli

LAB_5 = ("--by", "alice", "--reason", "fixed root cause", "--limit", "100")
WHO = LAB_5[:4]
CLOSED = {"ELASTIC_URL": "http://127.0.0.1:1", "OUTBOX_MAX_ATTEMPTS": "1"}
NO_DATABASE = {"DATABASE_URL": "postgresql://nobody:no@127.0.0.1:1/none"}


def _labs_3_and_4(cli: Cli, sql: lab.Sql) -> None:
    """One event that is bad for good, and some that an outage of the sink has worn out."""
    sql.execute(lab.BAD_OP_SQL)
    cli.ok("worker", "--drain")
    for _ in range(4):
        lab.put(sql)
    cli("worker", "--drain", env=CLOSED)
    assert lab.by_status(sql) == {"failed": 5}


def _failed(sql: lab.Sql, reason: str) -> list[Any]:
    return lab.rows(sql, "SELECT * FROM search_outbox_events WHERE error_reason = %s ORDER BY id", reason)


def test_lab_5_by_its_own_words_and_the_audit_tells_it_back(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    _labs_3_and_4(cli, sql)
    before = lab.state(sql)
    rehearsal = cli.json("replay", *LAB_5, "--dry-run")
    assert (rehearsal["matched"], rehearsal["dry_run"], rehearsal["audit_id"]) == (5, True, None)
    assert lab.state(sql) == before
    seen = cli.json("replay", *LAB_5)
    assert (seen["matched"], seen["dry_run"], set(seen["ids"])) == (5, False, set(rehearsal["ids"]))
    for row in lab.rows(sql):
        assert (row["status"], row["attempts"], row["replay_count"]) == ("pending", 0, 1)
        assert (row["next_retry_at"], row["error"], row["error_reason"]) == (None, None, None)
        assert (row["last_replayed_by"], row["last_replayed_reason"]) == ("alice", "fixed root cause")
        assert row["last_replayed_at"] is not None
    (act,) = cli.json("audit")["audit"]
    assert (act["id"], act["action"], act["operator"]) == (seen["audit_id"], "replay", "alice")
    assert (act["reason"], act["affected"], act["filters"]) == ("fixed root cause", 5, {"limit": 100})
    assert set(act["event_ids"]) == set(seen["ids"])
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": 4, "failed": 1}
    lab.assert_nothing_lost(sql, engine, index, count=5)
    again = cli.json("replay", *LAB_5, "--dry-run")
    assert (again["matched"], again["failed_again"]) == (1, 1)


def test_exactly_one_cause_is_replayed_and_taken_back(cli: Cli, sql: lab.Sql) -> None:
    _labs_3_and_4(cli, sql)
    groups = {each["error_reason"]: each for each in cli.json("failed", "list")["groups"]}
    assert {reason: each["count"] for reason, each in groups.items()} == {
        "connect": 4,
        "deterministic_exception": 1,
    }
    before, bad = _failed(sql, "connect"), _failed(sql, "deterministic_exception")
    cause = groups["connect"]["fingerprint"]
    listed = cli.json("failed", "list", "--group", cause)["events"]
    assert {each["id"] for each in listed} == {str(row["id"]) for row in before}
    seen = cli.json("replay", *WHO, "--fingerprint", cause)
    assert (seen["replayed"], lab.by_status(sql)) == (4, {"pending": 4, "failed": 1})
    undone = cli.json("replay", "undo", seen["audit_id"], *WHO)
    assert undone["undone"] == 4
    kept = ("status", "attempts", "error_reason", "error", "processed_at", "next_retry_at", "created_at")
    assert [[row[name] for name in kept] for row in _failed(sql, "connect")] == [
        [row[name] for name in kept] for row in before
    ]
    assert _failed(sql, "deterministic_exception") == bad
    assert [each["action"] for each in cli.json("audit")["audit"]] == ["undo", "replay"]
    again = cli.json("replay", "undo", seen["audit_id"], *WHO)
    assert again["undone"] == 0


def test_failed_show_lays_event_row_document_and_difference_side_by_side(cli: Cli, sql: lab.Sql) -> None:
    entity, _ = lab.put(sql, text="as it was")
    cli.ok("worker", "--drain")
    lab.source(sql, entity, 2, text="as it is")
    newer = lab.event(sql, entity, 2, status="failed")
    sql.execute(
        "UPDATE search_outbox_events SET error_reason = 'mapping', error = '[/x] \x1b[31m' WHERE id = %s",
        [newer],
    )
    seen = cli.json("failed", "show", str(newer))
    assert (seen["event"]["id"], seen["source"]["text"]) == (str(newer), "as it is")
    assert "as it was" in json.dumps(seen["document"])
    assert "text" in json.dumps(seen["difference"])
    assert "\x1b" not in cli.ok("failed", "show", str(newer))
    cli.ok("failed", "show", str(newer), env=CLOSED)


def test_check_is_0_then_4_with_a_command_a_finding_then_3(cli: Cli, sql: lab.Sql) -> None:
    assert cli("check").returncode == 0
    stuck = lab.event(sql, lab.put(sql)[0], status="processing")
    sql.execute(
        "UPDATE search_outbox_events SET lease_until = now() - interval '1 minute' WHERE id = %s",
        [stuck],
    )
    sql.execute("UPDATE search_outbox_events SET created_at = now() - interval '1 hour'")
    sql.execute(lab.BAD_OP_SQL.replace("'pending'", "'failed'"))
    found = cli("check", "--json")
    assert found.returncode == 4
    findings = json.loads(found.stdout)["findings"]
    assert all(any(each.startswith(word) for each in findings) for word in ("oldest", "stuck", "failed"))
    assert all("outboxctl " in each for each in findings)
    assert cli("check", env=NO_DATABASE).returncode == 3
