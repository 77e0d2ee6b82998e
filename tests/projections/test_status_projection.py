"""`status`, `stuck`, `oldest`, `failed`, `replay` tell projections apart, and choose one."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

import shop
from outboxctl.core.database import Database
from outboxctl.core.stats.following import FollowPace, following
from outboxctl.domain.projection import Follow, Relation
from processes import Cli

BUILT_IN = "search_index_to_elastic"
OWN = """
INSERT INTO search_outbox_events (entity_type, entity_id, op, event_version, status, error_reason)
SELECT %(kind)s, gen_random_uuid(), 'upsert', 1, %(status)s, %(reason)s FROM generate_series(1, %(count)s)
"""
FAIL = "UPDATE search_outbox_events SET status = 'failed', error_reason = %s WHERE entity_key = %s"


@pytest.fixture
def products(products: str, db: Database) -> str:
    """The shop, `product` and `other` in force, and the index of `product`."""
    shop.put_in_force(db, replace(shop.product(f"{products}-other"), name="other"))
    return products


def own(
    sql: psycopg.Connection,
    count: int,
    *,
    kind: str = "doc",
    status: str = "pending",
    reason: str | None = None,
) -> None:
    """Write events of search_index."""
    sql.execute(OWN, {"kind": kind, "status": status, "count": count, "reason": reason})


def of(seen: Any, name: str) -> Any:
    (one,) = [each for each in seen["projections"] if each["name"] == name]
    return one


@pytest.fixture
def events(products: str, sql: psycopg.Connection) -> str:
    """Four of `product`, of which one failed, is stuck and is old; three of search_index, one failed."""
    shop.changed(sql, 1, 2, 3, 4)
    own(sql, 2)
    own(sql, 1, status="failed", reason="mapping")
    sql.execute(FAIL, ["bad_document", "1"])
    sql.execute("UPDATE search_outbox_events SET status = 'processing' WHERE entity_key = '2'")
    sql.execute(
        "UPDATE search_outbox_events SET created_at = now() - interval '1 hour' WHERE entity_key = '3'"
    )
    return products


@pytest.mark.usefixtures("events")
def test_status_has_each_projection_and_the_whole_table_beside(cli: Cli) -> None:
    seen = cli.json("status")
    assert seen["projection"] == BUILT_IN
    assert seen["status"] == {"pending": 4, "processing": 1, "done": 0, "failed": 2}
    assert (seen["lag"], seen["stuck"]) == (5, 1)
    assert seen["failed_by_reason"] == {"bad_document": 1, "mapping": 1}
    assert [each["name"] for each in seen["projections"]] == ["other", "product", BUILT_IN]
    product, search_index, other = (of(seen, name) for name in ("product", BUILT_IN, "other"))
    counts = ("pending", "processing", "failed", "stuck")
    assert [product[name] for name in counts] == [2, 1, 1, 1]
    assert [search_index[name] for name in counts] == [2, 0, 1, 0]
    assert [other[name] for name in counts] == [0, 0, 0, 0]
    assert product["failed_by_reason"] == {"bad_document": 1}
    assert product["oldest_age_seconds"] > 3_500 > search_index["oldest_age_seconds"]
    text = cli.ok("status")
    lines = [line.split() for line in text.splitlines() if line.strip().startswith("product")]
    assert lines[0][:5] == ["product", "2", "1", "1", "1"]
    assert lines[1][:3] == ["product", "bad_document", "1"]


@pytest.mark.usefixtures("products")
def test_a_built_in_projection_that_nobody_uses_is_not_shown(
    cli: Cli, sql: psycopg.Connection, db: Database
) -> None:
    def names() -> list[str]:
        return [each["name"] for each in cli.json("status")["projections"] if each["used"]]

    sql.execute("DELETE FROM outbox_projections WHERE name = 'other'")
    assert names() == ["product"]
    said = cli.ok("status")
    assert "(projection product)" in said.splitlines()[0]
    assert BUILT_IN not in said + cli("check").stdout
    assert of(cli.json("status"), BUILT_IN)["pending"] == 0, "for scripts"
    sql.execute("INSERT INTO shop.products VALUES (1, 'cup', 1, 1)")
    sampled = cli("check", "--drift-sample", "9", env={"ELASTIC_INDEX": "none"})
    assert "drift: 1 of 1 sampled entities differ in the index (such as 1)" in sampled.stdout
    shop.changed(sql, 1)
    cli.ok("worker", "--drain")
    assert "drift=0" in cli.ok("check", "--drift-sample", "9")
    shop.put_in_force(db, replace(shop.product("there-is-none"), name="away"))
    done = cli("check", "--drift-sample", "9")
    assert done.returncode == 4
    assert "drift=U;" in done.stdout
    assert "projection away could not be compared: index_unavailable" in done.stdout
    sql.execute("DELETE FROM outbox_projections WHERE name = 'away'")
    sql.execute("UPDATE shop.products SET divisor = 0")
    assert "drift: 1 of 1 sampled" in cli("check", "--drift-sample", "9").stdout, "it cannot be read"
    sql.execute("DROP VIEW shop.product_documents")
    done = cli("check", "--drift-sample", "9")
    assert (done.returncode, "projection product could not be compared" in done.stdout) == (4, True)
    own(sql, 1, status="failed", reason="mapping")
    assert names() == ["product", BUILT_IN]


@pytest.mark.usefixtures("products")
def test_failures_of_two_projections_for_one_reason_are_added_up(cli: Cli, sql: psycopg.Connection) -> None:
    """The one hid the other: three had failed, `status` said 1, and `check --max-failed 2` was content."""
    shop.changed(sql, 1, 2)
    own(sql, 1, status="failed", reason="mapping")
    sql.execute(FAIL, ["mapping", "1"])
    sql.execute(FAIL, ["mapping", "2"])
    seen = cli.json("status")
    assert seen["failed_by_reason"] == {"mapping": 3}
    assert [of(seen, name)["failed_by_reason"] for name in ("product", BUILT_IN)] == [
        {"mapping": 2},
        {"mapping": 1},
    ]
    lines = [line.split() for line in cli.ok("status", env={"COLUMNS": "70"}).splitlines()]
    assert ["product", "mapping", "2"] in lines
    assert [BUILT_IN, "mapping", "1"] in lines
    quiet = ("--max-failed-growth", "9", "--max-lag", "9")
    checked = cli("check", *quiet, "--max-failed", "2")
    assert checked.returncode == 4, checked.stdout
    assert "3 events failed for good (most of them in projection product)" in checked.stdout
    assert cli("check", *quiet, "--max-failed", "3").returncode == 0


@pytest.mark.usefixtures("events")
def test_status_of_one_projection_is_of_its_events_alone(cli: Cli) -> None:
    seen = cli.json("status", "--projection", "product")
    assert seen["projection"] == "product"
    assert seen["status"] == {"pending": 2, "processing": 1, "done": 0, "failed": 1}
    assert (seen["lag"], seen["stuck"], seen["failed_by_reason"]) == (3, 1, {"bad_document": 1})
    assert {row["projection"] for row in seen["oldest_pending"]} == {"product"}
    assert [each["name"] for each in seen["projections"]] == ["product"]
    rest = cli.json("status", "--projection", BUILT_IN)
    assert rest["status"] == {"pending": 2, "processing": 0, "done": 0, "failed": 1}
    assert {row["entity_type"] for row in rest["oldest_pending"]} == {"doc"}
    assert "Lag: 3 events" in cli.ok("status", "--projection", "product")


@pytest.mark.usefixtures("events")
def test_the_rows_behind_it_are_chosen_by_name(cli: Cli) -> None:
    own = ("--projection", "product")
    assert [row["entity_key"] for row in cli.json("oldest", *own)["events"]] == ["3", "4"]
    assert [row["entity_key"] for row in cli.json("stuck", *own)["events"]] == ["2"]
    assert cli.json("stuck", "--projection", BUILT_IN)["events"] == []
    for chosen in (own, ("--entity-type", "product")):
        (group,) = cli.json("failed", "list", *chosen)["groups"]
        assert (group["error_reason"], group["entity_types"]) == ("bad_document", {"product": 1})


@pytest.mark.usefixtures("products")
def test_an_event_of_search_index_of_the_same_type_is_not_of_the_projection(
    cli: Cli, sql: psycopg.Connection
) -> None:
    """What an operator replays for `product` must not bring back rows of search_index, nor the reverse."""
    own(sql, 2, kind="product", status="failed", reason="mapping")
    shop.changed(sql, 1)
    sql.execute(FAIL, ["bad_document", "1"])
    why = ("--by", "alice", "--reason", "test")
    replayed = cli.json("replay", *why, "--projection", "product")
    assert replayed["replayed"] == 1
    failed = "SELECT count(*) FROM search_outbox_events WHERE status = 'failed'"
    assert sql.execute(failed).fetchone() == (2,)
    (act,) = cli.json("audit")["audit"]
    assert act["filters"] == {"projection": "product"}
    sql.execute(FAIL, ["bad_document", "1"])
    chosen = ("--projection", BUILT_IN, "--entity-type", "product")
    assert cli.json("failed", "discard", *why, *chosen)["discarded"] == 2
    assert sql.execute(failed).fetchone() == (1,)
    assert cli.json("failed", "discard", *why, "--entity-type", "product")["discarded"] == 1


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("stuck",),
        ("oldest",),
        ("failed", "list"),
        ("replay", "--by", "a", "--reason", "b"),
        ("failed", "discard", "--by", "a", "--reason", "b"),
    ],
)
def test_an_unknown_projection_is_refused_and_those_there_are_named(
    cli: Cli, command: tuple[str, ...]
) -> None:
    done = cli(*command, "--projection", "produkt")
    assert done.returncode == 2
    assert "'produkt'" in done.stderr
    assert f"other, product, {BUILT_IN}" in done.stderr


@pytest.mark.usefixtures("products")
def test_what_a_dropped_projection_left_can_still_be_chosen(cli: Cli, sql: psycopg.Connection) -> None:
    shop.changed(sql, 1)
    sql.execute(FAIL, ["mapping", "1"])
    sql.execute("DELETE FROM outbox_projections WHERE name = 'product'")
    assert cli.json("failed", "list", "--projection", "product")["failed"] == 1
    assert of(cli.json("status"), "product")["failed"] == 1
    sql.execute("UPDATE search_outbox_events SET status = 'done'")
    assert "product" not in {each["name"] for each in cli.json("status")["projections"]}


def test_how_far_a_change_of_many_documents_is(
    products: str, cli: Cli, sql: psycopg.Connection, db: Database
) -> None:
    categories = Follow(Relation("shop", "categories"), keys="SELECT 1", parameters=("id",))
    shop.put_in_force(db, replace(shop.product(products), follow=(categories,)))
    shop.changed(sql, '{"id": "7"}', follow=0)
    shop.changed(sql, "", follow=-1)
    shop.changed(sql, '{"id": "8"}', follow=0)
    cursor = "UPDATE search_outbox_events SET follow_cursor = %s WHERE entity_key = %s"
    sql.execute(cursor, ['{"after": "12", "done": 1200}', '{"id": "7"}'])
    sql.execute(cursor, ["no json", ""])
    sql.execute("UPDATE search_outbox_events SET next_retry_at = 'infinity'")  # as the triggers write them
    assert cli.json("status")["waiting_for_retry"] == 0
    seen = of(cli.json("status"), "product")["following"]
    assert [(each["table"], each["events"], each["keys_done"]) for each in seen] == [
        ("shop.categories", 2, 1_200),
        ("", 1, 0),
    ]
    said = cli.ok("status")
    assert "following shop.categories for product: 2 waiting, 1,200 documents found so far\n" in said
    assert "drained in" not in said
    assert "following all documents for product: 1 waiting\n" in cli.ok("status", "--projection", "product")


def test_the_time_until_changes_are_expanded_is_that_of_what_was_expanded(
    products: str, sql: psycopg.Connection, db: Database
) -> None:
    categories = Follow(Relation("shop", "categories"), keys="SELECT 1", parameters=("id",))
    declared = replace(shop.product(products), follow=(categories,))
    shop.put_in_force(db, declared)
    for number in range(10):
        shop.changed(sql, f'{{"id": "{number}"}}', follow=0)
    pace = FollowPace()
    with db.begin() as connection:
        (first,) = following(connection, [declared], pace)["product"]
    assert (first.events_per_second, first.drain_seconds) == (None, None), "nothing was done yet"
    sql.execute("UPDATE search_outbox_events SET status = 'done' WHERE entity_key < '{\"id\": \"4\"}'")
    shop.changed(sql, '{"id": "11"}', follow=0)
    sql.execute("UPDATE search_outbox_events SET next_retry_at = 'infinity'")
    shop.changed(sql, '["1", "2"]', follow=-2)  # a page, which is no change that waits
    with db.begin() as connection:
        (seen,) = following(connection, [declared], pace)["product"]
    assert (seen.table, seen.events) == ("shop.categories", 7)
    assert seen.events_per_second
    assert seen.drain_seconds
    assert seen.drain_seconds * seen.events_per_second == pytest.approx(7 * 4 / 3)


@pytest.mark.usefixtures("products")
def test_a_projection_that_is_away_hides_no_other_that_stands_still(
    cli: Cli, sql: psycopg.Connection
) -> None:
    sql.execute(
        "INSERT INTO outbox_workers (id, worker_id, host, pid, version, started_at, heartbeat_at, in_flight,"
        " outage_policy, circuit_open, progress_at, outages)"
        " VALUES (gen_random_uuid(), 'w', 'h', 7, '1', now(),"
        " now() + interval '9 min', 0, 'hold', false, now() - interval '1 h',"
        """ '[{"projection": "other", "reason": "index_unavailable", "seconds": 60}]')"""
    )
    shop.changed(sql, 1)
    sql.execute("UPDATE search_outbox_events SET entity_type = 'other'")
    assert cli("check").stdout.startswith("OUTBOX CRITICAL - away ")
    assert "no_success: events" not in cli("check").stdout, "all that waits is away"
    shop.changed(sql, 2)
    assert "no_success: events wait, and none was delivered for 36" in cli("check").stdout
