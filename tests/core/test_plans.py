"""The plans that every event pays for: each step goes by its index, whatever the statistics say."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from moments import Insert, at
from outboxctl.core.database import Database, driver
from outboxctl.core.delivery.claim import CLAIM, CLAIM_AGAIN
from outboxctl.core.delivery.claim import TYPES as CLAIM_TYPES
from outboxctl.core.delivery.leases import RECLAIM, RENEW
from outboxctl.core.delivery.settle import COMPLETE, HOLD, JOIN, RELEASE, UNDELIVERED
from outboxctl.core.delivery.settle import TYPES as COMPLETE_TYPES
from outboxctl.core.message import PreparedStatements
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.names import PLAN
from outboxctl.core.search_path import places
from outboxctl.core.sql import TextClause, text
from outboxctl.core.stats import snapshot

pytestmark = pytest.mark.slow(reason="tables of many rows and old statistics, for each statement")

Node = dict[str, Any]
EVENTS = "search_outbox_events"
DUE, RECLAIMED, PROCESSING = f"ix_{EVENTS}_next", f"ix_{EVENTS}_reclaimed", f"ix_{EVENTS}_processing"
IDS = f"{EVENTS}_pkey"
TOKEN = "11111111-1111-1111-1111-111111111111"
PARTITIONS = "".join(
    f"CREATE TABLE p{n} PARTITION OF {EVENTS} FOR VALUES FROM ('2026-{n:02}-01') TO ('2026-{n + 1:02}-01');"
    for n in range(1, 12)
)
PARTITIONED = f"""
CREATE TABLE {EVENTS} (id uuid NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);
{PARTITIONS}
CREATE TABLE rest PARTITION OF {EVENTS} DEFAULT;
"""
FILL = f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, event_version, status, next_retry_at, created_at)
SELECT 'b', lpad(n::text, 32, '0')::uuid, 'upsert', 1, '{{}}', {{}},
    '2026-11-11Z'::timestamptz - n * interval '20 min'
FROM generate_series(1, 20000) n
"""
PENDING, WAITING = FILL.format("pending", "NULL"), FILL.format("pending", "now() + interval '1 day'")
DONE, FAILED = FILL.format("done", "NULL"), FILL.format("failed", "NULL")
VACUUM = f"VACUUM ANALYZE {EVENTS}"
# What happened to the table before the events came that are claimed.
SHAPES = {
    "never analysed": [],
    "emptied and vacuumed": [PENDING, f"DELETE FROM {EVENTS}", VACUUM],
    "statistics from before the rows": [VACUUM, DONE, FAILED, WAITING],
    "many done": [DONE, VACUUM],
    "many failed": [FAILED, VACUUM],
    "many waiting for their retry": [WAITING, VACUUM],
    "a backlog": [PENDING, VACUUM],
    "a backlog that nobody analysed": [VACUUM, PENDING],
    "dead rows that nobody swept": [VACUUM, PENDING, f"UPDATE {EVENTS} SET status = 'done'"],
}
# The events that come are of several projections; of the next one a quarter are due retries.
COME = f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, entity_key, next_retry_at)
SELECT name, gen_random_uuid(), 'upsert', 'k', CASE WHEN n <= 50 THEN now() END
FROM unnest(ARRAY['a', 'b', 'c', 'd']) name, generate_series(1, 200) n
"""
CLAIMED = f"""
INSERT INTO {EVENTS} (entity_type, entity_id, op, event_version, status, attempts, lease_token, lease_until,
    processing_started_at)
