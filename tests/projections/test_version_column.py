"""A projection whose rows carry their own version, and whose events the application writes."""

import json
import threading
from contextlib import closing
from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import ConflictError, Elasticsearch

import outboxctl
from outboxctl.core.documents.rows import ChangedKey
from outboxctl.core.projections import in_force
from outboxctl.operations.projection.known import source_of
from outboxctl.operations.rebuild.model import Tools
from outboxctl.operations.rebuild.sending import Sender
from outboxctl.operations.rebuild.source import again
from outboxctl.settings import Settings
from outboxctl.sink.transport.open import connect
from processes import Cli
from projections.store import TRIGGERS, WHO, Store

ROUNDS, WRITES = 4, 25
# A row that is made again has a higher version than any before it.
TABLES = """
CREATE SEQUENCE store.versions;
CREATE TABLE store.things (id int PRIMARY KEY, name text, rev bigint DEFAULT nextval('store.versions'));
CREATE TABLE store.parts (id serial PRIMARY KEY, thing_id int REFERENCES store.things ON DELETE CASCADE,
    name text);
CREATE INDEX ON store.parts (thing_id);
CREATE VIEW store.thing_documents AS SELECT t.id, t.name, t.rev,
    (SELECT json_agg(p.name ORDER BY p.id) FROM store.parts p WHERE p.thing_id = t.id) AS parts
FROM store.things t
"""
DUE = "UPDATE outbox_deletes SET due_at = now(), delivered_at = now() - interval '1 day'"
NEXT = "rev = nextval('store.versions')"
CHANGES = (
    "INSERT INTO store.things VALUES ({id}, '{name}') ON CONFLICT (id) DO NOTHING",
    f"UPDATE store.things SET name = '{{name}}', {NEXT} WHERE id = {{id}}",
    "WITH p AS (INSERT INTO store.parts (thing_id, name) SELECT id, '{name}' FROM store.things"
    f" WHERE id = {{id}}) UPDATE store.things SET {NEXT} WHERE id = {{id}}",
    "DELETE FROM store.things WHERE id = {id}",
)


@pytest.fixture
def things(store: Store) -> Store:
    """A declaration of things, whose version is `rev`."""
    store.sql.execute(TABLES)
    store.write("store.products", "store.things")
    store.write("store.documents", "store.thing_documents", after='version = "rev"\n')
    return store


def rows(sql: psycopg.Connection) -> dict[str, Any]:
    """What the SELECT has, by key, with the version."""
    found = sql.execute("SELECT id::text, rev, to_json(v) FROM store.thing_documents v").fetchall()
    return {id_: (version, document) for id_, version, document in found}


def indexed(engine: Elasticsearch, index: str) -> dict[str, Any]:
    """What the engine has."""
    engine.indices.refresh(index=index)
    hits = engine.search(index=index, size=1_000, version=True)["hits"]["hits"]
    return {hit["_id"]: (hit["_version"], hit["_source"]) for hit in hits}


def change(sql: psycopg.Connection, random: Random) -> int:
    """A random write; returns the key."""
    key = random.randint(1, 12)
    sql.execute(random.choice(CHANGES).format(id=key, name=random.random()).encode())
    return key


def failed(sql: psycopg.Connection) -> list[Any]:
    """Key, reason and error of each failed event."""
    query = "SELECT entity_key, error_reason, error FROM search_outbox_events WHERE status = 'failed'"
    return sql.execute(query).fetchall()


@pytest.mark.parametrize("events", ["triggers", "application"])
def test_documents_have_the_version_of_their_rows_and_a_row_that_is_gone_has_none(
    things: Store, cli: Cli, engine: Elasticsearch, events: str
) -> None:
    things.write(after=f'events = "{events}"\n')
    things.apply()
    assert bool(things.sql.execute(TRIGGERS).fetchall()) == (events == "triggers")
    random, seen = Random(1), set[str]()
    for _ in range(ROUNDS):
        for _ in range(WRITES):
            with things.sql.transaction():
                key = change(things.sql, random)
                if events == "application":
                    outboxctl.touch(things.sql, "product", key)
        cli.ok("worker", "--drain")
        assert indexed(engine, things.index) == rows(things.sql)
        seen |= rows(things.sql).keys()
    assert len(seen) > len(rows(things.sql)), "no row was deleted"
    assert failed(things.sql) == []
    plan = things.plan()
    assert plan["steps"] == []
    assert ("store.parts: of two with one rev" in str(plan["warnings"])) == (events == "triggers")
    cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    assert indexed(engine, things.index) == rows(things.sql)
    cli.ok("verify", "--projection", "product")
    shown = json.loads(cli.ok("projection", "show", "product", "--json"))
    assert (shown["version"], shown["events"]) == ("rev", events)
    cli.ok("projection", "drop", "product", *WHO, "--yes")


def test_a_delete_that_was_overtaken_by_a_late_write_is_made_again(
    things: Store, cli: Cli, engine: Elasticsearch
) -> None:
    things.sql.execute("INSERT INTO store.things VALUES (1, 'x'), (2, 'y')")
    things.apply()
    cli.ok("worker", "--drain")
    ((version, document), _) = indexed(engine, things.index).values()
    things.sql.execute("DELETE FROM store.things WHERE id = 1")
    cli.ok("worker", "--drain")
    assert [*indexed(engine, things.index)] == ["2"]
    engine.index(index=things.index, id="1", document=document, version=version, version_type="external_gte")
    assert indexed(engine, things.index).keys() == {"1", "2"}
    things.sql.execute(DUE)
    cli.ok("worker", "--drain")
    cli.ok("worker", "--drain")
    assert [*indexed(engine, things.index)] == ["2"]
    things.sql.execute(DUE)
    cli.ok("worker", "--drain")
    cli.ok("worker", "--drain")
    assert things.sql.execute("SELECT FROM outbox_deletes").fetchall() == []


