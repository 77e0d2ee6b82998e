"""A rebuild that is killed, interrupted or cut off goes on where it stopped; and there is one at a time."""

import signal

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes import ProxyFault, Script, fake_sink
from fakes.faults import refused as refusal
from fakes.postgres_proxy import Do, Proxy
from processes import Cli
from rebuilding import ROWS, behind, documents, held, indexes, rows, said
from servers import Servers

pytestmark = pytest.mark.real_engine
TOTAL = 500
SMALL = {"OUTBOX_BULK_SIZE": "100"}
# A statement that each phase comes to, and whether the process dies before it or after it committed.
STEPS = {
    "before-it-is-known": ('INSERT INTO "public".outbox_rebuilds', Do.HOLD_STATEMENT, ""),
    "before-the-index-is-there": ("COMMIT", Do.HOLD_ANSWER, 'INSERT INTO "public".outbox_rebuilds'),
    "the-index-is-there": ("outbox_rebuilds SET phase", Do.HOLD_STATEMENT, ""),
    "a-page-is-sent": ("outbox_rebuilds SET body", Do.HOLD_STATEMENT, ""),
    "a-page-is-saved": ("COMMIT", Do.HOLD_ANSWER, "outbox_rebuilds SET body"),
    "catching-up": ("WITH k AS MATERIALIZED", Do.HOLD_STATEMENT, ""),
    "caught-up": ("outbox_rebuilds SET caught_up_to", Do.HOLD_STATEMENT, ""),
    "before-the-swap": ("COMMIT", Do.HOLD_ANSWER, "SET swapped_at"),
    "after-the-swap": ('INSERT INTO "public".outbox_operator_audit', Do.HOLD_STATEMENT, ""),
    "comparing": ("s.ctid >=", Do.HOLD_STATEMENT, ""),
    "before-the-end": ("SET ended_at", Do.HOLD_STATEMENT, ""),
}
SWAPPED = {"after-the-swap", "comparing", "before-the-end"}


@pytest.fixture
def cli(cli: Cli) -> Cli:
    """With small pages, so that there are several."""
    return Cli(cli.env | SMALL, cli.cwd)


@pytest.mark.slow(reason="a rebuild that is killed, or takes turns with workers")
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_it_goes_on(
    step: str, cli: Cli, database_proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, database_proxy, *STEPS[step]) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        database_proxy.cut()  # as the kernel does to the connections of a dead process
    assert behind(engine, index) == [f"{index}-00000{2 if step in SWAPPED else 1}"]
    sql.execute("UPDATE search_index SET text = 'newer', event_version = 2 WHERE entity_type = 'page'")
    done = cli.json("rebuild", "--yes")
    assert (done["phase"], done["resumed"]) == ("done", step != "before-it-is-known")
    assert behind(engine, index) == [f"{index}-000002"]
    assert documents(engine, index) == rows(sql)
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000002"]
    acts = sql.execute("SELECT action, filters ->> 'new_index' FROM outbox_operator_audit").fetchall()
    assert acts == [("rebuild", f"{index}-000002")]


def test_interrupted_it_ends_whole_and_goes_on(
    cli: Cli, database_proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, database_proxy, *STEPS["a-page-is-sent"]) as (process, rule):
        process.send_signal(signal.SIGINT)
        rule.released.set()
        code, report, err = said(process)
    assert (code, report["phase"]) == (130, "fill")
    assert report["copied"] >= 100
    assert "Error" not in err
    assert behind(engine, index) == [f"{index}-000001"]
    assert cli.json("rebuild", "--yes")["copied"] == TOTAL
    assert documents(engine, index) == rows(sql)


def test_a_second_one_is_turned_away(
    cli: Cli, database_proxy: Proxy, sql: psycopg.Connection, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, database_proxy, *STEPS["a-page-is-sent"]) as (process, rule):
        for args in (("rebuild",), ("index", "abort")):
            second = cli(*args, "--yes")
            assert second.returncode == 2
            assert f"a rebuild of {index} is running" in second.stderr
        assert cli.json("index", "rebuilds")["running"] is True
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    assert cli.json("index", "rebuilds")["running"] is False


def test_without_its_lock_it_swaps_nothing(
    cli: Cli, database_proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, database_proxy, *STEPS["caught-up"]) as (process, rule):
        ended = sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity a USING (pid)"
            " WHERE locktype = 'advisory' AND a.datname = current_database()"
        ).fetchall()
        assert ended == [(True,)]
        rule.released.set()
        assert said(process)[0] == 3
    assert behind(engine, index) == [f"{index}-000001"]


def test_a_sink_that_stays_away_ends_it_and_it_goes_on(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, servers: Servers
) -> None:
    sql.execute(ROWS, [TOTAL])
    away = refusal(503, "unavailable_shards_exception", "away")
    script = Script.of(ProxyFault(), ProxyFault(), then=away)
    with fake_sink(script, upstream=servers.sink) as sink:
        done = cli("rebuild", "--yes", "--patience", "0.5", env={"ELASTIC_URL": sink.url})
    assert done.returncode == 3
    assert f"{index}-000002" in done.stderr
    assert "goes on where this one stopped" in done.stderr
    assert behind(engine, index) == [f"{index}-000001"]
    assert cli.json("rebuild", "--yes")["resumed"] is True
    assert documents(engine, index) == rows(sql)
