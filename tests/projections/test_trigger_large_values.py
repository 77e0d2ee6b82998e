"""Large values: a write that leaves them alone pays nothing for them, and none fails for their size."""

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.domain.projection import Follow, Projection
from projections import shop_tables as shop
from projections.shop_tables import keys, taken, watch
from servers import needs_release

# 64 kB that cannot be compressed.
LARGE = "(SELECT string_agg(md5(n::text || i::text), '') FROM generate_series(1, 2000) i)"
TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.papers (id bigint, n int, text text, other text) {by};
CREATE TABLE shop.pages (id bigint, paper bigint, n int, text text, other text) {by};
"""
PARTS = """
CREATE TABLE shop.papers_all PARTITION OF shop.papers DEFAULT;
CREATE TABLE shop.pages_all PARTITION OF shop.pages DEFAULT;
"""
FILL = f"""
INSERT INTO shop.papers SELECT n, 0, {LARGE}, 'small' FROM generate_series(1, 20) n;
INSERT INTO shop.pages SELECT n, n, 0, {LARGE}, 'small' FROM generate_series(1, 20) n;
"""
READ = """
SELECT sum(heap_blks_read + heap_blks_hit)::bigint FROM pg_statio_all_tables
WHERE relid IN (SELECT reltoastrelid FROM pg_class WHERE relnamespace = 'shop'::regnamespace)
"""


def papers() -> Projection:
    """Papers with their pages; the document has their texts."""
    pages = Follow(shop.shop("pages"), key=("paper",), columns=("other", "paper", "text"))
    return shop.of("papers", columns=("id", "other", "text"), follow=(pages,))


@pytest.fixture(params=[False, True], ids=["plain", "partitioned"])
def large(db: Database, sql: psycopg.Connection, request: pytest.FixtureRequest) -> psycopg.Connection:
    """Twenty papers of 64 kB with a page of 64 kB each, watched."""
    sql.execute(TABLES.format(by="PARTITION BY RANGE (id)" if request.param else "").encode())
    sql.execute((PARTS if request.param else "").encode())
    watch(db, papers())
    sql.execute(FILL.encode())
    taken(sql)
    return sql


def toast_blocks(sql: psycopg.Connection, statement: str) -> int:
    """How many blocks of large values a statement reads."""

    def read() -> int:
        sql.execute("SELECT pg_stat_force_next_flush()")
        sql.execute("SELECT pg_stat_clear_snapshot()")
        return int(sql.execute(READ.encode()).fetchone()[0])  # type: ignore[index]

    before = read()
    sql.execute(statement.encode())
    return read() - before


@pytest.mark.parametrize("table", ["papers", "pages"])
def test_a_change_beside_large_values_reads_none_of_them(large: psycopg.Connection, table: str) -> None:
    needs_release(large, 17, "pg_column_toast_chunk_id")
    assert toast_blocks(large, f"UPDATE shop.{table} SET n = n + 1") == 0
    assert keys(large) == []
    assert toast_blocks(large, f"UPDATE shop.{table} SET other = 'x' WHERE id < 3") == 0
    assert keys(large) == ["1", "2"]
    assert toast_blocks(large, f"UPDATE shop.{table} SET n = 1, text = text") == 0
    assert keys(large) == []


@pytest.mark.parametrize("table", ["papers", "pages"])
def test_a_large_value_that_changes_is_an_event_and_one_that_is_written_again_is_none(
    large: psycopg.Connection, table: str
) -> None:
    large.execute(f"UPDATE shop.{table} SET text = text || 'x' WHERE id = 3".encode())
    assert keys(large) == ["3"]
    large.execute(f"UPDATE shop.{table} SET text = text || '' WHERE id < 3".encode())
    assert keys(large) == []
    large.execute(f"UPDATE shop.{table} SET text = 'short' WHERE id = 4".encode())
    assert keys(large) == ["4"]
    large.execute(f"UPDATE shop.{table} SET text = NULL WHERE id = 4".encode())
    assert keys(large) == ["4"]
    large.execute(f"UPDATE shop.{table} SET text = repeat('x', 5000000) WHERE id = 4".encode())
    assert keys(large) == ["4"]
    other = f"(SELECT text FROM shop.{table} o WHERE o.id = 5)"
    large.execute(f"UPDATE shop.{table} SET text = {other} WHERE id = 6".encode())
    assert keys(large) == ["6"]


@pytest.mark.slow(reason="values of 540 MB")
@pytest.mark.parametrize("table", ["papers", "pages"])
def test_a_value_of_540_megabytes_fails_no_write(large: psycopg.Connection, table: str) -> None:
    unseen = large.info.server_version >= 170000
    for change, found in (("text = repeat('x', 540000000)", ["1"]), ("n = 5", [] if unseen else ["1"])):
        large.execute(f"UPDATE shop.{table} SET {change} WHERE id = 1".encode())
        assert keys(large) == found, change
    large.execute(f"DELETE FROM shop.{table} WHERE id = 1".encode())
    assert keys(large) == ["1"]


@pytest.mark.slow(reason="values of 270 MB")
@pytest.mark.parametrize("partitioned", [False, True])
def test_a_large_key_or_parameter_fails_no_write(
    db: Database, sql: psycopg.Connection, partitioned: bool
) -> None:
    by = "PARTITION BY RANGE (id)" if partitioned else ""
    sql.execute(TABLES.format(by=by).encode())
    sql.execute((PARTS if partitioned else "").encode())
    pages = shop.shop("pages")
    by_key = Follow(pages, key=("text",), columns=("other",))
    by_query = Follow(pages, keys="SELECT :text", parameters=("text",), columns=("other",))
    watch(db, shop.of("papers", "text", shop.TEXT, columns=("n",), follow=(by_key, by_query)))
    sql.execute("INSERT INTO shop.pages VALUES (1, 1, 0, repeat('x', 270000000), 'a')")
    assert taken(sql) == [("papers", "", -1)]  # no index can hold such a key, so no document has it
    sql.execute("UPDATE shop.pages SET other = 'b'")
    # Before PostgreSQL 17 so large a value counts as changed: the new one has an event, too.
    assert taken(sql) == [("papers", "", -1)] * (1 if sql.info.server_version >= 170_000 else 2)
    sql.execute("UPDATE shop.pages SET text = 'k'")
    assert [follow for _, _, follow in taken(sql)] == [None, -1, 1]
    sql.execute("DELETE FROM shop.pages")
    assert [follow for _, _, follow in taken(sql)] == [None, 1]


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_parameter_that_is_far_larger_as_json_makes_no_event_of_its_size(
    db: Database, sql: psycopg.Connection, partitioned: bool
) -> None:
    """It has 230 kB as it is stored, and 120 MB as JSON; with lz4 1 MB were above PostgreSQL's limit."""
    sql.execute(TABLES.format(by="PARTITION BY RANGE (id)" if partitioned else "").encode())
    sql.execute((PARTS if partitioned else "").encode())
    by_query = Follow(shop.shop("pages"), keys="SELECT :text", parameters=("text",), columns=("other",))
    watch(db, shop.of("papers", "text", shop.TEXT, columns=("n",), follow=(by_query,)))
    sql.execute("INSERT INTO shop.pages VALUES (1, 1, 0, repeat(E'\\x01', 20000000), 'a')")
    sql.execute("UPDATE shop.pages SET other = 'b'")
    sql.execute("DELETE FROM shop.pages")
    follows = sql.execute("SELECT follow, octet_length(entity_key) FROM search_outbox_events").fetchall()
    assert follows == [(-1, 0)] * 3
