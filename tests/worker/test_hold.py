"""Under `hold` an outage of any length burns no attempt, and ends within seconds of the sink's return."""

from collections.abc import Callable

import psycopg
from elasticsearch import Elasticsearch

from fakes import fake_sink
from invariants import check_invariants
from outboxctl.drills import services
from processes import Cli, Worker, eventually
from servers import Servers

HOLD = {"OUTBOX_OUTAGE_POLICY": "hold", "OUTBOX_MAX_ATTEMPTS": "2", "OUTBOX_BASE_BACKOFF_SECONDS": "0.1"}


def test_an_outage_burns_nothing_and_ends_with_it(
    cli: Cli,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    servers: Servers,
) -> None:
    cli.ok("inject", "load", "--total", "300", "--rate", "0", "--per-transaction", "100")
    port = services.fresh_port()
    running = worker(ELASTIC_URL=f"http://127.0.0.1:{port}", **HOLD)
    eventually(lambda: running.metric("outbox_failed_total", reason="connect") > 303, what="probes go on")
    eventually(lambda: (a := running.get("/readyz"))[0] == 503 and "circuit open" in a[1], what="not ready")
    rows = sql.execute(
        "SELECT DISTINCT attempts, error_reason FROM search_outbox_events WHERE status = 'pending'"
    )
    assert rows.fetchall() == [(0, None)]
    assert running.metric("outbox_terminal_failed_total") == 0
    with fake_sink(upstream=servers.sink, port=port):
        eventually(lambda: running.metric("outbox_processed_total") == 300, within=10, what="recovered")
        eventually(lambda: running.get("/readyz")[0] == 200, what="ready")
        check_invariants(sql, engine, index, rows=300)


def test_a_drain_with_the_sink_away_exits_3_and_leaves_the_events(cli: Cli, sql: psycopg.Connection) -> None:
    cli.ok("inject", "load", "--total", "20", "--rate", "0")
    port = str(services.fresh_port())
    done = cli("worker", "--drain", "--metrics-port", port, env=HOLD | {"ELASTIC_URL": "http://127.0.0.1:9"})
    assert done.returncode == 3, done.stderr
    assert "can be used again" not in done.stderr, "it never was"
    rows = sql.execute("SELECT DISTINCT status, attempts, owner FROM search_outbox_events").fetchall()
    assert rows == [("pending", 0, None)]
    assert cli("worker", "--drain", "--metrics-port", port, env=HOLD).returncode == 0
