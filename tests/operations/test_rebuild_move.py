"""Readers of the alias never see an older document when a rebuild moves it, and no event pays for that."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from uuid import UUID, uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes.postgres_link import Rule
from fakes.postgres_proxy import Do, Proxy
from processes import Cli, Process, Worker, eventually
from rebuilding import AliasReader, Hammer, documents, held, put, rows, said

pytestmark = pytest.mark.real_engine
Sql = psycopg.Connection
SOON = 3.0  # seconds until all is delivered once the alias has moved
FINDING = "rebuild-interrupted-move"
TIMES = 3  # rebuilds, one after the other
STATES = "SELECT status, max(attempts) FROM search_outbox_events GROUP BY 1"
WAITING = """
SELECT count(*) FROM search_outbox_events WHERE status = 'pending' AND error_reason = 'write_blocked'
    AND attempts = 0 AND next_retry_at < now() + interval '2 s'
"""


def all_done(sql: Sql) -> None:
    """Everything is delivered, and no event has lost an attempt."""
    eventually(lambda: {status for status, _ in sql.execute(STATES)} == {"done"}, what="all done")
    assert sql.execute(STATES).fetchall() == [("done", 1)]


@pytest.fixture(params=["count", "hold"])
def delivering(
    request: pytest.FixtureRequest,
    worker: Callable[..., Worker],
    sql: Sql,
    engine: Elasticsearch,
    index: str,
) -> tuple[Worker, list[UUID]]:
    """A worker, under either policy, and the entities that it has delivered."""
    put(sql, *(ids := [uuid4() for _ in range(20)]))
    running = worker(OUTBOX_POLL_INTERVAL_SECONDS="0.05", OUTBOX_OUTAGE_POLICY=request.param)
    eventually(lambda: documents(engine, index) == rows(sql), what="the first delivery")
    return running, ids


@pytest.mark.slow(reason="a rebuild that is killed, or takes turns with workers")
def test_a_reader_never_sees_an_older_state_of_a_row(
    delivering: tuple[Worker, list[UUID]], cli: Cli, sql: Sql, engine: Elasticsearch, index: str, url: str
) -> None:
    running, (one, *_) = delivering
    writer = Hammer(url, lambda own: put(own, one))
    reader = AliasReader(engine, index, f"block:{one}", lambda hit: int(hit["_version"]))
    writer.start()
    reader.start()
    for _ in range(TIMES):
        assert cli.json("rebuild", "--yes")["phase"] == "done"
    assert cli.json("index", "rollback", "--yes")["phase"] == "done"
    writer.stop()
    all_done(sql)
    reader.stop()
    assert reader.looks > TIMES
    assert reader.steps_back == []
    assert documents(engine, index) == rows(sql)
    assert running.metric("outbox_terminal_failed_total") == 0


@contextmanager
def standing_in_the_move(cli: Cli, proxy: Proxy, *args: str) -> Iterator[tuple[Process, Rule]]:
    """A rebuild that stands still while its old index takes no writes, at the start of its last round."""
    with held(cli, proxy, "COMMIT", Do.HOLD_ANSWER, "SET swapped_at", *args) as (process, rule):
        last = proxy.on("pg_snapshot_xip", Do.HOLD_STATEMENT)
        rule.released.set()
        eventually(last.reached.is_set, what="the last round")
        yield process, last


def test_events_that_come_during_the_move_wait_for_it_and_lose_nothing(
    delivering: tuple[Worker, list[UUID]],
    cli: Cli,
    sql: Sql,
    engine: Elasticsearch,
    index: str,
    database_proxy: Proxy,
) -> None:
    running, ids = delivering
    with standing_in_the_move(cli, database_proxy) as (process, rule):
        put(sql, *ids)
        eventually(lambda: sql.execute(WAITING).fetchone() == (20,), what="all wait")
        (text,) = sql.execute("SELECT DISTINCT error FROM search_outbox_events WHERE error <> ''").fetchall()
        assert text[0].startswith(f"write_blocked: a rebuild moves the alias {index}, and its index takes")
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    ended = monotonic()
    all_done(sql)
    assert monotonic() - ended < SOON
    assert running.metric("outbox_circuit_open") == 0
    assert documents(engine, index) == rows(sql)


@pytest.mark.slow(reason="a rebuild that is killed, or takes turns with workers")
@pytest.mark.parametrize("end", [("rebuild",), ("index", "abort")])
def test_killed_in_the_move_no_event_fails_and_the_next_command_ends_the_block(
    end: tuple[str, ...],
    cli: Cli,
    worker: Callable[..., Worker],
    sql: Sql,
    engine: Elasticsearch,
    index: str,
    database_proxy: Proxy,
) -> None:
    put(sql, one := uuid4())
    with standing_in_the_move(cli, database_proxy) as (process, _):
        process.kill()
        process.wait(10)
        database_proxy.cut()
    running = worker(OUTBOX_MAX_ATTEMPTS="1", OUTBOX_MAX_BACKOFF_SECONDS="1", OUTBOX_OUTAGE_POLICY="count")
    put(sql, one)
    eventually(lambda: running.metric("outbox_retry_scheduled_total") > 4, what="several tries")
    (text,) = sql.execute("SELECT DISTINCT error FROM search_outbox_events WHERE error <> ''").fetchall()
    assert "was interrupted while its index takes no writes: `outboxctl rebuild` goes on" in text[0]
    found = cli("doctor", "--only", "database", "--json")
    (finding,) = [each for each in json.loads(found.stdout)["findings"] if each["id"] == FINDING]
    assert finding["mend"].startswith("outboxctl rebuild --yes")
    cli.ok(*end, "--yes")
    all_done(sql)
    assert documents(engine, index) == rows(sql)
    assert FINDING not in cli("doctor", "--only", "database", "--json").stdout
    assert blocked(engine, index) == []


def blocked(engine: Elasticsearch, alias: str) -> list[str]:
    """The indexes of a test that take no writes."""
    held = engine.indices.get_settings(index=f"{alias}*", flat_settings=True)
    return sorted(name for name, each in held.items() if each["settings"].get("index.blocks.write") == "true")
