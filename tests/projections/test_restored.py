"""A database that lost its newest transactions: it overwrites what the index holds of the lost ones."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from clusters import ARCHIVED, Cluster, cluster, program
from outboxctl.core.database import Database
from outboxctl.core.projections import version_base
from outboxctl.core.schema.migrations import upgrade
from processes import Cli, Worker, eventually
from projections import shop_tables
from projections.test_trigger_partitions import PARTITIONED
from servers import an_index, drop_database, new_database

pytestmark = pytest.mark.slow(reason="servers of its own, restored from a backup")

RAISED = "the versions of documents were raised"
STANDBY_CAUGHT_UP = "SELECT FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()"
RAISED_TOTAL = "outbox_version_base_raised_total"
WHO = ("--by", "alice", "--reason", "a restore")
ARCHIVED_ALL = "SELECT FROM pg_stat_archiver WHERE last_archived_wal >= %s"
RESTORED = "SELECT WHERE NOT pg_is_in_recovery()"
UNFINISHED = "SELECT FROM search_outbox_events WHERE status <> 'done' LIMIT 1"


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A server that only these tests use."""
    with cluster(ARCHIVED) as server:
        yield server


@pytest.fixture
def products(engine: Elasticsearch) -> Iterator[str]:
    """An index of products."""
    with an_index(engine) as name:
        yield name


@pytest.fixture
def own_url(own: Cluster, products: str) -> str:
    """A migrated database on that server, with a shop and its projection."""
    own.start()
    url = new_database(own.url)
    db = Database(url)
    upgrade(db, None)
    with psycopg.connect(url) as sql:
        sql.execute(shop.SCHEMA)
    shop.put_in_force(db, shop.product(products))
    db.close()
    return url


def beside(url: str, other: Cluster) -> str:
    """The same database on another server."""
    return url.replace(f":{urlsplit(url).port}/", f":{other.port}/")


def serial(sql: psycopg.Connection) -> int:
    """The number of transactions that this server has finished."""
    row = sql.execute(f"SELECT {version_base.SERIAL}").fetchone()
    assert row
    return int(row[0])


def sell(sql: psycopg.Connection, name: str, *keys: int) -> None:
    """Write these products with this name, and their events."""
    for key in keys:
        sql.execute(
            "INSERT INTO shop.products VALUES (%s, %s, 1, 1)"
            " ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
            [key, name],
        )
    shop.changed(sql, *keys)


def names(engine: Elasticsearch, index: str) -> dict[str, str]:
    """The names of the products in the index."""
    return {id_: document["name"] for id_, document in shop.held(engine, index).items()}


def version(engine: Elasticsearch, index: str, key: int) -> int:
    """The version of a document in the index."""
    return int(engine.get(index=index, id=str(key))["_version"])


def raised(log: str) -> bool:
    """Whether the base rose once, by one step."""
    return log.count(RAISED) == 1 and f'"base": {version_base.STEP}' in log


@contextmanager
def lagging(primary: Cluster, url: str) -> Iterator[Cluster]:
    """A standby of it that has all of now, and receives nothing more."""
    with primary.standby() as standby:
        with psycopg.connect(url, autocommit=True) as sql:
            eventually(lambda: sql.execute(STANDBY_CAUGHT_UP).rowcount == 1, what="caught up")
        with psycopg.connect(standby.url, autocommit=True) as sql:
            sql.execute("ALTER SYSTEM SET primary_conninfo = ''")
            sql.execute("SELECT pg_reload_conf()")
            eventually(lambda: not sql.execute("SELECT FROM pg_stat_wal_receiver").rowcount, what="cut off")
        yield standby


@pytest.mark.slow(reason="a standby of its own, promoted")
def test_a_promoted_standby_that_lagged_overwrites_what_the_old_primary_had_sent(
    own: Cluster, own_url: str, products: str, cli: Cli, worker: Callable[..., Worker], engine: Elasticsearch
) -> None:
    """One worker goes on through the promotion; somebody writes the events of what was lost again."""
    with psycopg.connect(own_url, autocommit=True) as sql:
        sell(sql, "kept", 1, 2, 3)
        cli.ok("worker", "--drain", env={"DATABASE_URL": own_url})
        with lagging(own, own_url) as standby:
            running = worker(DATABASE_URL=own_url.replace("@", f"@127.0.0.1:{standby.port},"))
            lose(sql)
            eventually(lambda: not sql.execute(UNFINISHED).rowcount, what="delivered")
            assert names(engine, products) == {"1": "kept", "2": "lost", "4": "lost"}
            before = serial(sql)
            own.stop("immediate")
            standby.promote()
            with psycopg.connect(beside(own_url, standby), autocommit=True) as promoted:
                assert serial(promoted) < before - 100, "nothing was lost"
                sell(promoted, "new", 5)
                eventually(lambda: not promoted.execute(UNFINISHED).rowcount, what="the new one")
                assert version(engine, products, 5) > version_base.STEP
                shop.changed(promoted, 2, 3, 4)
                eventually(lambda: not promoted.execute(UNFINISHED).rowcount, what="delivered again")
            assert names(engine, products) == {"1": "kept", "2": "kept", "3": "kept", "5": "new"}
            assert raised(running.log.read_text())
            running.end()


