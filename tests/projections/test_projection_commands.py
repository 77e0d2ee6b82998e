"""`projection list`, `show`, `preview`, `drop`, and `outboxctl.touch`: for an operator and a producer."""

import json
import subprocess
from collections.abc import Callable
from typing import cast
from uuid import UUID, uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

import outboxctl
from outboxctl.core.database import Database
from outboxctl.core.delivery.claim import claim
from processes import Cli
from projections.store import QUERY, WHO, Store
from servers import Servers


@pytest.fixture
def applied(store: Store) -> Store:
    store.apply()
    return store


def test_list_and_show(applied: Store, cli: Cli) -> None:
    applied.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    applied.sql.execute("INSERT INTO store.reviews VALUES (1, 1)")
    applied.sql.execute(
        "UPDATE search_outbox_events SET status = 'failed'"
        " WHERE id = (SELECT min(id::text)::uuid FROM search_outbox_events)"
    )
    applied.sql.execute(
        "UPDATE search_outbox_events SET created_at = now() - interval '90 s' WHERE status = 'pending'"
    )
    (listed,) = cli.json("projection", "list")["projections"]
    shown = cli.json("projection", "show", "product")
    assert listed == shown | {"oldest_seconds": listed["oldest_seconds"]}
    assert (shown["name"], shown["index"], shown["pending"], shown["failed"]) == (
        "product",
        applied.index,
        1,
        1,
    )
    assert 90 <= shown["oldest_seconds"] < 600
    assert [each["table"] for each in shown["follow"]] == ["store.categories", "store.reviews"]
    text = cli.ok("projection", "show", "product")
    assert "store.reviews" in text
    assert "product_id" in text
    assert "product" in cli.ok("projection", "list")


def test_the_built_in_projection_is_listed_shown_and_previewed_as_any_other(
    applied: Store, cli: Cli, index: str
) -> None:
    id_ = uuid4()
    row = "INSERT INTO search_index (entity_type, entity_id, text, event_version) VALUES ('doc', %s, 'x', 3)"
    applied.sql.execute(row, [id_])
    outboxctl.enqueue(applied.sql, entity_type="doc", entity_id=id_, event_version=3)
    listed = {each["name"]: each for each in cli.json("projection", "list")["projections"]}
    assert [*listed] == ["product", "search_index_to_elastic"]
    shown = cli.json("projection", "show", "search_index_to_elastic")
    assert {name: shown[name] for name in ("root", "version", "events", "index", "pending")} == {
        **{"root": "public.search_index", "version": "event_version", "events": "application"},
        **{"index": index, "pending": 1},
    }
    preview = ("projection", "preview", "search_index_to_elastic")
    assert cli(*preview, f"doc:{id_}").returncode == 4
    cli.ok("worker", "--drain")
    (document,) = cli.json(*preview, f"doc:{id_}")["documents"]
    assert (document["same"], document["sent"]["text"]) == (True, "x")
    assert cli(*preview, "doc:1").returncode == 2
    assert cli("projection", "drop", "search_index_to_elastic", *WHO, "--yes").returncode == 2


def test_both_servers_are_named_before_anything_is_done(store: Store, servers: Servers) -> None:
    database = store.cli.env["DATABASE_URL"].rpartition("@")[2]
    named = f"From the database {database} to {servers.sink}\n"
    assert store("plan").stderr.startswith(named)
    assert store("apply", *WHO).stderr.startswith(named)
    secret = servers.sink.replace("://", "://ada:s3cret-s3cret@")
    done = store("plan", "--json", env={"ELASTIC_URL": secret})
    assert json.loads(done.stdout)["servers"] == {
        "database": database,
        "sink": secret.replace("s3cret-s3cret", "***"),
        "sink_is_default": False,
    }
    assert "s3cret" not in done.stderr


def test_an_engine_that_nobody_named_is_said_to_be_the_default_one(store: Store) -> None:
    """It may be another project's: nothing is sent there in prod before somebody has said yes."""
    done = store("apply", *WHO, env={"ELASTIC_URL": "", "OUTBOX_ENV": "prod"})
    default = "http://localhost:9200 (default: ELASTIC_URL is not set)"
    first, error = done.stderr.splitlines()[:2]
    assert (done.returncode, first.endswith(f" to {default}")) == (2, True), done.stderr
    assert f"refusing to apply the projections product, indexed at {default} unasked" in error


