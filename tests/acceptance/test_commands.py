"""The keys and exit codes that scripts rely on."""

import uuid

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli


def test_the_age_of_the_oldest_is_in_seconds(cli: Cli, sql: lab.Sql) -> None:
    lab.put(sql)
    sql.execute("UPDATE search_outbox_events SET created_at = now() - interval '1 hour'")
    assert 3600 <= cli.json("status")["oldest_age_seconds"] < 3700


def test_limits_cut_the_lists(cli: Cli, sql: lab.Sql) -> None:
    lab.load(sql, 30)
    assert len(cli.json("oldest", "--limit", "3")["events"]) == 3
    assert len(cli.json("status")["oldest_pending"]) == 5
    sql.execute("UPDATE search_outbox_events SET status = 'processing', lease_until = '2020-01-01'")
    assert len(cli.json("stuck", "--limit", "7")["events"]) == 7
    assert cli.json("status")["stuck"] == 30


@pytest.mark.slow(reason="real processes for many seconds")
def test_injected_rows_end_as_announced(cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str) -> None:
    entity = uuid.uuid4()
    cli.ok("inject", "bad-op", "--count", "3")
    cli.ok("inject", "event", "--entity-id", str(entity), "--op", "delete", "--count", "2")
    env = {
        "TOTAL_OPS": "40",
        "CONTENT_BYTES": "300",
        "RATE_PER_SEC": "0",
        "CONCURRENCY": "2",
        "LOADGEN_SCENARIO": "create",
    }
    report = cli.json("inject", "load", env=env)
    assert report
    assert lab.one(sql, "SELECT count(*) FROM search_index") == 40
    assert lab.one(sql, "SELECT min(octet_length(text)) FROM search_index") == 300
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": 42, "failed": 3}
    assert cli.json("status")["failed_by_reason"] == {"deterministic_exception": 3}
    for scenario in ("update", "delete", "mixed"):
        cli.ok("inject", "load", "--scenario", scenario, "--count", "10", "--rate", "0")
    cli.ok("worker", "--drain")
    assert set(lab.by_status(sql)) == {"done", "failed"}
    engine.indices.refresh(index=index)
    assert engine.count(index=index)["count"] == lab.one(sql, "SELECT count(*) FROM search_index")
    assert cli("inject", "load", env={"TOTAL_OPS": "abc"}).returncode == 2
