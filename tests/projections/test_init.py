"""`projection init`: what it prints `plan` takes as it is, and the documents are those of the tables."""

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections import library
from projections.store import WHO
from shop import held

LOANS = 'lib."Lo""an\'%s"'
Init = Callable[..., CompletedProcess[str]]


@pytest.fixture
def init(sql: psycopg.Connection, cli: Cli) -> Init:
    """The library's tables and rows, and the command."""
    sql.execute(library.TABLES)
    sql.execute(library.ROWS)
    return lambda *args, **more: cli("projection", "init", *args, **more)


def written(done: CompletedProcess[str], folder: Path, index: str) -> Path:
    """What was printed, as a file, with an index of this test."""
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    file = folder / "printed.toml"
    text, changed = re.subn('\nindex = "[^"]*"', f'\nindex = "{index}"', done.stdout)
    assert changed == 1
    file.write_text(text, encoding="utf-8")
    return file


def applied(file: Path, cli: Cli) -> Any:
    """The first report of `plan`; then the file is applied, and nothing is left to do."""
    planned = cli("projection", "plan", str(file), "--json")
    assert planned.returncode == 4, planned.stderr
    cli.ok("projection", "apply", str(file), *WHO)
    assert cli("projection", "plan", str(file)).returncode == 0
    return json.loads(planned.stdout)["projections"][0]


def filled(cli: Cli, name: str) -> None:
    """Have every document in the index."""
    cli.ok("rebuild", "--projection", name, *WHO, "--yes")


def test_children_are_nested_and_their_changes_reach_the_document(
    init: Init, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, tmp_path: Path
) -> None:
    tables = ("lib.books", "lib.publishers", "lib.authors", "lib.ratings", LOANS, "lib.countries")
    file = written(init(*tables), tmp_path, f"{index}-book")
    applied(file, cli)
    sql.execute("UPDATE lib.books SET price = coalesce(price, 0) + 1")
    cli.ok("worker", "--drain")
    tea = {
        "isbn": "00-1",
        "title": "Tea",
        "tags": ["hot", "wet"],
        "doc": {"x": [{"y": 7}, 2], "a": {"b": "deep"}},
        "price": 10.5,
        "publisher_id": 1,
        "published": "2020-05-06T07:08:09+00:00",
        "publisher": {"id": 1, "name": "Reed & Co", "is_active": True},
        "ratings": {"id": 1, "value": 5},
        "Lo\"an'%s": [
            {"No": 1, "user": "dan", "due": None},
            {"No": 2, "user": "eve", "due": "2021-01-02"},
        ],
        "authors": [
            {
                **{"id": 1, "name": "Ann", "born": "1950-02-03", "country_id": 1},
                "country": {"id": 1, "name": "Wales"},
            },
            {"id": 2, "name": "Bob", "born": None, "country_id": None, "country": None},
        ],
    }
    documents = held(engine, f"{index}-book")
    assert documents["00-1"] == tea
    assert documents["00-2"]["authors"] == []
    sql.execute("UPDATE lib.countries SET name = 'Cymru'")
    sql.execute(
        f'UPDATE {LOANS.replace("%", "%%")} SET "user" = \'fay\' WHERE "No" = 1'.replace("%%", "%").encode()
    )
    sql.execute("DELETE FROM lib.book_author WHERE author_id = 2")
    cli.ok("worker", "--drain")
    changed = held(engine, f"{index}-book")["00-1"]
    assert [author["country"]["name"] for author in changed["authors"]] == ["Cymru"]
    assert changed["Lo\"an'%s"][0]["user"] == "fay"


def test_a_table_behind_a_table_that_only_links_is_what_is_offered(init: Init) -> None:
    offered = init("lib.books").stdout.partition("[projections.books]")[0]
    assert "lib.authors" in offered
    assert "lib.book_author" not in offered


def test_what_is_not_in_the_document_is_said(init: Init) -> None:
    printed = init("lib.books").stdout
    assert "# Left out: lib.books.cover" in printed
    assert "lib.publishers" in printed.partition("[projections.books]")[0]
    assert tomllib.loads(printed)["projections"]["books"]["key"] == "isbn"