SELECT 'b', gen_random_uuid(), 'upsert', 1, 'processing', 1, token, now() + interval '30 s', now()
FROM generate_series(1, 100), unnest(ARRAY['{TOKEN}'::uuid, gen_random_uuid()]) token
RETURNING id, lease_token = '{TOKEN}'
"""
PARENTS = """
SELECT c.relname, p.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
JOIN pg_class p ON p.oid = inhparent WHERE c.relkind = 'i'
"""


@dataclass
class Outbox:
    """An outbox of some shape, and the parents of its partitions' indexes."""

    db: Database
    sql: psycopg.Connection
    parents: dict[str, str]

    def explained(self, statement: TextClause, *, under: str = PLAN, **given: Any) -> list[Node]:
        """The nodes of the plan by which the statement was carried out and rolled back."""
        with self.db.begin() as connection:
            connection.exec_driver_sql(under)
            explain = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement.text}")
            plan = connection.execute(explain, given).scalar_one()
            connection.rollback()
        return walk(plan[0]["Plan"])

    def planned_once(self, statement: TextClause, types: Mapping[str, str], **given: Any) -> list[Node]:
        """The same of the plan for any values, by which a session goes on that has planned it once."""
        with self.db.begin() as connection:
            connection.exec_driver_sql(PLAN)
            session = psycopg.ClientCursor(driver(connection))
            kept = PreparedStatements()
            kept.ours = True
            named = re.sub(r"(?<!:):(\w+)", r"%(\1)s", places(connection).render(statement.text))
            *prepare, execute = kept.of(named, types)
            session.execute("; ".join(prepare))
            session.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}", given)
            plan = session.fetchone()
            session.execute("DEALLOCATE ALL")
            connection.rollback()
        assert plan
        return walk(plan[0][0]["Plan"])

    def scans(self, nodes: list[Node]) -> set[str]:
        """By what the plan finds rows: indexes (a partition's by its parent's name), or a whole table."""
        whole = (n["Relation Name"] for n in nodes if n["Node Type"] == "Seq Scan")
        found = {n["Index Name"] for n in nodes if "Index Name" in n} | set(whole)
        return {self.parents.get(name, name) for name in found}


def walk(node: Node) -> list[Node]:
    return [node, *(found for child in node.get("Plans", []) for found in walk(child))]


def passed_over(nodes: list[Node]) -> int:
    """Rows that were read in vain."""
    kinds = ("Rows Removed by Filter", "Rows Removed by Join Filter", "Rows Removed by Index Recheck")
    return sum(n.get(kind, 0) * n["Actual Loops"] for n in nodes for kind in kinds)


def pages(top: Node) -> int:
    return sum(int(top[f"Shared {kind} Blocks"]) for kind in ("Hit", "Read"))


def most(nodes: list[Node]) -> float:
    """The most rows that came out of any step (a bitmap of an index counts the dead ones too)."""
    living = (n for n in nodes if n["Node Type"] != "Bitmap Index Scan")
    return max(float(n["Actual Rows"] * n["Actual Loops"]) for n in living)


@pytest.fixture(params=["plain", "partitioned"])
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=SHAPES)
def outbox(request: pytest.FixtureRequest, layout: str) -> Iterator[Outbox]:
    url = request.getfixturevalue("url" if layout == "plain" else "empty_url")
    with closing(Database(url)) as db, psycopg.connect(url, autocommit=True) as sql:
        if layout == "partitioned":
            sql.execute(PARTITIONED.encode())
            upgrade(db, None)
        for statement in SHAPES[request.param]:
            sql.execute(statement.encode())
        yield Outbox(db, sql, dict(sql.execute(PARENTS).fetchall()))


def test_a_claim_reads_only_what_it_takes(outbox: Outbox) -> None:
    outbox.sql.execute(COME)
    given: dict[str, Any] = {"owner": "w", "token": TOKEN, "size": 100, "lease": 10, "closed": ["c"]}
    given |= {"after": "b", "only": None, "sizes": "{}"}
    outbox.explained(CLAIM, **given)  # what is dead in an index is marked by who meets it first
    for nodes in (outbox.explained(CLAIM, **given), outbox.planned_once(CLAIM, CLAIM_TYPES, **given)):
        only_what_it_takes(outbox, nodes)


def only_what_it_takes(outbox: Outbox, nodes: list[Node]) -> None:
    assert outbox.scans(nodes) == {DUE, IDS}
    ranges = " ".join(n.get("Index Cond", "") for n in nodes if outbox.scans([n]) == {DUE})
    assert "next_retry_at IS NULL" in ranges
    assert "next_retry_at <= " in ranges
    assert most(nodes) <= 200
    assert passed_over(nodes) == 2, "the name that was served before, and a closed one"
    # By each id PostgreSQL looks into every partition; before 18 it reads more pages there.
    assert pages(nodes[0]) <= (3_000 if outbox.sql.info.server_version >= 180_000 else 5_000)


