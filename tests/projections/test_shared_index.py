"""Two projections in one index: each keeps its own documents right, and leaves those of the other alone."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli, Worker, eventually
from projections import mall
from projections.store import WHO
from rebuilding import behind, started

pytestmark = pytest.mark.real_engine
BEGUN = "SELECT body -> 'cursor' FROM outbox_rebuilds WHERE body ? 'cursor'"
OPEN = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"


@pytest.fixture
def shared(sql: psycopg.Connection, cli: Cli, index: str, tmp_path: Path) -> str:
    """Both in force, in one index."""
    name, _ = f"{index}-mall", sql.execute(mall.TABLES)
    cli.ok("projection", "apply", str(mall.declaration(tmp_path, name)), *WHO)
    return name


@contextmanager
def sessions(url: str) -> Iterator[None]:
    """Three of them write at random within the block."""
    several = [mall.Session(url, seed) for seed in range(3)]
    for each in several:
        each.start()
    try:
        eventually(lambda: all(each.acts > 50 for each in several))
        yield
        eventually(lambda: all(each.acts > 150 for each in several))
    finally:
        for each in several:
            each.stop()


def check(sql: psycopg.Connection, engine: Elasticsearch, name: str, cli: Cli) -> None:
    """All is delivered, the index has what the views have, and `verify` agrees."""
    cli.ok("worker", "--drain")
    eventually(lambda: sql.execute(OPEN).fetchone() == (0,), what="all delivered")
    assert mall.placed(engine, name) == mall.wanted(sql)
    for each in ("product", "review"):
        cli.ok("verify", "--projection", each)


@pytest.mark.slow(reason="three sessions write, and a worker is killed")
def test_after_random_writes_and_a_killed_worker_the_index_holds_both(
    shared: str,
    cli: Cli,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    url: str,
) -> None:
    first, _ = worker(OUTBOX_LEASE_SECONDS="5"), worker(OUTBOX_LEASE_SECONDS="5")
    with sessions(url):
        first.process.kill()
    check(sql, engine, shared, cli)


@pytest.mark.slow(reason="writers and workers beside a rebuild")
@pytest.mark.parametrize("killed", [False, True])
def test_a_rebuild_of_one_fills_the_new_index_from_both_while_both_change(
    shared: str,
    cli: Cli,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    url: str,
    killed: bool,
) -> None:
    sql.execute(mall.SOME)
    engine.index(index=shared, id="nobody's", document={})
    worker()
    small = {"OUTBOX_BULK_SIZE": "5"}
    with sessions(url):
        if killed:
            with started(cli, "--projection", "product", "--yes", **small) as process:
                eventually(lambda: sql.execute(BEGUN).fetchone(), what="the fill has begun")
                process.kill()
                process.wait()
        done = cli.json("rebuild", "--projection", "review", "--yes", env=small)
    assert (done["phase"], done["refused"], done["resumed"]) == ("done", 0, killed)
    assert behind(engine, shared) == [f"{shared}-000002"]
    check(sql, engine, shared, cli)
    sql.execute("UPDATE mall.products SET name = 'x' || id; DELETE FROM mall.reviews WHERE stars = 1")
    cli.ok("index", "rollback", "--projection", "product", "--yes")
    assert behind(engine, shared) == [f"{shared}-000001"]
    engine.delete(index=shared, id="nobody's")
    check(sql, engine, shared, cli)


def test_verify_repairs_its_own_documents_only(
    shared: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch
) -> None:
    sql.execute(mall.SOME)
    cli.ok("worker", "--drain")
    kind = {"name": "product"}
    for id_ in ("product:999", "product:", "product:no number", "review:gone", "other:1", "7"):
        engine.index(index=shared, id=id_, routing="1", document={"kind": kind})
    engine.delete(index=shared, id="product:3", routing="3")
    found = json.loads(cli("verify", "--projection", "product", "--json").stdout)["projections"][0]
    assert (found["by_kind"]["extra"], found["by_kind"]["missing"]) == (3, 1)
    cli("verify", "--projection", "product", "--repair", *WHO, "--yes")
    cli.ok("worker", "--drain")
    left = mall.placed(engine, shared)
    assert left.keys() - mall.wanted(sql).keys() == {"review:gone", "other:1", "7"}
    cli("verify", "--projection", "review", "--repair", *WHO, "--yes")
    cli.ok("worker", "--drain")
    assert mall.placed(engine, shared).keys() - mall.wanted(sql).keys() == {"other:1", "7"}


def test_a_sweep_and_a_drop_leave_the_documents_of_the_other(
    shared: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, tmp_path: Path
) -> None:
    sql.execute(mall.SOME)
    cli.ok("worker", "--drain")
    before: Any = mall.placed(engine, shared)
    said = cli.ok("projection", "drop", "product", *WHO, "--yes")
    assert "ids begin with product:" in said
    assert "outboxctl rebuild" in said
    assert mall.placed(engine, shared) == before
    sql.execute("DELETE FROM mall.products WHERE id <= 5; UPDATE mall.products SET price = 0 WHERE id = 7")
    cli.ok("projection", "apply", str(mall.declaration(tmp_path, shared)), *WHO)
    check(sql, engine, shared, cli)
    sql.execute("TRUNCATE mall.reviews")
    check(sql, engine, shared, cli)
    cli.ok("projection", "drop", "product", *WHO, "--yes")
    cli.ok("rebuild", "--projection", "review", "--yes")
    assert mall.placed(engine, shared) == {}
