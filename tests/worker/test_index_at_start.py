"""An outage under `hold`; an index that is missing when a worker starts is none, and nothing is claimed."""

import json
from collections.abc import Callable, Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from fakes import fake_sink
from invariants import check_invariants
from outboxctl.drills import services
from outboxctl.sink.index.index_setup import ensure
from processes import Cli, Worker, eventually
from servers import Servers
from sinks import client_of

Start = Callable[..., Worker]


@pytest.fixture
def later(engine: Elasticsearch, index: str) -> Iterator[str]:
    """The name of an index that is not there yet."""
    name = f"{index}-later"
    yield name
    engine.indices.delete(index=f"{name}-000001", ignore_unavailable=True)


def sink_problem(running: Worker) -> str:
    status, body = running.get("/readyz")
    return str(json.loads(body)["failing"].get("sink", "")) if status == 503 else ""


def waits_for(running: Worker, name: str) -> None:
    """Until it says what it waits for, and what makes it."""
    eventually(lambda: "nothing is claimed until then" in sink_problem(running))
    assert f"outboxctl --elastic-index {name} services up" in sink_problem(running)
    assert name in running.log.read_text()


def untouched(sql: lab.Sql) -> bool:
    return {(row["status"], row["attempts"], row["error"]) for row in lab.rows(sql)} == {("pending", 0, None)}


@pytest.mark.parametrize("policy", ["count", "hold"])
def test_it_waits_and_no_event_loses_an_attempt(
    sql: lab.Sql, worker: Start, engine: Elasticsearch, later: str, policy: str
) -> None:
    lab.load(sql, 20)
    running = worker(ELASTIC_INDEX=later, OUTBOX_OUTAGE_POLICY=policy, OUTBOX_BASE_BACKOFF_SECONDS="0.01")
    waits_for(running, later)
    assert untouched(sql)
    assert running.get("/healthz")[0] == 200
    assert not engine.indices.exists(index=later)
    ensure(client_of(engine), later)
    eventually(lambda: lab.by_status(sql) == {"done": 20})
    assert {row["attempts"] for row in lab.rows(sql)} == {1}
    eventually(lambda: running.get("/readyz")[0] == 200)


def test_a_drain_says_what_to_run(sql: lab.Sql, cli: Cli, later: str) -> None:
    assert cli("worker", "--drain", env={"ELASTIC_INDEX": later}).returncode == 0, "nothing is due"
    lab.load(sql, 3)
    done = cli("worker", "--drain", env={"ELASTIC_INDEX": later})
    assert done.returncode == 3
    assert f"no such index or alias {later}" in done.stderr
    assert f"outboxctl --elastic-index {later} services up" in done.stderr
    assert untouched(sql)


def test_one_that_vanishes_later_is_an_outage(
    sql: lab.Sql, worker: Start, engine: Elasticsearch, later: str
) -> None:
    ensure(client_of(engine), later)
    running = worker(ELASTIC_INDEX=later, OUTBOX_BASE_BACKOFF_SECONDS="0.05", OUTBOX_MAX_ATTEMPTS="1000")
    eventually(lambda: running.get("/readyz")[0] == 200)
    engine.indices.delete(index=f"{later}-000001")
    lab.put(sql)
    eventually(lambda: {row["error_reason"] for row in lab.rows(sql)} == {"index_unavailable"})
    eventually(lambda: min(row["attempts"] for row in lab.rows(sql)) >= 2)
    assert "nothing is claimed" not in sink_problem(running)


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
    rows = "SELECT DISTINCT attempts, error_reason FROM search_outbox_events WHERE status = 'pending'"
    eventually(lambda: sql.execute(rows).fetchall() == [(0, None)])
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
