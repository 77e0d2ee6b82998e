"""A rebuild reads no row twice where nothing was written meanwhile, and again where anything was."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from threading import Event
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

import shop
from outboxctl.core.database import Connection, Database
from outboxctl.core.documents import unwritten
from outboxctl.core.documents.source import DocumentSource
from outboxctl.core.documents.unwritten import WriteMark
from outboxctl.core.operator.rebuilds import RebuildPhase
from outboxctl.core.projections import in_force
from outboxctl.operations.rebuild import run
from outboxctl.operations.rebuild.model import RebuildReport, Tools
from outboxctl.operations.rebuild.plan import plan
from outboxctl.operations.verify.review import Review
from projections import stock
from sinks import client_of

pytestmark = pytest.mark.real_engine
CONNECTIONS = 6
SILENT = "SET session_replication_role = replica"  # no trigger writes an event


@pytest.fixture
def many(url: str, items: str, sql: psycopg.Connection) -> Iterator[Database]:  # noqa: ARG001
    """The database with as many connections as a rebuild takes; no event waits."""
    sql.execute("UPDATE search_outbox_events SET status = 'done'")
    with closing(Database(url, connections=CONNECTIONS)) as made:
        yield made


def rebuilt(db: Database, engine: Elasticsearch, index: str) -> tuple[RebuildReport, Tools]:
    client = client_of(engine)
    with db.begin() as connection:
        source = DocumentSource(in_force.declared(connection)[0])
        planned = plan(connection, client, index, source=source)
    with run.alone(db, index) as held:
        tools = Tools(db, client, held, Event(), size=10, source=source)
        return run.apply(tools, planned, by="t", reason="t", grace_seconds=60), tools


def after_swap(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act between the move of the alias and the comparison."""
    swap = run.STEPS[RebuildPhase.SWAP]

    def both(*given: Any) -> Any:
        row = swap(*given)
        act()
        return row

    monkeypatch.setitem(run.STEPS, RebuildPhase.SWAP, both)


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("rows were read for the comparison")


def test_what_the_index_has_otherwise_than_it_was_sent_is_found_without_reading_all_rows(
    items: str,
    many: Database,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unwritten, "unwritten", lambda *_: True)
    monkeypatch.setattr(DocumentSource, "in_range", refuse)
    changed, lost = [*stock.wanted(sql)][:2]

    def spoil() -> None:
        engine.index(index=items, id=changed, document={"amount": -1})
        engine.delete(index=items, id=lost)
        engine.index(index=items, id="rubbish", document={})

    after_swap(monkeypatch, spoil)
    done, _ = rebuilt(many, engine, items)
    assert (done.phase, done.copied, done.healed) == ("done", len(stock.wanted(sql)), 2)
    assert shop.held(engine, items).keys() - stock.wanted(sql).keys() == {"rubbish"}, "which no row can have"
    engine.delete(index=items, id="rubbish")
    assert shop.held(engine, items) == stock.wanted(sql)


def test_what_a_fill_has_read_is_what_the_index_has(
    items: str, many: Database, engine: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each document would be suspect, and read once more by its key."""
    looked_at = list[str]()

    def look(_: Review, suspects: Sequence[str]) -> Iterator[Any]:
        looked_at.extend(suspects)
        return iter(())

    monkeypatch.setattr(unwritten, "unwritten", lambda *_: True)
    monkeypatch.setattr(Review, "of", look)
    done, _ = rebuilt(many, engine, items)
    assert (done.phase, looked_at) == ("done", [])


def test_a_row_that_changes_without_an_event_is_read_again(
    items: str,
    many: Database,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def change() -> None:
        sql.execute(SILENT)
        sql.execute("UPDATE stock.items SET amount = amount + 100 WHERE site = 'n:s'")
        sql.execute("RESET session_replication_role")

    after_swap(monkeypatch, change)
    before = stock.wanted(sql)
    done, _ = rebuilt(many, engine, items)
    assert done.healed > 0
    assert before != stock.wanted(sql) == shop.held(engine, items)


def test_each_transaction_in_which_a_rebuild_writes_is_known_as_its_own(
    items: str, many: Database, engine: Elasticsearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a quiet server would look like one at which somebody writes."""
    begin, seen = Database.begin, set[int]()

    @contextmanager
    def watched(self: Database) -> Iterator[Connection]:
        with begin(self) as connection:
            yield connection
            number = "SELECT CAST(CAST(pg_current_xact_id_if_assigned() AS text) AS bigint)"
            seen.add(connection.exec_driver_sql(number).scalar_one() or 0)

    monkeypatch.setattr(Database, "begin", watched)
    _, tools = rebuilt(many, engine, items)
    before = tools.filled.before
    assert before
    own = {each for each in seen if each >= before.following}
    assert own
    assert own <= tools.filled.own


def marks(db: Database) -> WriteMark:
    with db.begin() as connection:
        return unwritten.mark(connection)


def test_whatever_is_written_at_the_server_shows(many: Database, sql: psycopg.Connection, url: str) -> None:
    with psycopg.connect(url) as other:
        other.execute("SAVEPOINT a")
        other.execute("UPDATE stock.items SET amount = amount")
        begun = marks(many)  # which goes on meanwhile
        other.commit()
        assert not unwritten.unwritten(begun, marks(many), set())
        before = marks(many)
        other.execute("UPDATE stock.items SET amount = amount")
        other.commit()
    assert not unwritten.unwritten(before, marks(many), set())
    before = marks(many)
    sql.execute("CREATE OR REPLACE VIEW nothing AS SELECT 1")
    assert not unwritten.unwritten(before, marks(many), set())


def test_its_own_transaction_is_one_of_those_between_two_marks(many: Database) -> None:
    before = marks(many)
    with many.begin() as connection:
        own = unwritten.number(connection)
    assert before.oldest <= before.following <= own < marks(many).following


def test_a_server_that_was_started_anew_and_foreign_tables_may_have_changed_anything() -> None:
    at = WriteMark(10, 10, "1", foreign=False)
    assert unwritten.unwritten(at, at._replace(oldest=12, following=12), {10, 11})
    for now in (at._replace(server="2"), at._replace(foreign=True), at._replace(following=12)):
        assert not unwritten.unwritten(at, now, {10})
    assert not unwritten.unwritten(at._replace(oldest=9), at, {10})
