"""A rebuild that is killed, interrupted or cut off goes on where it stopped; and there is one at a time."""

import signal
from collections.abc import Iterator
from contextlib import nullcontext

import psycopg
import pytest
from elasticsearch import Elasticsearch

import pgbouncer
from fakes import ProxyFault, Script, fake_sink
from fakes.faults import refused as refusal
from fakes.postgres_proxy import Do, Proxy, postgres_proxy
from processes import Cli, eventually
from rebuilding import ROWS, behind, documents, held, indexes, rows, said, started
from servers import Servers

pytestmark = pytest.mark.real_engine
TOTAL = 500
SMALL = {"OUTBOX_BULK_SIZE": "100"}
# A statement that each phase comes to, and whether the process dies before it or after it committed.
STEPS = {
    "before-it-is-known": ('INSERT INTO "public".outbox_rebuilds', Do.HOLD_STATEMENT, ""),
    "before-the-index-is-there": ("COMMIT", Do.HOLD_ANSWER, 'INSERT INTO "public".outbox_rebuilds'),
    "the-index-is-there": ("outbox_rebuilds SET phase", Do.HOLD_STATEMENT, ""),
    "a-page-is-sent": ("outbox_rebuilds SET cursor_type", Do.HOLD_STATEMENT, ""),
    "a-page-is-saved": ("COMMIT", Do.HOLD_ANSWER, "outbox_rebuilds SET cursor_type"),
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


@pytest.fixture
def proxy(url: str) -> Iterator[Proxy]:
    """The way to the database of the rebuild that is killed."""
    with postgres_proxy(url) as proxy:
        yield proxy


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_it_goes_on(
    step: str, cli: Cli, proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, proxy, *STEPS[step]) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        proxy.cut()  # as the kernel does to the connections of a dead process
    assert behind(engine, index) == [f"{index}-00000{2 if step in SWAPPED else 1}"]
    sql.execute("UPDATE search_index SET text = 'newer', event_version = 2 WHERE entity_type = 'page'")
    done = cli.json("rebuild", "--yes")
    assert (done["phase"], done["resumed"]) == ("done", step != "before-it-is-known")
    assert behind(engine, index) == [f"{index}-000002"]
    assert documents(engine, index) == rows(sql)
    assert indexes(engine, index) == [f"{index}-000001", f"{index}-000002"]
    acts = sql.execute("SELECT action, filters ->> 'new_index' FROM outbox_operator_audit").fetchall()
    assert acts == [("rebuild", f"{index}-000002")]


@pytest.mark.parametrize("end", ["--yes", "--abort"])
def test_killed_before_a_templates_alias_is_taken_away_it_is_not_found_by_searches(
    end: str, cli: Cli, proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, proxy, *STEPS["the-index-is-there"]) as (process, _):
        engine.indices.put_alias(index=f"{index}-000002", name=index)  # as a template had done
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        proxy.cut()
    with held(cli, proxy, *STEPS["a-page-is-sent"]) if end == "--yes" else nullcontext() as again:
        if again:
            assert behind(engine, index) == [f"{index}-000001"]
        else:
            cli.ok("rebuild", "--yes", end)
            assert indexes(engine, index) == behind(engine, index) == [f"{index}-000001"]


def test_what_was_copied_is_not_copied_again(
    cli: Cli, proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, proxy, *STEPS["a-page-is-saved"]) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        proxy.cut()
    (row,) = cli.json("rebuild", "--status")["rebuilds"]
    assert (row["state"], row["copied"]) == ("fill, interrupted", 100)
    assert cli.json("rebuild", "--yes")["copied"] == TOTAL
    stats = engine.indices.stats(index=f"{index}-000002", metric="indexing")["_all"]["primaries"]["indexing"]
    assert stats["index_total"] <= TOTAL + TOTAL - 100  # what was sent since then is sent again, no more


def test_interrupted_it_ends_whole_and_goes_on(
    cli: Cli, proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, proxy, *STEPS["a-page-is-sent"]) as (process, rule):
        process.send_signal(signal.SIGINT)
        rule.released.set()
        code, report, err = said(process)
    assert (code, report["phase"]) == (130, "fill")
    assert report["copied"] >= 100
    assert "Error" not in err
    assert behind(engine, index) == [f"{index}-000001"]
    assert cli.json("rebuild", "--yes")["copied"] == TOTAL
    assert documents(engine, index) == rows(sql)


def test_a_second_one_is_turned_away(cli: Cli, proxy: Proxy, sql: psycopg.Connection, index: str) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, proxy, *STEPS["a-page-is-sent"]) as (process, rule):
        for args in (["--yes"], ["--abort", "--yes"]):
            second = cli("rebuild", *args)
            assert second.returncode == 2
            assert f"a rebuild of {index} is running" in second.stderr
        assert cli.json("rebuild", "--status")["running"] is True
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    assert cli.json("rebuild", "--status")["running"] is False


