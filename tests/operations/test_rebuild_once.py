"""A rebuild sends each change once, whatever the outbox is doing; and fills from tables of any build."""

from uuid import uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from fakes.postgres_proxy import Do, Proxy
from processes import Cli
from rebuilding import ROWS, documents, held, put, rows, said, take_away

pytestmark = pytest.mark.real_engine
SMALL = {"OUTBOX_BULK_SIZE": "100"}


def written(engine: Elasticsearch, index: str) -> int:
    """How many documents were written to an index, each time that they were, deletes too."""
    stats = engine.indices.stats(index=index, metric="indexing")["_all"]["primaries"]["indexing"]
    return int(stats["index_total"]) + int(stats["delete_total"])


def test_events_of_the_last_minute_are_sent_by_the_fill_alone(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    """A busy outbox: each round sent them again, so none could become short."""
    put(sql, *(uuid4() for _ in range(300)))
    cli.ok("worker", "--drain")
    done = cli.json("rebuild", "--yes", env=SMALL)
    assert (done["copied"], done["caught_up"], done["healed"]) == (300, 0, 0)
    assert written(engine, f"{index}-000002") == 300
    assert documents(engine, index) == rows(sql)


COMMANDS = {"rebuild": ("rebuild",), "rollback": ("index", "rollback")}


@pytest.mark.slow(reason="a rebuild that is killed, or takes turns with workers")
@pytest.mark.parametrize("action", COMMANDS)
def test_what_changes_between_two_rounds_is_sent_by_one_of_them(
    action: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, database_proxy: Proxy
) -> None:
    changed, gone, new = uuid4(), uuid4(), uuid4()
    put(sql, changed, gone, *(uuid4() for _ in range(100)))
    cli.ok("worker", "--drain")
    number = 2
    if action == "rollback":
        cli.ok("rebuild", "--yes")
        number = 1
    before = written(engine, f"{index}-000001") if action == "rollback" else 102
    with held(cli, database_proxy, "SET swapped_at", Do.HOLD_STATEMENT, command=COMMANDS[action]) as (
        process,
        rule,
    ):
        between = written(engine, f"{index}-00000{number}")
        put(sql, changed, new)
        take_away(sql, gone)
        cli.ok("worker", "--drain")
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    assert action == "rollback" or between == before
    assert written(engine, f"{index}-00000{number}") == between + 3
    assert documents(engine, index) == rows(sql)


def test_keys_that_change_while_it_fills_leave_no_document_behind(
    cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, database_proxy: Proxy
) -> None:
    """Forwards and backwards, past the place where it reads, and no event tells."""
    sql.execute(ROWS, [500])
    with held(
        cli, database_proxy, "outbox_rebuilds SET body", Do.HOLD_STATEMENT, "", OUTBOX_BULK_SIZE="10"
    ) as (process, rule):
        sql.execute("UPDATE search_index SET entity_id = gen_random_uuid() WHERE text LIKE '%7'")
        sql.execute("UPDATE search_index SET entity_type = 'a' WHERE text LIKE '%8'")
        rule.released.set()
        assert said(process)[1]["phase"] == "done"
    assert documents(engine, index) == rows(sql)
