"""Keys of type char(n): one text without the blanks at its end, from the triggers to `verify`."""

from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

import outboxctl
import shop
from processes import Cli
from projections.store import WHO

TABLES = """
CREATE SCHEMA air;
CREATE DOMAIN air.code AS char(6);
CREATE TABLE air.bookings (ref {root} PRIMARY KEY, total int NOT NULL DEFAULT 0);
CREATE TABLE air.flights (id int PRIMARY KEY, ref {child} REFERENCES air.bookings ON DELETE SET NULL,
    seat text);
CREATE INDEX ON air.flights (ref);
CREATE TABLE air.airports (code char(5) PRIMARY KEY, city text);
CREATE TABLE air.stops (ref {child} REFERENCES air.bookings ON DELETE CASCADE, code char(5)
    REFERENCES air.airports);
CREATE INDEX ON air.stops (ref); CREATE INDEX ON air.stops (code);
CREATE VIEW air.documents AS SELECT b.ref, b.total,
    (SELECT json_agg(f.seat ORDER BY f.id) FROM air.flights f WHERE f.ref = b.ref) AS seats,
    (SELECT json_agg(a.city ORDER BY a.city) FROM air.stops s JOIN air.airports a ON a.code = s.code
        WHERE s.ref = b.ref) AS cities
FROM air.bookings b
"""
FILE = """
[projections.booking]
root = "air.bookings"
key = "ref"
document = "air.documents"
index = "{index}"
"""
VIEW = ("air.documents", "ref")
WRITES = (
    "INSERT INTO air.bookings SELECT 'B' || n FROM generate_series(1, 30) n; INSERT INTO air.bookings"
    " VALUES ('A:%'), (' x')",
    "INSERT INTO air.airports VALUES ('ZRH', 'Zurich'), ('LHR', 'London')",
    "INSERT INTO air.flights SELECT n, 'B' || 1 + n % 10, 's' || n FROM generate_series(1, 20) n",
    "INSERT INTO air.stops VALUES ('B1', 'ZRH'), ('B2', 'ZRH'), ('B2', 'LHR'), ('A:%', 'LHR')",
    "UPDATE air.flights SET seat = 'window' WHERE id < 5",
    "UPDATE air.airports SET city = upper(city)",
    "UPDATE air.flights SET ref = ' x' WHERE id = 7",
    "DELETE FROM air.bookings WHERE ref IN ('B2', 'B9')",
    "UPDATE air.bookings SET total = 5 WHERE ref = 'A:%'",
)


@pytest.mark.parametrize(
    ("root", "child"),
    [("char(6)", "char(6)"), ("text", "char(6)"), ("air.code", "air.code"), ("text", "air.code")],
)
@pytest.mark.slow(reason="a worker after each write")
def test_documents_of_such_keys_follow_every_change(
    root: str,
    child: str,
    cli: Cli,
    sql: psycopg.Connection,
    engine: Elasticsearch,
    index: str,
    tmp_path: Path,
) -> None:
    sql.execute(TABLES.format(root=root, child=child).encode())
    file = tmp_path / "air.toml"
    file.write_text(FILE.format(index=f"{index}-air"), encoding="utf-8")
    cli.ok("projection", "apply", str(file), *WHO, "--yes")
    for write in WRITES:
        sql.execute(write.encode())
        cli.ok("worker", "--drain")
        assert shop.held(engine, f"{index}-air") == shop.documents(sql, *VIEW), write
    assert {row[0] for row in shop.rows(sql)} == {"done"}
    keys = {
        key
        for (key,) in sql.execute(
            "SELECT entity_key FROM search_outbox_events WHERE follow IS NULL AND entity_key <> ''"
        )
    }
    assert keys <= {*shop.documents(sql, *VIEW), "B2", "B9"}
    cli.ok("verify", "--projection", "booking")
    cli.ok("projection", "preview", "booking", "B1", "A:%", " x")
    sql.execute("ALTER TABLE air.bookings DISABLE TRIGGER USER; UPDATE air.bookings SET total = 9")
    outboxctl.touch(sql, "booking", "B1" if root == "text" else "B1    ")
    cli.ok("worker", "--drain")
    assert shop.held(engine, f"{index}-air")["B1"] == shop.documents(sql, *VIEW)["B1"]
    cli.ok("rebuild", "--projection", "booking", *WHO, "--yes")
    assert shop.held(engine, f"{index}-air") == shop.documents(sql, *VIEW)