def test_its_lock_keeps_vacuum_from_nothing(cli: Cli, proxy: Proxy, sql: psycopg.Connection) -> None:
    sql.execute(ROWS, [TOTAL])
    sql.execute(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = "
        "''repeatable read''', current_database()); END $$"
    )
    with held(cli, proxy, *STEPS["a-page-is-sent"]) as (process, rule):
        kept = sql.execute(
            "SELECT count(*), count(backend_xmin) FROM pg_stat_activity a JOIN pg_locks USING (pid)"
            " WHERE locktype = 'advisory' AND a.datname = current_database()"
        ).fetchone()
        assert kept == (1, 0)
        rule.released.set()
        assert said(process)[1]["phase"] == "done"


def test_without_its_lock_it_swaps_nothing(
    cli: Cli, proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    sql.execute(ROWS, [TOTAL])
    with held(cli, proxy, *STEPS["caught-up"]) as (process, rule):
        ended = sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity a USING (pid)"
            " WHERE locktype = 'advisory' AND a.datname = current_database()"
        ).fetchall()
        assert ended == [(True,)]
        rule.released.set()
        assert said(process)[0] == 3
    assert behind(engine, index) == [f"{index}-000001"]


def test_a_sink_that_comes_back_in_time_is_waited_for(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, servers: Servers
) -> None:
    sql.execute(ROWS, [TOTAL])
    away = refusal(503, "unavailable_shards_exception", "away")
    with fake_sink(Script.of(away, away, away, away), upstream=servers.sink) as sink:
        assert cli.json("rebuild", "--yes", env={"ELASTIC_URL": sink.url})["copied"] == TOTAL
    assert documents(engine, index) == rows(sql)


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


def test_while_the_sink_is_away_it_can_be_interrupted(
    cli: Cli, sql: psycopg.Connection, servers: Servers
) -> None:
    sql.execute(ROWS, [TOTAL])
    away = refusal(503, "unavailable_shards_exception", "away")
    with (
        fake_sink(Script.always(away), upstream=servers.sink) as sink,
        started(cli, "--yes", "--json", ELASTIC_URL=sink.url) as process,
    ):
        eventually(lambda: len(sink.requests) > 2)
        process.send_signal(signal.SIGINT)
        code, report, _ = said(process)
    assert (code, report["phase"], report["copied"]) == (130, "fill", 0)


def test_through_a_pooler_in_transaction_mode_there_is_one_at_a_time_too(
    cli: Cli, proxy: Proxy, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    if not pgbouncer.available():
        pytest.skip("no PgBouncer on PATH, and no package of it could be downloaded with apt-get")
    sql.execute(ROWS, [TOTAL])
    rule = proxy.on("outbox_rebuilds SET cursor_type", Do.HOLD_STATEMENT)
    with (
        pgbouncer.pgbouncer(proxy.url, size=2) as url,
        started(cli, "--yes", "--json", DATABASE_URL=url) as process,
    ):
        eventually(rule.reached.is_set)
        assert cli("rebuild", "--yes").returncode == 2
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    assert documents(engine, index) == rows(sql)
