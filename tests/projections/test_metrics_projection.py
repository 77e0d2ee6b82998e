"""Metrics and `failed show` tell projections apart."""

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

import shop
from outboxctl.core.database import Database
from processes import Cli, Worker, eventually

Start = Callable[..., Worker]
BUILT_IN = "search_index_to_elastic"


def labels(running: Worker, name: str) -> set[str]:
    """The projections of a metric's series."""
    families = text_string_to_metric_families(running.get("/metrics")[1])
    return {each.labels["projection"] for family in families for each in family.samples if each.name == name}


SHOWN_AT_ZERO = (
    "outbox_lag_events",
    "outbox_oldest_age_seconds",
    "outbox_stuck_processing_events",
    "outbox_processed_total",
    "outbox_terminal_failed_total",
    "outbox_retry_scheduled_total",
    "outbox_version_base_raised_total",
    "outbox_es_bulk_requests_total",
    "outbox_deletes_repeated_total",
)


def test_each_series_is_there_at_0_from_the_moment_the_projection_is_in_force(
    products: str, worker: Start, db: Database
) -> None:
    running = worker()
    for name in SHOWN_AT_ZERO:
        eventually(lambda name=name: labels(running, name) == {BUILT_IN, "product"})  # type: ignore[misc]
        assert running.metric(name, projection="product") == 0
    shop.put_in_force(db, replace(shop.product(f"{products}-2"), name="later"))
    eventually(lambda: "later" in labels(running, "outbox_lag_events"), within=3)
    refreshed = "outbox_gauges_refreshed_timestamp_seconds"  # without it the alerts would see a lost database
    eventually(lambda: running.metric(refreshed, projection="later") > 0)


def test_what_waits_and_what_was_delivered_is_counted_for_its_projection(
    products: str, worker: Start, sql: psycopg.Connection, db: Database
) -> None:
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1), (2, 'pot', 1, 0)")
    shop.put_in_force(db, replace(shop.product(f"{products}-none"), name="missing"))
    shop.changed(sql, 1, 2)
    shop.changed(sql, 1, 3, 4, name="missing")
    running = worker(OUTBOX_OUTAGE_POLICY="hold")
    eventually(lambda: running.metric("outbox_lag_events", projection="missing") == 3)
    eventually(lambda: running.metric("outbox_processed_total", projection="product") == 1)
    failed = {"projection": "product", "reason": "bad_document"}
    eventually(lambda: running.metric("outbox_terminal_failed_total", **failed) == 1)
    eventually(lambda: running.metric("outbox_lag_events", projection="product") == 0)
    assert running.metric("outbox_lag_events", projection=BUILT_IN) == 0
    assert running.metric("outbox_oldest_age_seconds", projection="missing") > 0
    assert running.metric("outbox_oldest_age_seconds", projection="product") == 0
    assert running.metric("outbox_processed_total", projection=BUILT_IN) == 0
    retried = {"projection": "missing", "reason": "index_unavailable"}
    assert running.metric("outbox_retry_scheduled_total", **retried) >= 1


@pytest.mark.usefixtures("products")
def test_a_projection_that_is_dropped_keeps_its_counters_and_has_no_lag(
    worker: Start, sql: psycopg.Connection
) -> None:
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1)")
    shop.changed(sql, 1)
    running = worker()
    eventually(lambda: running.metric("outbox_processed_total", projection="product") == 1)
    sql.execute("DELETE FROM outbox_projections")
    before = running.metric("outbox_gauges_refreshed_timestamp_seconds", projection="product")
    refreshed = "outbox_gauges_refreshed_timestamp_seconds"
    eventually(lambda: running.metric(refreshed, projection="product") > before + 0.5)
    assert running.metric("outbox_processed_total", projection="product") == 1
    assert running.metric("outbox_lag_events", projection="product") == 0


@pytest.mark.usefixtures("products")
def test_a_name_of_which_only_an_event_knows_is_no_label(worker: Start, sql: psycopg.Connection) -> None:
    """Whoever may insert events could fill Prometheus with series."""
    shop.changed(sql, 1, name="nobody")
    running = worker()
    config = {"projection": BUILT_IN, "reason": "config"}
    eventually(lambda: running.metric("outbox_retry_scheduled_total", **config) >= 1)
    assert "nobody" not in running.get("/metrics")[1]


def test_a_failed_event_is_shown_with_its_document_as_the_view_and_the_index_have_it(
    products: str, cli: Cli, sql: psycopg.Connection
) -> None:
    sql.execute("INSERT INTO shop.products VALUES (7, 'cup', 3.50, 4, NULL)")
    shop.changed(sql, 7)
    cli.ok("worker", "--drain")
    id_ = str(sql.execute("SELECT id FROM search_outbox_events").fetchall()[0][0])
    seen = cli.json("failed", "show", id_)
    assert (seen["projection"], seen["key"], seen["document_id"]) == ("product", "7", "7")
    assert (seen["source"]["name"], seen["document"]["body"]["name"]) == ("cup", "cup")
    assert seen["difference"] == []
    sql.execute("UPDATE shop.products SET name = 'mug'")
    seen = cli.json("failed", "show", id_)
    assert [(d["field"], d["source"], d["document"]) for d in seen["difference"]] == [("name", "mug", "cup")]
    text = cli.ok("failed", "show", id_)
    assert "Key 7 of projection product" in text
    sql.execute("UPDATE shop.products SET published = false")
    assert cli.json("failed", "show", id_)["source"] is None
    assert "shop.product_documents has no row for key 7" in cli.ok("failed", "show", id_)
    sql.execute("UPDATE shop.products SET published = true, divisor = 0")
    seen = cli.json("failed", "show", id_)
    assert "division by zero" in seen["source_error"]
    assert (seen["source"], seen["difference"], seen["document"]["body"]["name"]) == (None, None, "cup")
    assert "division by zero" in cli.ok("failed", "show", id_)
    assert products


@pytest.mark.usefixtures("products")
def test_an_event_without_one_document_is_shown_as_it_is(cli: Cli, sql: psycopg.Connection) -> None:
    shop.changed(sql, '{"id": "7"}', follow=0)
    shop.changed(sql, 1, name="gone")
    of_follow, of_none = (
        str(
            sql.execute("SELECT id FROM search_outbox_events WHERE entity_type = %s", [name]).fetchall()[0][0]
        )
        for name in ("product", "gone")
    )
    seen = cli.json("failed", "show", of_follow)
    assert (seen["projection"], seen["document"], seen["difference"]) == ("product", None, None)
    assert "all documents" in cli.ok("failed", "show", of_follow)
    seen = cli.json("failed", "show", of_none)
    assert "no projection 'gone' is in force" in seen["source_error"]
    assert "no projection 'gone' is in force" in cli.ok("failed", "show", of_none)