@pytest.mark.real_engine
def test_a_delete_with_a_version_refuses_what_is_late(things: Store, cli: Cli, engine: Elasticsearch) -> None:
    things.apply()
    outboxctl.touch(things.sql, "product", 1, event_version=9)
    cli.ok("worker", "--drain")
    with pytest.raises(ConflictError):
        engine.index(index=things.index, id="1", document={}, version=8, version_type="external_gte")


@pytest.mark.parametrize("version", ["NULL", f"{2**62 + 1}"])
def test_a_row_without_a_usable_version_fails_alone(
    things: Store, cli: Cli, engine: Elasticsearch, version: str
) -> None:
    things.apply()
    things.sql.execute(f"INSERT INTO store.things VALUES (1, 'x', {version}), (2, 'y', 7)".encode())
    cli.ok("worker", "--drain")
    ((key, reason, error),) = failed(things.sql)
    assert (key, reason) == ("1", "bad_document")
    assert error.endswith(f"store.thing_documents: rev is {version}, no version from 0 to 2^62")
    assert indexed(engine, things.index)["2"][0] == 7
    assert cli("projection", "preview", "product", "2").returncode == 0


def test_the_base_of_the_serial_numbers_is_left_alone(things: Store, cli: Cli, engine: Elasticsearch) -> None:
    things.apply()
    things.sql.execute("UPDATE outbox_version_base SET system_identifier = 'other'")
    base = things.facts()[-1]
    for change in "INSERT INTO store.things VALUES (1, 'x', 9)", "DELETE FROM store.things":
        things.sql.execute(change)
        cli.ok("worker", "--drain")
        assert indexed(engine, things.index) == rows(things.sql)
    cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    assert things.facts()[-1] == base


def test_a_version_that_goes_back_is_refused_until_a_rebuild(
    things: Store, cli: Cli, engine: Elasticsearch
) -> None:
    things.sql.execute("INSERT INTO store.things VALUES (1, 'x', 9)")
    things.apply()
    cli.ok("worker", "--drain")
    things.sql.execute("UPDATE store.things SET name = 'y', rev = 3")
    cli.ok("worker", "--drain", env={"OUTBOX_MAX_ATTEMPTS": "1"})
    ((key, reason, error),) = failed(things.sql)
    assert (key, reason, "higher version than the row's rev" in error) == ("1", "bad_document", True)
    assert indexed(engine, things.index)["1"][0] == 9
    cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    assert indexed(engine, things.index) == rows(things.sql)


def test_a_rebuild_deletes_no_document_that_a_worker_has_written_meanwhile(
    things: Store, cli: Cli, engine: Elasticsearch, settings: Settings
) -> None:
    """After the swap workers write to the new index."""
    things.apply()
    with things.db.begin() as connection:
        source = source_of(in_force.read(connection)[0])
    with closing(connect(settings)) as client, things.db.begin() as held:
        tools = Tools(things.db, client, held, threading.Event(), source=source)
        (gone,) = again(source, things.db, [ChangedKey("1")])
        things.sql.execute("INSERT INTO store.things VALUES (1, 'x', 9)")
        cli.ok("worker", "--drain")
        assert Sender(tools, things.index).send(gone) == []
        assert indexed(engine, things.index) == rows(things.sql)
        things.sql.execute("DELETE FROM store.things")
        for batch in again(source, things.db, [ChangedKey("1")]):
            assert Sender(tools, things.index).send(batch) == []
        assert indexed(engine, things.index) == {}


def test_a_rollback_to_higher_versions_names_the_documents(
    things: Store, cli: Cli, engine: Elasticsearch
) -> None:
    things.sql.execute("INSERT INTO store.things VALUES (1, 'x', 9), (2, 'z', 2)")
    things.apply()
    cli.ok("worker", "--drain")
    things.sql.execute("UPDATE store.things SET name = 'y', rev = 3 WHERE id = 1")
    cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    done = cli("index", "rollback", "--projection", "product", *WHO, "--yes", "--json")
    assert done.returncode == 4
    report = json.loads(done.stdout)
    ((key, error),) = [(each["id"], each["error"]) for each in report["failures"]]
    assert (report["phase"], key, "`outboxctl rebuild`" in error) == ("aborted", "1", True)
    assert indexed(engine, things.index) == rows(things.sql)


@pytest.mark.parametrize("column", ["rev", ""])
def test_another_version_takes_another_index_and_a_flag_does_not_contradict_the_file(
    things: Store, engine: Elasticsearch, column: str
) -> None:
    with_one = 'version = "rev"\n'
    things.write(with_one, 'events = "application"\n' + with_one * bool(column))
    things.apply()
    things.write(
        'events = "application"\n' + with_one * bool(column),
        'events = "application"\n' + with_one * (not column),
    )
    for refused in things("plan"), things("apply", *WHO):
        assert (refused.returncode, "name a new `index` with it" in refused.stderr) == (2, True)
    refused = things("plan", "--triggers")
    assert (refused.returncode, "a flag says otherwise" in refused.stderr) == (2, True)
    engine.indices.delete(index=f"{things.index}-000001")
    assert "index" in things.what()
    things.write(things.index, f"{things.index}-b")
    assert "index" in things.what()
