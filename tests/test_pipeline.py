"""The main job, end to end with real processes."""

import psycopg
from elasticsearch import Elasticsearch

from processes import Cli


def test_a_drained_load_is_done_and_in_the_index(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    cli.ok("inject", "load", "--total", "2500", "--rate", "0", "--per-transaction", "100")
    cli.ok("worker", "--drain")
    assert sql.execute("SELECT status, count(*) FROM search_outbox_events GROUP BY 1").fetchall() == [
        ("done", 2500)
    ]
    engine.indices.refresh(index=index)
    assert engine.count(index=index)["count"] == 2500
