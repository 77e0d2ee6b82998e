"""A rebuild beside `apply` and `drop`: it moves the alias by the declaration in force, or not at all."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from fakes.postgres_proxy import Do, postgres_proxy
from outboxctl.core.database import Database
from outboxctl.domain.projection import Relation
from processes import Cli, Worker, eventually
from projections import stock
from rebuilding import AliasReader, Hammer, behind, held, indexes, said

pytestmark = [pytest.mark.real_engine, pytest.mark.slow(reason="rebuilds while declarations change")]
STOCK = ("--projection", "stock")
WHO = ("--by", "test", "--reason", "test")
OTHER_VIEW = """
CREATE VIEW stock.other AS
SELECT code, site, amount, note, false AS plenty, '{}'::json AS more FROM stock.items WHERE amount >= 0
"""
MARKED = "SET swapped_at"  # everything is caught up, and the alias is moved next


def other(items: str) -> Any:
    """The projection with another view."""
    return replace(stock.projection(items), document=Relation("stock", "other"))


def wanted(sql: psycopg.Connection) -> dict[str, Any]:
    """The documents of that view."""
    whole = stock.wanted(sql)
    return {id_: row | {"plenty": False, "more": {}} for id_, row in whole.items()}


def test_applied_anew_before_the_swap_it_ends_and_the_alias_stays(
    items: str, cli: Cli, db: Database, sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    sql.execute(OTHER_VIEW)
    cli.ok("worker", "--drain")
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, MARKED, Do.HOLD_STATEMENT, "", *STOCK) as (process, rule),
    ):
        shop.put_in_force(db, other(items))
        rule.released.set()
        code, _, err = said(process)
    assert (code, behind(engine, items)) == (5, [f"{items}-000001"]), err
    assert "the projection stock was applied anew, or dropped" in err
    assert f"the alias {items} stays as it is" in err
    assert "outboxctl index abort --projection stock" in err
    again = cli("rebuild", *STOCK, "--yes")
    assert again.returncode == 2
    assert "was applied anew since the rebuild" in again.stderr
    cli.ok("index", "abort", *STOCK, "--yes")
    assert indexes(engine, items) == [f"{items}-000001"]
    assert cli.json("rebuild", *STOCK, "--yes")["phase"] == "done"
    assert shop.held(engine, items) == wanted(sql)


def test_dropped_before_the_swap_it_ends_and_what_is_left_can_be_cleared(
    items: str, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    cli.ok("worker", "--drain")
    assert cli.json("rebuild", *STOCK, "--yes")["phase"] == "done"
    with (
        postgres_proxy(url) as proxy,
        held(cli, proxy, MARKED, Do.HOLD_STATEMENT, "", *STOCK) as (process, rule),
    ):
        cli.ok("projection", "drop", "stock", *WHO, "--yes")
        rule.released.set()
        code, _, err = said(process)
    assert (code, behind(engine, items)) == (5, [f"{items}-000002"]), err
    assert cli.json("index", "rebuilds", *STOCK)["rebuilds"][0]["new_index"] == f"{items}-000003"
    assert cli("rebuild", *STOCK, "--yes").returncode == 2
    cli.ok("index", "abort", *STOCK, "--yes")
    assert indexes(engine, items) == [f"{items}-000001", f"{items}-000002"]
    sql.execute("UPDATE outbox_rebuilds SET kept_until = now()")
    cli.ok("index", "cleanup", *STOCK, "--yes")
    assert indexes(engine, items) == [f"{items}-000002"]
    assert cli("index", "cleanup", *STOCK, "--yes").returncode == 2, "nothing is left"


def test_no_drop_comes_between_the_last_look_at_the_declaration_and_the_swap(
    items: str, cli: Cli, engine: Elasticsearch, url: str
) -> None:
    cli.ok("worker", "--drain")
    with postgres_proxy(url) as proxy:
        look = ("md5(definition::text", Do.HOLD_ANSWER, "LOCK TABLE")
        with held(cli, proxy, *look, *STOCK) as (process, rule):
            dropped = cli("projection", "drop", "stock", *WHO, "--yes", "--wait", "1")
            assert dropped.returncode == 3, dropped.stdout
            rule.released.set()
            code, done, err = said(process)
    assert (code, done["phase"]) == (0, "done"), err
    assert behind(engine, items) == [f"{items}-000002"]
    cli.ok("projection", "drop", "stock", *WHO, "--yes")


def test_applied_anew_after_the_swap_all_documents_are_as_they_are_declared_now(
    items: str, cli: Cli, db: Database, sql: psycopg.Connection, engine: Elasticsearch, url: str
) -> None:
    sql.execute(OTHER_VIEW)
    cli.ok("worker", "--drain")
    reconciling = ("operator_audit (", Do.HOLD_STATEMENT, "")
    with postgres_proxy(url) as proxy, held(cli, proxy, *reconciling, *STOCK) as (process, rule):
        shop.put_in_force(db, other(items))
        rule.released.set()
        code, done, err = said(process)
    assert (code, done["phase"]) == (0, "done"), err
    assert shop.held(engine, items) == wanted(sql)


def test_dropped_after_the_swap_it_ends(items: str, cli: Cli, engine: Elasticsearch, url: str) -> None:
    cli.ok("worker", "--drain")
    reconciling = ("operator_audit (", Do.HOLD_STATEMENT, "")
    with postgres_proxy(url) as proxy, held(cli, proxy, *reconciling, *STOCK) as (process, rule):
        cli.ok("projection", "drop", "stock", *WHO, "--yes")
        rule.released.set()
        code, done, err = said(process)
    assert (code, done["phase"]) == (0, "done"), err
    assert json.loads(cli.ok("index", "rebuilds", *STOCK, "--json"))["rebuilds"][0]["phase"] == "done"
    assert behind(engine, items) == [f"{items}-000002"]


TIMES = 3  # rebuilds, one after the other
STATES = "SELECT DISTINCT status, attempts FROM search_outbox_events"


def test_a_reader_never_sees_an_older_document_of_a_view(
    items: str,
    cli: Cli,
    worker: Callable[..., Worker],
    sql: psycopg.Connection,
    engine: Elasticsearch,
    url: str,
) -> None:
    cli.ok("worker", "--drain")
    worker(OUTBOX_POLL_INTERVAL_SECONDS="0.05")
    more = b"UPDATE stock.items SET amount = amount + 1 WHERE (code, site) = ('a', 'n')"
    writer = Hammer(url, lambda own: own.execute(more))
    reader = AliasReader(engine, items, "a:n", lambda hit: int(hit["_source"]["amount"]))
    writer.start()
    reader.start()
    for _ in range(TIMES):
        assert cli.json("rebuild", "--projection", "stock", "--yes")["phase"] == "done"
    writer.stop()
    eventually(lambda: sql.execute(STATES).fetchall() == [("done", 1)], what="all done, each at once")
    reader.stop()
    assert reader.looks > TIMES
    assert reader.steps_back == []
    assert shop.held(engine, items) == stock.wanted(sql)
