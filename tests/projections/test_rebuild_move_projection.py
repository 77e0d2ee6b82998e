"""Readers of a projection's alias never see an older document when a rebuild moves it."""

from collections.abc import Callable

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from processes import Cli, Worker, eventually
from projections import stock
from rebuilding import AliasReader, Hammer

pytestmark = [pytest.mark.real_engine, pytest.mark.slow(reason="readers beside a rebuild and its workers")]
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
