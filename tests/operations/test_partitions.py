"""A partitioned outbox, by the page on it: each of its blocks is run, and everything works on the result."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from invariants import check_invariants
from outboxctl.core.produce import enqueue
from processes import Cli

PAGE = Path(__file__).parents[2] / "docs" / "operators-desk" / "partitions.md"
WHO = ("--by", "alice", "--reason", "why")
ROWS = """
WITH written AS (
    INSERT INTO search_index (id, entity_type, entity_id, text, snippet, event_version)
    SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'text', 'text', 1 FROM generate_series(1, %(rows)s)
    RETURNING entity_id
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, created_at)
SELECT gen_random_uuid(), 'block', entity_id, 'upsert', 1, %(status)s, %(created)s::timestamptz FROM written
"""
OLD, NOVEMBER, DECEMBER, LATER = "2024-02-29", "2026-11-05", "2026-12-24", "2031-01-01"


def blocks(heading: str, language: str) -> list[str]:
    section = PAGE.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^```{language}\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found


def run(sql: psycopg.Connection, heading: str) -> None:
    """Run the page's statements; transactions are the page's own."""
    for block in blocks(heading, "sql"):
        alone = "CONCURRENTLY" in block  # several in one message are one transaction
        for statement in block.split(";\n") if alone else [block]:
            sql.execute(statement.encode())


def put(sql: psycopg.Connection, created: str, status: str = "pending", rows: int = 10) -> None:
    sql.execute(ROWS, {"rows": rows, "status": status, "created": created})


def by_partition(sql: psycopg.Connection) -> dict[str, int]:
    query = "SELECT tableoid::regclass::text, count(*) FROM search_outbox_events GROUP BY 1"
    return {name.removeprefix("search_outbox_events_"): rows for name, rows in sql.execute(query).fetchall()}


@pytest.fixture
def cli(empty_url: str, env: dict[str, str], tmp_path: Path) -> Cli:
    return Cli(env | {"DATABASE_URL": empty_url}, tmp_path)


@pytest.fixture
def sql(empty_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(empty_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def adopted(cli: Cli, sql: psycopg.Connection) -> Any:
    """A partitioned outbox as the page makes it, adopted by the upgrade."""
    run(sql, "A new outbox")
    for line in blocks("A new outbox", "bash")[0].splitlines():
        cli.ok(*line.split()[1:])
    return sql


def test_a_new_partitioned_outbox_is_adopted_and_works(
    adopted: psycopg.Connection, cli: Cli, engine: Elasticsearch, index: str
) -> None:
    assert cli.json("db", "check")["behind"] is False
    for created in (OLD, NOVEMBER, LATER):
        put(adopted, created)
    put(adopted, NOVEMBER, "failed", 3)
    put(adopted, LATER, "failed", 1)
    adopted.execute(
        "UPDATE search_outbox_events SET status = 'processing', attempts = 1 WHERE id IN"
        " (SELECT id FROM search_outbox_events WHERE status = 'pending' LIMIT 2)"
    )
    seen = cli.json("status")
    assert (seen["status"]["pending"], seen["status"]["failed"], seen["stuck"]) == (28, 4, 2)
    cli.ok("worker", "--drain")
    assert cli.json("replay", *WHO, "--until", "2030-01-01")["replayed"] == 3
    assert cli.json("failed", "discard", *WHO, "--limit", "1")["discarded"] == 1
    cli.ok("worker", "--drain")
    assert cli.json("status")["status"] == {"pending": 0, "processing": 0, "done": 34, "failed": 0}
    adopted.execute("DELETE FROM search_outbox_events WHERE error_reason = 'discarded'")
    check_invariants(adopted, engine, index, rows=33)
    adopted.execute(f"UPDATE search_outbox_events SET processed_at = '{OLD}' WHERE created_at < '2030-01-01'")
    assert cli.json("prune", "--older-than", "7d", "--dry-run")["matched"] == 23
    assert cli.json("prune", "--older-than", "7d")["pruned"] == 23
    assert by_partition(adopted) == {"rest": 10}


def test_the_next_partition_comes_and_an_old_one_goes_once_all_is_done(
    adopted: psycopg.Connection, cli: Cli
) -> None:
    put(adopted, NOVEMBER, "done")
    put(adopted, NOVEMBER, "failed", 1)
    run(adopted, "The next partition")
    put(adopted, DECEMBER)
    assert by_partition(adopted) == {"2026_11": 11, "2026_12": 10}
    detach, drop = blocks("An old partition goes", "sql")
    with pytest.raises(psycopg.errors.RaiseException, match="nothing was detached"):
        adopted.execute(detach.encode())
    adopted.rollback()
    assert by_partition(adopted) == {"2026_11": 11, "2026_12": 10}
    cli.ok("failed", "discard", *WHO, "--until", "2026-12-01")
    adopted.execute(detach.encode())
    assert by_partition(adopted) == {"2026_12": 10}
    assert adopted.execute("SELECT count(*) FROM search_outbox_events_2026_11").fetchall() == [(11,)]
    adopted.execute(drop.encode())
    cli.ok("worker", "--drain")
    assert cli.json("status")["status"]["done"] == 10
    assert cli.json("db", "upgrade")["added"] == []


def test_an_outbox_that_is_there_becomes_the_first_partition(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    cli.ok("db", "upgrade")
    for status in ("pending", "processing", "failed"):
        put(sql, NOVEMBER, status)
    before = sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall()
    run(sql, "An existing outbox")
    assert sql.execute("SELECT * FROM search_outbox_events ORDER BY id").fetchall() == before
    run(sql, "The next partition")
    put(sql, DECEMBER)
    assert by_partition(sql) == {"old": 30, "2026_12": 10}
    indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'search_outbox_events_old'::regclass"
    assert sql.execute(indexes).fetchall() == [(6,)], "none was built a second time"
    assert cli.json("db", "upgrade")["added"] == []
    cli.ok("worker", "--drain")
    assert cli.json("replay", *WHO)["replayed"] == 10
    cli.ok("worker", "--drain")
    check_invariants(sql, engine, index, rows=40)
    assert cli.json("status")["status"]["done"] == 40


@pytest.mark.usefixtures("adopted")
def test_a_repeated_event_is_one_event(empty_url: str, sql: psycopg.Connection) -> None:
    id_ = "11111111-1111-1111-1111-111111111111"
    for _ in range(3):
        with psycopg.connect(empty_url) as own:
            enqueue(own, entity_type="block", entity_id=id_, event_version=1, event_id=id_)
    assert sum(by_partition(sql).values()) == 1
