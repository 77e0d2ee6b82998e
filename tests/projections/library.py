"""A library in the style of pgsync's example, with names that need quotes."""

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
