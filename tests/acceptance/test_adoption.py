"""A database that already runs the lab document's pipeline is adopted without losing a thing."""

from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli

TABLES = """
CREATE TABLE search_outbox_events (
    id uuid PRIMARY KEY, entity_type varchar(50) NOT NULL, entity_id uuid NOT NULL, op varchar(20) NOT NULL,
    event_version bigint NOT NULL, status varchar(20) NOT NULL, owner varchar(120), lease_until timestamptz,
    processing_started_at timestamptz, attempts int NOT NULL, next_retry_at timestamptz,
    processed_at timestamptz, error_reason varchar(80), error text, replay_count int NOT NULL,
    last_replayed_at timestamptz, last_replayed_by varchar(120), last_replayed_reason text,
    created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL
);
CREATE TABLE search_index (
    id uuid PRIMARY KEY, entity_type varchar(50) NOT NULL, entity_id uuid NOT NULL, library_id uuid,
    text text NOT NULL, snippet text, rank_score double precision NOT NULL DEFAULT 0,
    event_version bigint NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    UNIQUE (entity_type, entity_id)
);
"""
COLUMNS = (
    *("entity_type", "entity_id", "op", "event_version", "status", "owner", "lease_until", "attempts"),
    *("processing_started_at", "next_retry_at", "processed_at", "error_reason", "replay_count"),
    *("created_at", "updated_at"),
)
ROWS = """
INSERT INTO search_outbox_events SELECT gen_random_uuid(), 'block', gen_random_uuid(), 'upsert', 1, s, o,
    l::timestamptz, p::timestamptz, a, NULL, d::timestamptz, r, NULL, 0, NULL, NULL, NULL, now(), now()
FROM (VALUES
    ('pending', NULL, NULL, NULL, 0, NULL, NULL),
    ('pending', 'w-old', '2020-01-01', NULL, 3, NULL, 'connect'),
    ('processing', 'w-old', '2020-01-01', '2020-01-01', 1, NULL, NULL),
    ('processing', NULL, NULL, NULL, 1, NULL, NULL),
    ('done', 'w-old', '2020-01-01', '2020-01-01', 1, '2020-01-01', NULL),
    ('done', NULL, NULL, NULL, 99, NULL, 'connect'),
    ('failed', 'w-old', NULL, '2020-01-01', 10, '2020-01-01', 'unknown_exception'),
    ('failed', NULL, NULL, NULL, 1, NULL, 'some_reason_of_the_old_worker')
) AS old (s, o, l, p, a, d, r)
"""


@pytest.fixture
def old(empty_url: str) -> Any:
    """A connection to a database as the lab document has it."""
    with psycopg.connect(empty_url, autocommit=True) as sql:
        sql.execute(TABLES)
        for column in COLUMNS:
            sql.execute(f"CREATE INDEX ix_old_{column} ON search_outbox_events ({column})")
        sql.execute(ROWS)
        sql.execute(
            "INSERT INTO search_index SELECT gen_random_uuid(), entity_type, entity_id, NULL, 'old text', "
            "'old', 0, 1, now(), now() FROM search_outbox_events"
        )
        yield sql


def test_the_worker_delivers_what_an_adopted_database_holds(
    cli: Cli, old: lab.Sql, empty_url: str, engine: Elasticsearch, index: str
) -> None:
    env = {"DATABASE_URL": empty_url}
    untouched = {row["id"]: row for row in lab.rows(old) if row["status"] in ("done", "failed")}
    cli.ok("db", "upgrade", env=env)
    old.execute(lab.BAD_OP_SQL)
    cli.ok("worker", "--drain", env=env)
    seen = cli.json("status", env=env)
    assert {k: n for k, n in seen["status"].items() if n} == {"done": 6, "failed": 3}, (
        "old processing rows included"
    )
    assert seen["stuck"] == 0
    for row in lab.rows(old):
        if row["id"] in untouched:
            assert {k: row[k] for k in untouched[row["id"]]} == untouched[row["id"]]
        elif row["status"] == "done":
            assert lab.document(engine, index, row["entity_id"])["text"] == "old text"
            assert (row["owner"], row["lease_until"], row["error_reason"]) == (None, None, None)
    assert cli.json("replay", "--by", "a", "--reason", "b", env=env)["matched"] == 3
    cli.ok("worker", "--drain", env=env)
    assert lab.by_status(old) == {"done": 8, "failed": 1}


def test_the_printed_sql_adopts_by_hand(cli: Cli, old: lab.Sql, empty_url: str) -> None:
    before = lab.rows(old)
    assert cli("db", "check", env={"DATABASE_URL": empty_url}).returncode == 4
    old.execute(cli.ok("db", "sql").encode())
    assert [{k: row[k] for k in before[0]} for row in lab.rows(old)] == before
    cli.ok("db", "check", env={"DATABASE_URL": empty_url})


def test_two_upgrades_at_once_both_succeed(cli: Cli, empty_url: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: cli("db", "upgrade", env={"DATABASE_URL": empty_url}), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0], [each.stderr for each in done]
