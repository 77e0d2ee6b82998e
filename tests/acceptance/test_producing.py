"""Events written by applications: in the caller's own transaction, or by a trigger."""

import asyncio
import uuid
from typing import Any

import psycopg
import pytest
import sqlalchemy
from elasticsearch import Elasticsearch
from sqlalchemy.orm import Session, scoped_session, sessionmaker

import outboxctl
from acceptance import lab
from processes import Cli

KINDS = ["psycopg", "cursor", "connection", "session", "scoped"]


def _open(kind: str, url: str) -> Any:
    plain = "postgresql://" + url.partition("://")[2]
    if kind in ("psycopg", "cursor"):
        return psycopg.connect(plain)
    engine = sqlalchemy.create_engine(plain.replace("postgresql://", "postgresql+psycopg://"))
    if kind == "scoped":
        return scoped_session(sessionmaker(engine))
    return engine.connect() if kind == "connection" else Session(engine)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_lives_and_dies_with_the_callers_transaction(kind: str, url: str, sql: lab.Sql) -> None:
    opened = _open(kind, url)
    caller = opened.cursor() if kind == "cursor" else opened
    entity, event = uuid.uuid4(), uuid.uuid4()
    outboxctl.enqueue(caller, entity_type="block", entity_id=entity, event_version=1)
    assert lab.rows(sql) == []
    opened.rollback()
    assert lab.rows(sql) == []
    for version in (2, 3):
        assert event == outboxctl.enqueue(
            caller,
            entity_type="block",
            entity_id=str(entity),
            op="delete",
            event_version=version,
            event_id=event,
        )
    own = outboxctl.enqueue(caller, entity_type="[/nope]'\"", entity_id=entity, event_version=0)
    assert lab.rows(sql) == []
    opened.commit()
    opened.close()
    first = lab.event_row(sql, event)
    assert (first["op"], first["event_version"], first["entity_id"]) == ("delete", 2, entity)
    for row in lab.rows(sql):
        assert (row["status"], row["attempts"], row["replay_count"]) == ("pending", 0, 0)
    assert {row["id"] for row in lab.rows(sql)} == {event, own}


@pytest.mark.parametrize("kind", KINDS)
def test_a_refused_event_leaves_the_callers_transaction_usable(kind: str, url: str, sql: lab.Sql) -> None:
    opened = _open(kind, url)
    caller = opened.cursor() if kind == "cursor" else opened
    good: dict[str, Any] = {"entity_type": "block", "entity_id": uuid.uuid4(), "event_version": 1}
    bad: list[dict[str, Any]] = [
        {"op": "UPSERT"},
        {"event_version": -1},
        {"event_version": 2**63},
        {"entity_type": "x" * 51},
        {"entity_type": "nul\0"},
        {"entity_id": "no-uuid"},
        {"event_id": "no-uuid"},
    ]
    for each in bad:
        with pytest.raises(ValueError, match=r".+"):
            outboxctl.enqueue(caller, **(good | each))
    event = outboxctl.enqueue(caller, **good)
    opened.commit()
    opened.close()
    assert [row["id"] for row in lab.rows(sql)] == [event]


def test_an_async_connection_is_refused_not_silently_ignored(url: str) -> None:
    async def attempt() -> None:
        async with await psycopg.AsyncConnection.connect(url) as caller:
            for wrong in (caller, caller.cursor()):
                with pytest.raises(TypeError):
                    outboxctl.enqueue(wrong, entity_type="block", entity_id=uuid.uuid4(), event_version=1)

    asyncio.run(attempt())


@pytest.mark.parametrize("wrong", [None, "postgresql://u:p@h/d", object()])
def test_what_is_no_connection_is_a_type_error(wrong: object) -> None:
    with pytest.raises(TypeError):
        outboxctl.enqueue(wrong, entity_type="block", entity_id=uuid.uuid4(), event_version=1)


@pytest.mark.real_engine
def test_the_generated_trigger_carries_every_change(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str
) -> None:
    script = cli.ok("db", "trigger", "search_index", "--type-column", "entity_type")
    sql.execute(script.encode())
    sql.execute(script.encode())
    kept, gone = uuid.uuid4(), uuid.uuid4()
    for entity in (kept, gone):
        lab.source(sql, entity, 1, text="one")
    cli.ok("worker", "--drain")
    assert lab.document(engine, index, gone)["text"] == "one"
    lab.source(sql, kept, 2, text="two")
    sql.execute("DELETE FROM search_index WHERE entity_id = %s", [gone])
    with sql.transaction(force_rollback=True):
        lab.source(sql, uuid.uuid4(), 1)
    cli.ok("worker", "--drain")
    assert lab.by_status(sql) == {"done": 4}
    assert lab.document(engine, index, kept)["text"] == "two"
    assert lab.document(engine, index, gone) is None


def test_a_trigger_for_a_table_with_an_awkward_name_works(cli: Cli, sql: lab.Sql) -> None:
    sql.execute('CREATE SCHEMA "My App"; CREATE TABLE "My App"."or der" ("I d" uuid, ver bigint)')
    script = cli.ok(
        "db",
        "trigger",
        "My App.or der",
        "--id-column",
        "I d",
        "--version-column",
        "ver",
        "--entity-type",
        "o'rder",
    )
    sql.execute(script.encode())
    sql.execute('INSERT INTO "My App"."or der" VALUES (gen_random_uuid(), 7)')
    assert [(row["entity_type"], row["event_version"], row["op"]) for row in lab.rows(sql)] == [
        ("o'rder", 7, "upsert")
    ]
