"""A library in the style of pgsync's example, with names that need quotes, and its schema file."""

from typing import Any

TABLES = """
CREATE SCHEMA lib;
CREATE TABLE lib.publishers (id int PRIMARY KEY, name text NOT NULL, is_active boolean);
CREATE TABLE lib.countries (id int PRIMARY KEY, name text);
CREATE TABLE lib.authors (
    id int PRIMARY KEY, name text, born date, country_id int REFERENCES lib.countries
);
CREATE TABLE lib.languages (id int PRIMARY KEY, code text);
CREATE TABLE lib.books (
    isbn text PRIMARY KEY, title text NOT NULL, tags text[], doc jsonb, price numeric(8, 2), cover bytea,
    publisher_id int REFERENCES lib.publishers, published timestamptz
);
CREATE TABLE lib.book_author (
    isbn text REFERENCES lib.books ON DELETE CASCADE, author_id int REFERENCES lib.authors ON DELETE CASCADE,
    PRIMARY KEY (isbn, author_id)
);
CREATE TABLE lib.book_language (
    id int PRIMARY KEY, isbn text REFERENCES lib.books, language_id int REFERENCES lib.languages
);
CREATE TABLE lib.ratings (id int PRIMARY KEY, isbn text UNIQUE REFERENCES lib.books, value int);
CREATE TABLE lib."Lo""an'%s" (
    "No" int PRIMARY KEY, "Of Book" text REFERENCES lib.books, "user" text, due date
);
CREATE INDEX ON lib.books (publisher_id);
CREATE INDEX ON lib.authors (country_id);
CREATE INDEX ON lib.book_author (author_id);
CREATE INDEX ON lib.book_language (isbn);
CREATE INDEX ON lib.book_language (language_id);
CREATE INDEX ON lib."Lo""an'%s" ("Of Book");
"""
ROWS = """
INSERT INTO lib.publishers VALUES (1, 'Reed & Co', true), (2, 'Idle', false);
INSERT INTO lib.countries VALUES (1, 'Wales');
INSERT INTO lib.authors VALUES (1, 'Ann', '1950-02-03', 1), (2, 'Bob', NULL, NULL);
INSERT INTO lib.languages VALUES (1, 'en-GB'), (2, 'cy');
INSERT INTO lib.books VALUES
    ('00-1', 'Tea', '{hot,wet}', '{"x": [{"y": 7}, 2], "a": {"b": "deep"}}', 9.5, '\\x00', 1,
        '2020-05-06T07:08:09Z'),
    ('00-2', 'Salt', NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO lib.book_author VALUES ('00-1', 2), ('00-1', 1);
INSERT INTO lib.book_language VALUES (1, '00-1', 2), (2, '00-1', 1);
INSERT INTO lib.ratings VALUES (1, '00-1', 5);
INSERT INTO lib."Lo""an'%s" VALUES (2, '00-1', 'eve', '2021-01-02'), (1, '00-1', 'dan', NULL);
"""


def node(table: str, *columns: str, label: str = "", **more: Any) -> dict[str, Any]:
    """A node of the schema file."""
    named = {"label": label} if label else {}
    return {"table": table, "schema": "lib", "columns": list(columns), **named, **more}


def relation(kind: str, variant: str = "object", **more: Any) -> dict[str, Any]:
    """How a node is tied to the one above."""
    return {"relationship": {"type": kind, "variant": variant, **more}}


def schema(index: str) -> list[dict[str, Any]]:
    """The schema file."""
    publisher = node(
        "publishers",
        "id",
        "name",
        "is_active",
        label="publisher",
        **relation("one_to_one", foreign_key={"child": ["id"], "parent": ["publisher_id"]}),
        transform={
            "rename": {"id": "publisher_id"},
            "concat": {
                "columns": ["publisher_id", "name", "is_active", "end"],
                "destination": "all",
                "delimiter": "-",
            },
            "move": {"column": "id"},
        },
    )
    country = node("countries", "name", label="country", **relation("one_to_one"))
    authors = node(
        "authors",
        "id",
        "name",
        "born",
        label="authors",
        **relation("one_to_many", through_tables=["book_author"]),
        children=[country],
    )
    languages = node(
        "languages",
        "code",
        label="languages",
        **relation("one_to_many", "scalar", through_tables=["lib.book_language"]),
    )
    links = node("book_language", "language_id", label="links", **relation("one_to_many"))
    rating = node("ratings", "value", label="rating", **relation("one_to_one"))
    books = node(
        "books",
        *("isbn", "title", "tags", "doc->x->0->y", "doc#>>{a,b}", "published"),
        children=[publisher, authors, languages, links, rating],
        transform={
            "replace": {"title": {"T": "S"}},
            "rename": {"isbn": "book_isbn"},
            "mapping": {"title": {"type": "keyword"}},
        },
    )
    return [
        {
            "database": "library",
            "index": index,
            "routing": "book_isbn",
            "plugins": ["Hero"],
            "setting": {"number_of_replicas": 0},
            "mapping": {"authors": {"type": "nested"}},
            "nodes": books,
        }
    ]


# What pgsync's nesting gives, and the key, which is a column of the document here.
TEA = {
    "isbn": "00-1",
    "book_isbn": "00-1",
    "title": "Sea",
    "tags": ["hot", "wet"],
    "doc_x_0_y": 7,
    "doc_a,b": "deep",
    "published": "2020-05-06T07:08:09+00:00",
    "publisher": {"publisher_id": 1, "name": "Reed & Co", "is_active": True, "all": "1-Reed & Co-True-end"},
    "authors": [
        {"id": 1, "name": "Ann", "born": "1950-02-03", "country": {"name": "Wales"}},
        {"id": 2, "name": "Bob", "born": None, "country": None},
    ],
    "languages": ["en-GB", "cy"],
    "links": [{"language_id": 2}, {"language_id": 1}],
    "rating": {"value": 5},
}
SALT = dict.fromkeys(TEA) | {"isbn": "00-2", "book_isbn": "00-2", "title": "Salt"}
