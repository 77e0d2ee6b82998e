"""An event is exactly as durable as the transaction that wrote it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import psycopg.errors
import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from psycopg.rows import class_row
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

import outboxctl
from outboxctl.core.database import Database
from outboxctl.core.operator import inject
from outboxctl.core.schema.trigger import trigger_sql
from outboxctl.domain.errors import UsageError


@pytest.fixture
def application(url: str) -> Iterator[Engine]:
    """An application's own way to the database, by SQLAlchemy."""
    engine = create_engine(f"postgresql+psycopg://{url.partition('://')[2]}")
    yield engine
    engine.dispose()


def events(sql: psycopg.Connection) -> list[tuple[str, int]]:
    return sql.execute("SELECT op, event_version FROM search_outbox_events ORDER BY event_version").fetchall()


class Own(psycopg.Connection):
    """An application's own kind of connection."""

    __module__ = "application"


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_in_a_sqlalchemy_connection_a_session_and_psycopg(
    application: Engine, url: str, sql: psycopg.Connection, end: str
) -> None:
    with application.connect() as one, Session(application) as two, Own.connect(url) as three:
        for version, connection in enumerate((one, two, three)):
            outboxctl.enqueue(connection, entity_type="block", entity_id=uuid4(), event_version=version)
            getattr(connection, end)()
    assert events(sql) == ([("upsert", 0), ("upsert", 1), ("upsert", 2)] if end == "commit" else [])


def test_the_same_event_id_twice_is_one_event(sql: psycopg.Connection) -> None:
    id_ = uuid4()
    for version in (1, 2):
        assert id_ == outboxctl.enqueue(
            sql, entity_type="block", entity_id=uuid4(), event_version=version, event_id=id_
        )
    assert events(sql) == [("upsert", 1)]


def test_a_constraint_of_the_applications_own_is_not_passed_over(sql: psycopg.Connection) -> None:
    sql.execute("CREATE UNIQUE INDEX ON search_outbox_events (entity_type, entity_id, event_version)")
    entity = uuid4()
    outboxctl.enqueue(sql, entity_type="block", entity_id=entity, event_version=1)
    for id_ in (None, uuid4()):
        with pytest.raises(psycopg.errors.UniqueViolation):
            outboxctl.enqueue(sql, entity_type="block", entity_id=entity, event_version=1, event_id=id_)


def test_rows_of_any_kind_do_not_matter(url: str, sql: psycopg.Connection) -> None:
    """An application makes of rows what it likes."""
    with psycopg.connect(url, row_factory=class_row(Path)) as connection:
        outboxctl.enqueue(
            connection, entity_type="block", entity_id=uuid4(), event_version=1, event_id=uuid4()
        )
    assert events(sql) == [("upsert", 1)]


def test_serializable_transactions_write_events_side_by_side(url: str, sql: psycopg.Connection) -> None:
    with psycopg.connect(url) as first, psycopg.connect(url) as second:
        first.isolation_level = second.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        for version, own in enumerate((first, second, first)):
            outboxctl.enqueue(own, entity_type="block", entity_id=uuid4(), event_version=version)
    assert events(sql) == [("upsert", 0), ("upsert", 1), ("upsert", 2)]


@pytest.mark.parametrize(
    "bad",
    [
        {"op": "UPSERT"},
        {"op": "x"},
        {"entity_type": ""},
        {"entity_type": "x" * 51},
        {"entity_type": "a\x00"},
        {"entity_id": "nope"},
        {"event_version": -1},
        {"event_version": 2**63},
        {"event_version": True},
        {"event_version": 1.0},
        {"event_id": "nope"},
    ],
)
def test_a_bad_argument_is_refused_before_the_database(
    sql: psycopg.Connection, bad: dict[str, object]
) -> None:
    good: dict[str, object] = {"entity_type": "block", "entity_id": uuid4(), "event_version": 1}
    with pytest.raises(ValueError, match=r".+"):
        outboxctl.enqueue(sql, **good | bad)  # type: ignore[arg-type]
    assert events(sql) == []


SPAN = NonRecordingSpan(SpanContext(0xABC << 116, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))
ACTIVE = f"00-abc{0:029}-{0:013}def-01"
GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def traces(sql: psycopg.Connection) -> list[str | None]:
    found = sql.execute("SELECT traceparent FROM search_outbox_events ORDER BY event_version").fetchall()
    return [trace for (trace,) in found]