ALL_RECLAIMED = f"UPDATE {EVENTS} SET error_reason = 'lease_expired', next_retry_at = {{}}"
DELIVERED = f"UPDATE {EVENTS} SET status = 'done', error_reason = NULL"
# When statistics were made last, and what has happened since.
HISTORIES = {
    "before they were reclaimed": [WAITING, VACUUM],
    "while all were reclaimed once": [WAITING, ALL_RECLAIMED.format("now()"), VACUUM, DELIVERED],
    "while all were reclaimed again": [WAITING, ALL_RECLAIMED.format("NULL"), VACUUM, DELIVERED],
}


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("once", [200, 0], ids=["once", "again"])
def test_reclaimed_events_are_found_without_reading_past_the_others(
    db: Database, insert: Insert, sql: psycopg.Connection, once: int, history: str
) -> None:
    for statement in HISTORIES[history]:
        sql.execute(statement.encode())
    for due in [None] * 200 + [at(-1)] * 200:
        insert(next_retry_at=due)
    for due in [at(-1)] * once + [None] * 100:
        insert(error_reason="lease_expired", next_retry_at=due)
    outbox = Outbox(db, sql, {})
    given: Node = {"owner": "w", "token": TOKEN, "size": 100, "lease": 10, "closed": [], "sizes": "{}"}
    outbox.explained(CLAIM_AGAIN, **given)  # what is dead in an index is marked by who meets it first
    nodes = [node for node in outbox.explained(CLAIM_AGAIN, **given) if node["Actual Loops"]]
    assert RECLAIMED in outbox.scans(nodes)
    assert DUE not in outbox.scans(nodes)
    read = [node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in nodes]
    assert max(read) == 100, "those that go alone are passed over while the others are looked for"
    assert nodes[0]["Actual Rows"] == (100 if once else 1)


def test_what_was_claimed_is_found_by_its_ids_or_among_what_is_in_flight(outbox: Outbox) -> None:
    claimed = outbox.sql.execute(CLAIMED).fetchall()
    ids = f"{{{','.join(str(id_) for id_, ours in claimed if ours)}}}"
    outcomes: Node = {"reasons": ["timeout"] * 100, "errors": ["e"] * 100, "returned": [0] * 100}
    outcomes |= {"delays": [1.0, None] * 50}
    settled = {
        "done": outbox.explained(COMPLETE, token=TOKEN, ids=ids),
        "done, planned once": outbox.planned_once(COMPLETE, COMPLETE_TYPES, token=TOKEN, ids=ids),
        "undelivered": outbox.explained(UNDELIVERED, under=JOIN, token=TOKEN, ids=ids, **outcomes),
    }
    held = {
        "renewed": outbox.explained(RENEW, token=TOKEN, lease=30, max_processing=600),
        "locked": outbox.explained(HOLD, tokens=[TOKEN]),
        "released": outbox.explained(RELEASE, tokens=[TOKEN], ids=None),
        "reclaimed": outbox.explained(RECLAIM, max_processing=0, max_attempts=3),
    }
    for what, nodes in settled.items():
        assert outbox.scans(nodes) == {IDS}, what
        assert passed_over(nodes) == 0, what
    for what, nodes in held.items():
        assert outbox.scans(nodes) - {IDS} == {PROCESSING}, what
        assert passed_over(nodes) <= 100, f"{what}: what others hold, and no more"
    for what, nodes in (settled | held).items():
        assert most(nodes) <= 200, what


def test_whether_any_event_waits_is_seen_without_reading_them(outbox: Outbox) -> None:
    nodes = outbox.explained(snapshot.WAITING, under="SET LOCAL enable_seqscan = off")
    assert outbox.scans(nodes) - {RECLAIMED} <= {DUE, PROCESSING}
    assert most(nodes) <= 1_000
    assert passed_over(nodes) <= 1_000, "those that somebody put off, and no more of them"