@pytest.mark.parametrize("command", [("show",), ("preview",), ("drop", *WHO)])
@pytest.mark.usefixtures("applied")
def test_an_unknown_name_exits_2(cli: Cli, command: tuple[str, ...]) -> None:
    done = cli("projection", command[0], "produkt", *(["1"] if command[0] == "preview" else []), *command[1:])
    assert done.returncode == 2
    assert "did you mean product?" in done.stderr


def test_a_preview_says_what_differs(applied: Store, cli: Cli, engine: Elasticsearch) -> None:
    applied.sql.execute("INSERT INTO store.products (id, tenant, title, price) VALUES (1, 'a', 'Bird', 1.50)")
    applied.sql.execute("INSERT INTO store.reviews VALUES (1, 1, 5, 'fine')")
    done = cli("projection", "preview", "product", "1", "--json")
    assert done.returncode == 4
    (document,) = json.loads(done.stdout)["documents"]
    assert document["sent"]["reviews"] == [{"stars": 5, "body": "fine"}]
    assert document["indexed"] is None
    engine.index(index=applied.index, id="1", document=document["sent"])
    assert cli.json("projection", "preview", "product", "1")["documents"][0]["same"] is True
    engine.index(index=applied.index, id="1", document=document["sent"] | {"title": "Brid", "more": 1})
    done = cli("projection", "preview", "product", "1", "--json")
    assert done.returncode == 4
    differences = {
        each["field"]: (each["sent"], each["indexed"])
        for each in json.loads(done.stdout)["documents"][0]["differences"]
    }
    assert differences == {"title": ("Bird", "Brid"), "more": (None, 1)}
    text = cli("projection", "preview", "product", "1").stdout
    assert '  title, sent: "Bird"\n  title, indexed: "Brid"\n' in text


def test_a_row_that_is_not_there_is_a_delete(applied: Store, cli: Cli, engine: Elasticsearch) -> None:
    assert cli.json("projection", "preview", "product", "5")["documents"][0]["same"] is True
    engine.index(index=applied.index, id="5", document={"id": 5})
    done = cli("projection", "preview", "product", "5")
    assert done.returncode == 4
    assert "no row in the view: a delete" in done.stdout
    key = f"doc:{uuid4()}"
    said = cli("projection", "preview", "search_index_to_elastic", key, env={"ELASTIC_INDEX": applied.index})
    assert "sent: no row: a delete" in said.stdout
    dropped = cli("projection", "drop", "search_index_to_elastic", "--by", "me", "--reason", "none")
    assert (dropped.returncode, "built in" in dropped.stderr) == (2, True)


def test_a_key_of_another_number_of_columns(store: Store, cli: Cli) -> None:
    store.sql.execute("CREATE TABLE store.pairs (a int, b text, PRIMARY KEY (a, b))")
    store.write('"store.products"', '"store.pairs"')
    store.write('"store.documents"', '"store.pairs"')
    store.write('"id"', '["a", "b"]')
    store.apply()
    store.sql.execute("INSERT INTO store.pairs VALUES (1, 'x:y')")
    assert store.events() == [("product", "1:x%3Ay", None)]
    done = cli("projection", "preview", "product", "1:x%3Ay", "--json")
    assert json.loads(done.stdout)["documents"][0]["sent"] == {"a": 1, "b": "x:y"}
    assert cli("projection", "preview", "product", "1").returncode == 2
    done = cli("projection", "preview", "product", "one:x")
    assert done.returncode == 2, done.stderr