def test_an_event_remembers_the_span_it_was_written_in(application: Engine, sql: psycopg.Connection) -> None:
    def enqueue(version: int, **more: Any) -> None:
        with application.begin() as connection:
            outboxctl.enqueue(
                connection, entity_type="block", entity_id=uuid4(), event_version=version, **more
            )

    enqueue(0)
    with use_span(SPAN):
        enqueue(1)
        enqueue(2, event_id=uuid4())
        enqueue(3, traceparent="")
        enqueue(4, traceparent=GIVEN)
    assert traces(sql) == [None, ACTIVE, ACTIVE, None, GIVEN]


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        GIVEN + "-and-more",
        GIVEN.upper(),
        GIVEN + "\n",
        GIVEN.replace("00-", "ff-", 1),
        GIVEN.replace("b7ad6b7169203331", "0" * 16),
        GIVEN.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        "\x00",
    ],
)
def test_a_bad_trace_costs_no_event(sql: psycopg.Connection, bad: str) -> None:
    outboxctl.enqueue(sql, entity_type="block", entity_id=uuid4(), event_version=1, traceparent=bad)
    assert traces(sql) == [None]


def test_an_async_connection_is_told_how() -> None:
    class Async:
        async def execute(self) -> None: ...

    with pytest.raises(TypeError, match="run_sync"):
        outboxctl.enqueue(Async(), entity_type="block", entity_id=uuid4(), event_version=1)


def test_the_generated_trigger_writes_the_events(sql: psycopg.Connection) -> None:
    made = trigger_sql()
    sql.execute(made)
    sql.execute(made)  # and again: it replaces itself
    sql.execute(
        "INSERT INTO search_index (entity_type, entity_id, event_version) VALUES ('a', gen_random_uuid(), 1)"
    )
    sql.execute("UPDATE search_index SET event_version = 2")
    sql.execute("UPDATE search_index SET entity_id = gen_random_uuid(), event_version = 5")
    sql.execute("DELETE FROM search_index")
    of_the_first = [("upsert", 1), ("upsert", 2), ("delete", 3)]
    assert events(sql) == [*of_the_first, ("upsert", 5), ("delete", 6)], "no entity is left behind"


def test_ids_are_in_time_order_whoever_makes_them(db: Database, sql: psycopg.Connection) -> None:
    """Random ones cost each event a page of its own in the index that every step goes by."""
    sql.execute(trigger_sql())
    for step in range(0, 9, 3):
        outboxctl.enqueue(sql, entity_type="block", entity_id=uuid4(), event_version=step)
        sql.execute(
            "INSERT INTO search_index (entity_type, entity_id, event_version)"
            " SELECT 'block', gen_random_uuid(), %s FROM generate_series(1, 50)",
            (step + 1,),
        )
        with db.begin() as connection:
            given = {"entity_type": "block", "entity_id": str(uuid4()), "op": "upsert"}
            inject.event(connection, **given, version=step + 2)
    made = sql.execute("SELECT id FROM search_outbox_events ORDER BY event_version, id").fetchall()
    assert {id_.version for (id_,) in made} == {7}
    milliseconds = [id_.int >> 80 for (id_,) in made]
    assert milliseconds == sorted(milliseconds)


@pytest.mark.parametrize(
    "unready",
    ["ALTER TABLE search_outbox_events ALTER id DROP DEFAULT", "DROP TABLE search_outbox_events"],
    ids=["no default", "no outbox"],
)
def test_a_trigger_is_not_made_on_an_outbox_whose_ids_have_no_default(
    sql: psycopg.Connection, unready: str
) -> None:
    """It would refuse every write of the application."""
    sql.execute(unready)
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        sql.execute(trigger_sql())
    assert "outboxctl db upgrade" in str(caught.value.diag.message_hint)
    made = "SELECT FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = 'search_index'::regclass"
    assert not sql.execute(made).fetchall()


def test_a_trigger_needs_names_that_can_be() -> None:
    for bad in ("", "x" * 64, "$outbox$"):
        with pytest.raises(UsageError, match="--schema"):
            trigger_sql(bad)
    assert '"a""; DROP TABLE x; --"' in trigger_sql('a"; DROP TABLE x; --')