@pytest.mark.slow(reason="two PostgreSQL servers of its own")
def test_a_dump_in_another_server_overwrites_what_was_sent_after_it(
    own_url: str, products: str, cli: Cli, engine: Elasticsearch
) -> None:
    with psycopg.connect(own_url, autocommit=True) as sql, cluster() as other:
        sell(sql, "kept", 1, 2, 3)
        cli.ok("worker", "--drain", env={"DATABASE_URL": own_url})
        dump = dumped(own_url)
        for _ in range(3):
            lose(sql)
        cli.ok("worker", "--drain", env={"DATABASE_URL": own_url})
        assert names(engine, products) == {"1": "kept", "2": "lost", "4": "lost"}
        url = new_database(other.url)
        restore(url, dump)
        with psycopg.connect(url, autocommit=True) as restored:
            assert serial(restored) < serial(sql), "nothing was lost"
            shop.changed(restored, 2, 3, 4)
        drained = cli("worker", "--drain", env={"DATABASE_URL": url})
        assert drained.returncode == 0
        assert names(engine, products) == {"1": "kept", "2": "kept", "3": "kept"}
        assert raised(drained.stderr)


@pytest.mark.slow(reason="a base backup of a server of its own, restored to a point in time")
def test_a_restore_to_a_point_in_time_overwrites_what_was_sent_after_that_point(
    own: Cluster, own_url: str, products: str, cli: Cli, worker: Callable[..., Worker], engine: Elasticsearch
) -> None:
    """One worker goes on; what is pending at that point, and what is written next, comes first."""
    with psycopg.connect(own_url, autocommit=True) as sql:
        sell(sql, "kept", 1, 2, 3)
        cli.ok("worker", "--drain", env={"DATABASE_URL": own_url})
        backup = own.backup()
        sell(sql, "kept after the backup", 6)
        sql.execute("SELECT pg_create_restore_point('before')")
        running = worker(DATABASE_URL=own_url.replace("@", f"@127.0.0.1:{backup.port},"))
        lose(sql)
        eventually(lambda: not sql.execute(UNFINISHED).rowcount, what="delivered")
        sent = {"1": "kept", "2": "lost", "4": "lost", "6": "kept after the backup"}
        assert names(engine, products) == sent
        before = serial(sql)
        archive(sql)
    own.stop("immediate")
    there = beside(own_url, backup)
    with backup.restored("before"), psycopg.connect(there, autocommit=True) as restored:
        eventually(lambda: restored.execute(RESTORED).rowcount, what="restored")
        assert serial(restored) < before - 100, "nothing was lost"
        sell(restored, "new", 5)
        eventually(lambda: not restored.execute(UNFINISHED).rowcount, what="the pending one and the new one")
        assert {version(engine, products, key) > version_base.STEP for key in (5, 6)} == {True}
        assert version(engine, products, 2) < version_base.STEP
        cli.ok("verify", "--projection", "product", "--repair", *WHO, env={"DATABASE_URL": there})
        rows = restored.execute("SELECT id::text, name FROM shop.product_documents").fetchall()
        eventually(lambda: names(engine, products) == dict(rows), what="repaired")
        assert dict(rows) == {
            **{"1": "kept", "2": "kept", "3": "kept"},
            **{"5": "new", "6": "kept after the backup"},
        }
        assert raised(running.log.read_text())
        assert running.metric(RAISED_TOTAL, projection="product") == 1
        running.end()


def test_partitions_of_a_dump_are_watched_as_before(db: Database, bare: psycopg.Connection, url: str) -> None:
    """Copies of a trigger that are disabled stay disabled, and no row has two events."""
    bare.execute(PARTITIONED.encode())
    bare.execute("CREATE TABLE shop.lines_2026 PARTITION OF shop.lines DEFAULT")
    lines = shop_tables.of("lines")
    shop_tables.watch(db, lines)
    bare.execute(
        "CREATE TABLE shop.lines_2027 PARTITION OF shop.lines"
        " FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')"
    )
    before = shop_tables.faults(db, lines)
    assert before == [("lines_2027", "ROW_BY_ROW", shop_tables.function("lines", rows=True))]
    again = new_database(url)
    restore(again, dumped(url))
    restored = Database(again)
    assert shop_tables.faults(restored, lines) == before
    with psycopg.connect(again, autocommit=True) as sql:
        sql.execute("INSERT INTO shop.lines VALUES (1, '2024-05-05'); UPDATE shop.lines_2024 SET text = 'x'")
        assert shop_tables.keys(sql) == ["1", "1"]
    restored.close()
    drop_database(url, again)


def archive(sql: psycopg.Connection) -> None:
    """Have all WAL of now in the archive."""
    (file,) = sql.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone() or ("",)
    eventually(lambda: sql.execute(ARCHIVED_ALL, [file]).rowcount, what="archived")


def lose(sql: psycopg.Connection) -> None:
    """Transactions that no other server will have."""
    for _ in range(50):
        sell(sql, "lost", 2, 3, 4)
    sql.execute("DELETE FROM shop.products WHERE id = 3")
    shop.changed(sql, 3)


def dumped(url: str) -> bytes:
    """The whole database as SQL."""
    return _run("pg_dump", "--dbname", url)


def restore(url: str, dump: bytes) -> None:
    """Run that SQL in an empty database."""
    _run(
        "psql",
        "--quiet",
        "--no-psqlrc",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
        "--dbname",
        url,
        given=dump,
    )


def _run(name: str, *arguments: str, given: bytes = b"") -> bytes:
    command = [program(name), *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=True, timeout=60).stdout