def test_drop_leaves_the_index_and_discards_what_waits(
    store: Store, cli: Cli, engine: Elasticsearch, sql: psycopg.Connection
) -> None:
    store.write('document = "store.documents"', QUERY)
    store.apply()
    sql.execute(
        """INSERT INTO store.products (id, tenant, "Odd ""%Name")
        SELECT i, 'a', i FROM generate_series(1, 3) i"""
    )
    sql.execute("UPDATE search_outbox_events SET status = 'failed', error = 'x' WHERE entity_key = '3'")
    sql.execute(
        "UPDATE search_outbox_events SET attempts = 2, error = 'y', error_reason = 'connect'"
        " WHERE entity_key = '2'"
    )
    outboxctl.enqueue(sql, entity_type="block", entity_id=UUID(int=1), event_version=1)
    done = cli.json("projection", "drop", "product", *WHO)
    assert (done["discarded"], done["index"]) == (2, store.index)
    states = sql.execute(
        "SELECT entity_key, status, error_reason FROM search_outbox_events ORDER BY entity_key"
    ).fetchall()
    assert states == [
        ("1", "done", "discarded"),
        ("2", "done", "discarded"),
        ("3", "failed", None),
        (None, "pending", None),
    ]
    assert store.facts()[:4] == [[], [], [], []], "declaration, triggers, functions and view are gone"
    assert engine.indices.exists(index=store.index)
    acts = sql.execute(
        "SELECT action, affected FROM outbox_operator_audit WHERE action = 'projection drop' ORDER BY 2"
    ).fetchall()
    assert acts == [("projection drop", 0), ("projection drop", 2)]
    (act,) = cli.json("audit", "--action", "projection drop")["audit"]
    assert (act["affected"], act["batches"]) == (2, 2)
    told = [
        (event["error_reason"], event["error"], event["attempts"], event["now"])
        for event in cli.json("audit", "--id", act["id"])["events"]
    ]
    assert sorted(told, key=str) == [("connect", "y", 2, "discarded"), (None, None, 0, "discarded")]
    assert cli("projection", "drop", "product", *WHO).returncode == 2
    assert store.what() == ["view", "triggers", "declaration", "documents"]


@pytest.mark.real_engine
def test_a_drop_names_the_index_that_stays_and_what_deletes_it(
    applied: Store, cli: Cli, engine: Elasticsearch, servers: Servers
) -> None:
    said = cli.ok("projection", "drop", "product", *WHO)
    delete = f"curl -X DELETE {servers.sink}/{applied.index}-000001"
    assert delete in said
    assert "outboxctl db drop" in said
    subprocess.run(["bash", "-c", delete], check=True, capture_output=True)
    assert not engine.indices.exists(index=applied.index)


def test_a_drop_says_that_it_waits_for_events_in_hand_and_that_it_gave_up(
    applied: Store, cli: Cli, db: Database
) -> None:
    applied.sql.execute(
        """INSERT INTO store.products (id, tenant, "Odd ""%Name")
        SELECT i, 'a', i FROM generate_series(1, 2) i"""
    )
    with db.begin() as connection:
        claim(connection, owner="w", token=str(uuid4()), size=1, lease=3600)
    done = cli("projection", "drop", "product", *WHO, "--wait", "1")
    assert done.stderr.count("workers still hold 1 of its events: waiting at most 1 s") == 1
    assert "1 waiting events were discarded" in done.stdout
    assert "1 events are still held by workers after 1 s" in " ".join(done.stdout.split())


def test_a_view_of_the_users_own_stays(applied: Store, cli: Cli) -> None:
    applied.sql.execute("CREATE VIEW outbox_document_product AS SELECT 1 AS mine")
    cli.ok("projection", "drop", "product", *WHO)
    assert applied.sql.execute("SELECT mine FROM outbox_document_product").fetchone() == (1,)
    assert applied.sql.execute("SELECT count(*) FROM store.documents").fetchone() == (0,)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda sql: outboxctl.touch(sql, "No Name", 1), ValueError),
        (lambda sql: outboxctl.touch(sql, "search_index_to_elastic", 1), ValueError),
        (lambda sql: outboxctl.touch(sql, "product", []), ValueError),
        (lambda sql: outboxctl.touch(sql, "product", "a\x00"), ValueError),
        (lambda sql: outboxctl.touch(sql, "product", True), TypeError),
        (lambda sql: outboxctl.touch(sql, "product", cast("int", 1.5)), TypeError),
        (lambda _: outboxctl.touch(object(), "product", 1), TypeError),
    ],
)
def test_a_bad_touch_writes_nothing(
    sql: psycopg.Connection, call: Callable[[psycopg.Connection], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        call(sql)
    assert sql.execute("SELECT count(*) FROM search_outbox_events").fetchone() == (0,)
