"""Lab 5 by its own words, and the reports that an operator lives on: names, keys and exit codes."""

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli

LAB_5 = ("--by", "alice", "--reason", "fixed root cause", "--limit", "100")
CLOSED = {"ELASTIC_URL": "http://127.0.0.1:1", "OUTBOX_MAX_ATTEMPTS": "1"}


def _labs_3_and_4(cli: Cli, sql: lab.Sql) -> None:
    """One event that is bad for good, and some that an outage of the sink has worn out."""
    sql.execute(lab.BAD_OP_SQL)
    cli.ok("worker", "--drain")
    for _ in range(4):
        lab.put(sql)
    cli("worker", "--drain", env=CLOSED)
    assert lab.by_status(sql) == {"failed": 5}


@pytest.mark.slow(reason="real processes for many seconds")
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
