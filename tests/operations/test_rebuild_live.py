"""A rebuild while events flow loses none, and brings nothing back."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
import pytest
from elasticsearch import ConflictError, Elasticsearch

from acceptance import lab
from fakes.postgres_proxy import Do, Proxy
from outboxctl.domain.failures import Reason
from processes import Cli, Worker, eventually
from rebuilding import ROWS, Application, behind, documents, held, put, rows, said, take_away
from scene import Scene

pytestmark = pytest.mark.real_engine
SMALL = {"OUTBOX_BULK_SIZE": "100"}


@pytest.mark.slow(reason="live traffic for many seconds")
def test_under_500_events_a_second_none_is_lost(
    cli: Cli,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    url: str,
) -> None:
    sql.execute(ROWS, [2_000])
    application = Application(url, rate=500)
    application.start()
    running = worker()
    eventually(lambda: running.metric("outbox_processed_total") > 100)
    done = cli.json("rebuild", "--yes", env=SMALL)
    application.stop()
    put(sql, last := uuid4())
    eventually(lambda: Scene(sql, engine, index).count("done") == application.events + 1, what="all done")
    assert (done["phase"], done["refused"]) == ("done", 0)
    assert done["caught_up"] > 0
    assert behind(engine, index) == [f"{index}-000002"]
    assert documents(engine, index) == rows(sql)
    assert cli.json("verify")["differences"] == 0
    assert running.metric("outbox_terminal_failed_total") == 0
    others = [reason for reason in Reason if reason is not Reason.WRITE_BLOCKED]  # while the alias was moved
    assert sum(running.metric("outbox_failed_total", reason=each.value) for each in others) == 0
    assert f"block:{last}" not in documents(engine, f"{index}-000001")


def test_what_went_to_the_old_index_meanwhile_is_made_up_for(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, database_proxy: Proxy
) -> None:
    """Before the swap, when everything has been caught up: the worker still writes to the old index."""
    kept, changed, gone, new, same_version = (uuid4() for _ in range(5))
    put(sql, kept, changed, gone, same_version)
    with held(cli, database_proxy, "SET swapped_at", Do.HOLD_STATEMENT) as (process, rule):
        put(sql, changed, new)
        take_away(sql, gone)
        sql.execute("UPDATE search_index SET text = 'other' WHERE entity_id = %s", [same_version])
        lab.event(sql, same_version, 1)
        cli.ok("worker", "--drain")
        assert set(documents(engine, f"{index}-000002")) == {
            f"block:{each}" for each in (kept, changed, gone, same_version)
        }
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    assert documents(engine, index) == rows(sql)
    assert set(rows(sql)) == {f"block:{each}" for each in (kept, changed, new, same_version)}


def test_what_no_event_tells_any_more_is_found_by_comparing(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, database_proxy: Proxy
) -> None:
    changed, gone = uuid4(), uuid4()
    put(sql, changed, gone)
    with held(cli, database_proxy, "SET swapped_at", Do.HOLD_STATEMENT) as (process, rule):
        put(sql, changed)
        take_away(sql, gone)
        sql.execute("DELETE FROM search_outbox_events")
        rule.released.set()
        assert said(process)[1]["healed"] == 2
    assert documents(engine, index) == rows(sql)


def test_a_late_write_of_a_deleted_entity_is_kept_out_of_the_new_index_too(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    gone = uuid4()
    put(sql, gone)
    cli.ok("worker", "--drain")
    take_away(sql, gone)
    cli.ok("worker", "--drain")
    sql.execute("UPDATE search_outbox_events SET updated_at = now() - interval '50 minutes'")
    cli.ok("rebuild", "--yes")
    with pytest.raises(ConflictError):
        engine.index(index=index, id=f"block:{gone}", document={}, version=1, version_type="external_gte")
