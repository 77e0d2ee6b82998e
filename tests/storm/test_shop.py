"""The shop's part of a storm sees each kind of damage, and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from engines.node import Node
from processes import Worker, eventually
from servers import Servers
from storm.plan import Plan, Site
from storm.shop.shop import Shop

pytestmark = pytest.mark.real_engine
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
    with closing(Shop(PLAN, Site(url, servers.sink, index, tmp_path), Node(servers.sink))) as opened:
        worker()
        opened.application.write(PLAN.transactions)
        eventually(lambda: not opened.application.behind(), what="written")
        eventually(lambda: not sql.execute(UNDER_WAY).rowcount, what="delivered")
        yield opened
    engine.indices.delete(index=f"{index}-products-000001")


@pytest.mark.slow(reason="a small storm")
def test_what_is_well_is_called_so(shop: Shop, sql: psycopg.Connection) -> None:
    report, wrong = shop.judge(sql)
    assert wrong == []
    assert report.documents > PLAN.stock
    assert report.states > PLAN.transactions / 2
    assert report.different > report.documents
    assert (report.lost, report.went_back, report.resurrected, report.never_committed) == (0, 0, 0, 0)
    assert (report.verify, report.failed, report.application_errors) == (0, {}, 0)


@pytest.mark.slow(reason="a small storm")
def test_a_difference_an_older_state_and_an_open_event_are_wrong(
    shop: Shop, sql: psycopg.Connection, engine: Elasticsearch, index: str
) -> None:
    alias, (first, second) = f"{index}-products", ("1000001", "1000002")
    eventually(lambda: any(shop.watch.looks[first]), what="looked at")
    older: dict[str, Any] = engine.get(index=alias, id=first)["_source"] | {"mark": 0}
    engine.index(index=alias, id=first, document=older, version=2**60, version_type="external")
    engine.delete(index=alias, id=second)
    sql.execute(
        "UPDATE search_outbox_events SET status = 'failed' WHERE entity_type = 'product' AND follow < 0"
    )
    sql.execute("INSERT INTO shop.transactions VALUES ('nobody-1')")
    report, wrong = shop.judge(sql)
    assert (report.lost, report.went_back, report.verify) == (2, 1, 4)
    assert sum(report.failed.values()) == 1
    text = "\n".join(wrong)
    for each in (
        f"document {second} is missing",
        f"document {first} is not its row",
        f"went back: document {first}: mark 0 after 1",
        "transaction nobody-1 has not ended as it was said",
    ):
        assert each in text
