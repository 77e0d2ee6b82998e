"""Source rows page by page, whatever the table's indexes."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.documents import source
from outboxctl.core.documents.rows import RawDocument, from_json
from outboxctl.core.documents.since import Since
from outboxctl.core.documents.source import PageOptions
from outboxctl.core.documents.table import TableSource
from rebuilding import ROWS, put, take_away

MOST = 4_000_000


def all_pages(db: Database, size: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The key of every entity, as a rebuild reads them: some at a time."""
    monkeypatch.setattr(source, "CHUNK_ROWS", size)
    return [from_json(row[0]) for row in rows(db, size)]


def rows(db: Database, size: int, most: int = MOST) -> Iterator[RawDocument]:
    """All rows by pages of `size`."""
    for page in TableSource().pages(db, None, PageOptions(size, most)):
        assert page.read == len(page.rows) <= size
        assert len(page.rows) == 1 or sum(len(row[3]) for row in page.rows) <= most
        assert page.place == from_json(page.rows[-1][0])
        yield from page.rows


@pytest.mark.parametrize("key", ["entity_type, entity_id", "entity_id, entity_type"])
def test_each_row_is_read_once_by_the_index_there_is(
    db: Database, sql: psycopg.Connection, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.execute(ROWS, [50])
    sql.execute("ALTER TABLE search_index DROP CONSTRAINT uq_search_index_entity")
    sql.execute(f"CREATE UNIQUE INDEX theirs ON search_index ({key})")
    found = all_pages(db, 7, monkeypatch)
    query = f"SELECT entity_type || ':' || entity_id FROM search_index ORDER BY {key}"
    assert found == [id_ for (id_,) in sql.execute(query)]


@pytest.mark.parametrize("collation", ['"default"', '"C"', '"POSIX"'])
def test_a_page_begins_in_the_index_and_reads_nothing_before(
    db: Database, sql: psycopg.Connection, collation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.execute(f"ALTER TABLE search_index ALTER entity_type TYPE varchar(50) COLLATE {collation}")
    sql.execute(ROWS, [5_000])
    sql.execute("UPDATE search_index SET entity_type = 'Block' WHERE rank_score IS NULL AND text LIKE '%7'")
    every = all_pages(db, 700, monkeypatch)
    assert len({*every}) == 5_000
    read = "SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'search_index'"
    with db.begin() as connection:
        before = connection.exec_driver_sql(read).scalar_one()
        cut = TableSource()._after(connection, every[3_999], 10)
        assert [*TableSource()._copied(connection, cut, PageOptions(10, MOST, versions=False))]
        assert connection.exec_driver_sql(read).scalar_one() == before + 10


def test_what_changed_since_is_read_with_what_is_gone_for_longer(
    db: Database, sql: psycopg.Connection
) -> None:
    old, old_gone, new, gone = (uuid4() for _ in range(4))
    put(sql, old, old_gone)
    take_away(sql, old_gone)
    sql.execute("UPDATE search_outbox_events SET updated_at = now() - interval '30 minutes'")
    put(sql, new, gone)
    put(sql, new)
    take_away(sql, gone)
    sql.execute(
        "UPDATE search_outbox_events SET op = 'nonsense', event_version = 99 WHERE id IN ("
        "SELECT id FROM search_outbox_events WHERE entity_id = %s LIMIT 1)",
        [gone],
    )
    with db.begin() as connection:
        now = connection.exec_driver_sql("SELECT now()").scalar_one()
        since, gone_since = now - timedelta(minutes=1), now - timedelta(hours=1)
        reading = TableSource().changed(connection, Since(since, gone_since), size=2)
        pages = [next(reading)]
        (cursors,) = connection.exec_driver_sql("SELECT count(*) FROM pg_cursors").one()
        pages += reading
        found = {
            each.key: (each.newest, now.text is None)
            for page in pages
            for each, now in zip(
                page, TableSource().read(connection, [each.key for each in page], content=True), strict=True
            )
        }
    expected = {new: (2, False), gone: (2, True), old_gone: (2, True)}
    assert found == {f"block:{id_}": values for id_, values in expected.items()}
    assert (cursors, max(map(len, pages))) == (1, 2)  # the server keeps the rest


def test_large_documents_are_read_a_few_at_a_time(
    db: Database, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of ten thousand rows of a megabyte each would not fit into memory."""
    monkeypatch.setattr(source, "CHUNK_BYTES", 20_000)
    sql.execute(ROWS, [300])
    sql.execute("UPDATE search_index SET text = repeat('x', 9000) WHERE text LIKE '%5'")
    found = [from_json(row[0]) for row in rows(db, 50, 10_000)]
    assert found == sorted({*found})
    assert len(found) == 300
    cut = TableSource()._chunk(db, None, 300, PageOptions(50, 10_000))
    assert 1 < sum(map(len, cut)) < 100
    with db.begin() as connection:  # the session that was cut short can be used again
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1


def test_a_row_that_nothing_can_refer_to_is_no_document(
    db: Database, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql.execute("ALTER TABLE search_index ALTER entity_id DROP NOT NULL, ALTER entity_type DROP NOT NULL")
    sql.execute(ROWS, [3])
    sql.execute("UPDATE search_index SET entity_id = NULL WHERE text = 'text 1'")
    assert len(all_pages(db, 10, monkeypatch)) == 2