def test_a_table_that_two_ways_lead_to_is_followed_by_that_of_the_document(
    init: Init, cli: Cli, sql: psycopg.Connection, index: str, tmp_path: Path
) -> None:
    sql.execute("ALTER TABLE lib.ratings ADD publisher_id int REFERENCES lib.publishers")
    tables = ("lib.books", "lib.publishers", "lib.ratings")
    planned = applied(written(init(*tables), tmp_path, f"{index}-b"), cli)
    follow = {each["table"]: each["key"] for each in planned["follow"]}
    assert follow["lib.ratings"] == ["isbn"]


def test_two_foreign_keys_to_one_table_are_two_objects(
    init: Init, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, tmp_path: Path
) -> None:
    sql.execute(
        "CREATE TABLE lib.moves (id int PRIMARY KEY, from_id int REFERENCES lib.publishers,"
        " to_id int REFERENCES lib.publishers); INSERT INTO lib.moves VALUES (1, 1, 2)"
    )
    applied(written(init("lib.moves", "lib.publishers"), tmp_path, f"{index}-m"), cli)
    filled(cli, "moves")
    document = held(engine, f"{index}-m")["1"]
    assert (document["from"]["name"], document["to"]["name"]) == ("Reed & Co", "Idle")
    sql.execute("UPDATE lib.publishers SET name = name || '!'")
    cli.ok("worker", "--drain")
    document = held(engine, f"{index}-m")["1"]
    assert (document["from"]["name"], document["to"]["name"]) == ("Reed & Co!", "Idle!")


BAD = {
    "no table": (("lib.bookz",), "there is no table lib.bookz"),
    "no name": (("lib.a b",), "not the name of a table"),
    "a view": (("lib.v",), "lib.v is a view"),
    "no primary key": (("lib.bare",), "lib.bare has no primary key"),
    "key of a type": (("lib.floats",), "'id' is pg_catalog.float8"),
    "not tied": (("lib.books", "lib.floats"), "no foreign key leads from lib.floats"),
    "twice": (("lib.books", "lib.books"), "lib.books is named twice"),
    "nothing": ((), "name either tables or --from-pgsync FILE"),
    "both": (("lib.books", "--from-pgsync", "x.json"), "name either tables or --from-pgsync FILE"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_and_nothing_is_printed(case: str, init: Init, sql: psycopg.Connection) -> None:
    sql.execute("CREATE VIEW lib.v AS SELECT 1 AS id; CREATE TABLE lib.bare (id int)")
    sql.execute("CREATE TABLE lib.floats (id float8 PRIMARY KEY)")
    args, said = BAD[case]
    done = init(*args)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert said in " ".join(done.stderr.split())


PAYMENTS = """
CREATE TABLE lib.fees (id int, isbn text, paid_on date, amount numeric, PRIMARY KEY (id, paid_on))
    PARTITION BY RANGE (paid_on);
CREATE TABLE lib.fees_2025 PARTITION OF lib.fees FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE lib.fees_2026 PARTITION OF lib.fees FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
ALTER TABLE lib.fees_2025 ADD FOREIGN KEY (isbn) REFERENCES lib.books;
ALTER TABLE lib.fees_2026 ADD FOREIGN KEY (isbn) REFERENCES lib.books;
"""


def test_a_partitioned_table_is_proposed_as_a_whole(
    init: Init, cli: Cli, sql: psycopg.Connection, engine: Elasticsearch, index: str, tmp_path: Path
) -> None:
    sql.execute(PAYMENTS.encode())
    offered = init("lib.books").stdout.partition("[projections.books]")[0]
    assert "lib.fees" in offered
    assert "lib.fees_20" not in offered
    file = written(init("lib.books", "lib.fees"), tmp_path, f"{index}-f")
    assert "[[projections" not in file.read_text(encoding="utf-8"), "its joins say what is followed"
    assert [each["table"] for each in applied(file, cli)["follow"]] == ["lib.fees"]
    sql.execute("INSERT INTO lib.fees_2026 VALUES (1, '00-1', '2026-03-04', 7)")
    cli.ok("worker", "--drain")
    (fee,) = held(engine, f"{index}-f")["00-1"]["fees"]
    assert fee["amount"] == 7
