"""`plan` names each index that is missing where documents are read or found, and no other."""

import json
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.operations.projection import notices
from processes import Cli
from schemas import rental

pytestmark = pytest.mark.slow(reason="fills tables, to see what reading a document costs")

BY_RENTAL = "CREATE INDEX ON rental.payments (rental_id);\n"
VIEW = """
CREATE VIEW rental.paid_films AS
SELECT f.id, f.title, l.name AS language,
    (SELECT sum(p.amount) FROM rental.inventory i JOIN rental.rentals r ON r.inventory_id = i.id
        JOIN rental.payments p ON p.rental_id = r.id WHERE i.film_id = f.id) AS paid
FROM rental.films f JOIN rental.languages l ON l.id = f.language_id
"""
FILE = """
[projections.film]
root = "rental.films"
key = "id"
document = "rental.paid_films"
index = "{index}"
"""
ROWS = """
INSERT INTO rental.languages SELECT n, 'l' || n FROM generate_series(1, 6) n;
INSERT INTO rental.films (id, title, language_id) SELECT n, 't' || n, 1 FROM generate_series(1, 1000) n;
INSERT INTO rental.stores (id) VALUES (1);
INSERT INTO rental.customers (id, name) SELECT n, 'c' || n FROM generate_series(1, 600) n;
INSERT INTO rental.inventory SELECT n, 1, 1 + n % 1000 FROM generate_series(1, 4500) n;
INSERT INTO rental.rentals SELECT n, now(), NULL, 1 + n % 4500, 1 + n % 600 FROM generate_series(1, 16000) n;
INSERT INTO rental.payments
    SELECT n, DATE '2022-01-01' + n % 200, 1, 1 + n % 600, n FROM generate_series(1, 16000) n;
ANALYZE;
"""


@pytest.fixture
def planned(sql: psycopg.Connection, cli: Cli, index: str, tmp_path: Path) -> Callable[[], list[str]]:
    """Pagila-like tables without one index, and the statements that `plan` proposes for a view of films."""
    assert BY_RENTAL in rental.TABLES
    sql.execute(rental.TABLES.replace(BY_RENTAL, "").encode())
    sql.execute(VIEW)
    file = tmp_path / "films.toml"
    file.write_text(FILE.format(index=f"{index}-films"), encoding="utf-8")

    def statements() -> list[str]:
        done = cli("projection", "plan", str(file), "--json")
        assert done.returncode == 4, done.stderr
        warnings = json.loads(done.stdout)["projections"][0]["warnings"]
        return [sql for each in warnings for sql in each["sql"]]

    return statements


@pytest.mark.parametrize("rows", [ROWS, ""], ids=["rows", "empty"])
def test_the_index_that_reading_a_document_lacks_is_printed(
    planned: Callable[[], list[str]], sql: psycopg.Connection, rows: str
) -> None:
    sql.execute(rows.encode())
    proposed = planned()
    assert proposed == [
        "CREATE INDEX CONCURRENTLY ON rental.payments_1 (rental_id)",
        "CREATE INDEX CONCURRENTLY ON rental.payments_2 (rental_id)",
        "CREATE INDEX ON rental.payments (rental_id)",
    ]
    for statement in proposed:
        sql.execute(statement.encode())
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename ~ '^payments' AND indexdef ~ 'rental_id'"
    assert sql.execute(indexes).fetchone() == (3,), "that of the whole table takes those of its partitions"
    assert planned() == []


TREE = """
CREATE SCHEMA tree;
CREATE TABLE tree.tags (id int PRIMARY KEY, above int, label varchar(20));
CREATE TABLE tree.links (item int, tag int, PRIMARY KEY (item, tag));
CREATE INDEX ON tree.tags (above);
CREATE INDEX ON tree.links (tag);
"""
FEW = """
INSERT INTO tree.tags SELECT n, 1, 'l' FROM generate_series(1, 5) n;
INSERT INTO tree.links VALUES (1, 1);
ANALYZE
"""
UNDER = "SELECT l.item FROM tree.links l JOIN tree.tags t ON t.id = l.tag WHERE t.above = :id"


def lacking(db: Database, query: str) -> list[tuple[str, tuple[str, ...]]]:
    with db.begin() as connection:
        compared = [("", each) for each in notices._compared(connection, query)]
        found = notices.missing(connection, compared)
    return [(each.table.name, each.columns) for each in found]


@pytest.mark.parametrize("rows", [FEW, ""], ids=["few rows", "no statistics"])
def test_no_index_is_proposed_for_a_small_table_that_has_it(
    db: Database, sql: psycopg.Connection, rows: str
) -> None:
    sql.execute(TREE.encode())
    sql.execute(rows.encode())
    assert lacking(db, UNDER) == []
    sql.execute("DROP INDEX tree.links_tag_idx")
    assert lacking(db, UNDER) == [("links", ("tag",))]
    sql.execute("DROP INDEX tree.tags_above_idx")
    assert lacking(db, UNDER) == [("links", ("tag",)), ("tags", ("above",))]
    sql.execute("CREATE INDEX ON tree.links (tag)")
    assert lacking(db, UNDER) == [("tags", ("above",))]


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ("label = :id", ("label",)),
        ("t.above = CAST(:id AS int) AND label = 'a'", ("above",)),
        ('"Od d" = :id', ("Od d",)),
        ("above > :id", ()),
        ("not SQL at all (", ()),
    ],
)
def test_an_index_is_on_what_the_query_compares(
    db: Database, sql: psycopg.Connection, condition: str, columns: tuple[str, ...]
) -> None:
    sql.execute(TREE.encode())
    sql.execute('DROP INDEX tree.tags_above_idx; ALTER TABLE tree.tags ADD "Od d" int')
    assert lacking(db, f"SELECT id FROM tree.tags t WHERE {condition}") == [("tags", columns)] * bool(columns)
