"""The shop's part of a storm sees each kind of damage, and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from engines.node import Node
from processes import Worker, eventually
from servers import Servers
from shop.past import Past
from storm.plan import Plan, Site
from storm.shop_part import Shop
from storm.weather import Weather

PLAN = Plan(transactions=60, stock=5)
UNDER_WAY = "SELECT FROM search_outbox_events WHERE status IN ('pending', 'processing')"


@pytest.fixture
def shop(
    url: str,
    sql: psycopg.Connection,
    servers: Servers,
    index: str,
    tmp_path: Path,
    engine: Elasticsearch,
    worker: Callable[..., Worker],
) -> Iterator[Shop]:
    """All its transactions are made and delivered."""
    with closing(
        Shop(PLAN, Site(url, servers.sink, index, tmp_path), Node(servers.sink), Weather(Random()))
    ) as opened:
        worker()
        opened.traders.write(PLAN.transactions)
        eventually(lambda: not opened.traders.behind(), what="written")
        eventually(lambda: not sql.execute(UNDER_WAY).rowcount, what="delivered")
        yield opened
    engine.indices.delete(index=f"{index}-products-000001")


@pytest.mark.real_engine
@pytest.mark.slow(reason="a small storm")
def test_what_is_well_is_called_so_and_each_damage_by_its_name(
    shop: Shop, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    report, wrong = shop.judge(sql)
    assert wrong == []
    assert report.changes_seen > report.documents > PLAN.stock
    assert (report.lost, report.went_back, report.verify, report.failed) == (0, 0, 0, {})
    alias, (first, second) = f"{index}-products", ("1000001", "1000002")
    older: dict[str, Any] = engine.get(index=alias, id=first)["_source"] | {"rev": 0}
    engine.index(index=alias, id=first, document=older, version=2**60, version_type="external")
    shop.looks.see(alias, {"_id": first, "_index": alias, "found": True, "_source": older})
    engine.delete(index=alias, id=second)
    sql.execute("UPDATE search_outbox_events SET status = 'failed' WHERE follow < 0")
    report, wrong = shop.judge(sql)
    assert (report.lost, report.went_back, report.verify) == (2, 1, 4)
    assert sum(report.failed.values()) == 1
    text = "\n".join(wrong)
    for each in (f"'{second}' is missing", f"'{first}' is ", "its root became older"):
        assert each in text


ROOT = {"rev": 6, "reviews": None, "offers": None}


def with_review(root: int, review: int) -> dict[str, Any]:
    return ROOT | {"rev": root, "reviews": {"review 1": review}}


@pytest.mark.no_servers
@pytest.mark.parametrize(
    ("looks", "problem"),
    [
        ([None, with_review(2, 1), with_review(5, 1), None, with_review(6, 7)], ""),
        ([with_review(2, 1), with_review(4, 3), with_review(4, 3)], ""),
        ([ROOT, with_review(2, 1)], "its root became older"),
        ([ROOT, None, ROOT], "it came back after its delete"),
        ([with_review(2, 5), with_review(6, 4)], "its review 1 became older"),
        ([with_review(6, 5), ROOT, with_review(6, 5)], "its review 1 became older"),
    ],
)
def test_a_document_that_goes_back_is_seen(looks: list[Any], problem: str) -> None:
    past = Past()
    assert [found for each in looks if (found := past.see(each))] == [problem] * bool(problem)
