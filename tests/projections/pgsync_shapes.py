"""Shapes of schema files as pgsync's examples have them, on tables of our own, each with a SELECT by hand.

The SELECT is what a file says, written without the converter: its arrays are in the order of the key, and it
names the table whose rows are documents `d`.
"""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """One document of a schema file; `select` has the columns `id` and `doc`."""

    name: str
    nodes: Json
    tables: str
    rows: str
    changes: str
    select: str


def node(schema: str, table: str, *columns: str, **more: Any) -> Json:
    """A node; without columns the list is empty, which is all of them."""
    return {"schema": schema, "table": table, "columns": list(columns), **more}


def tie(kind: str, variant: str = "object", **more: Any) -> Json:
    """How a node is tied to the one above."""
    return {"relationship": {"type": kind, "variant": variant, **more}}


ONE, MANY = "one_to_one", "one_to_many"
QUIZ = Shape(
    "quiz",
    node(
        *("quiz", "question", "uid", "text"),
        children=[
            node("quiz", "answer", "id", "text", label="possible", **tie(MANY, through_tables=["possible"])),
            node("quiz", "answer", "id", "text", label="right", **tie(ONE, through_tables=["right"])),
        ],
    ),
    """
CREATE SCHEMA quiz;
CREATE TABLE quiz.question (uid text, id int, text text, PRIMARY KEY (uid, id));
CREATE TABLE quiz.answer (uid text, id int, text text, PRIMARY KEY (uid, id));
CREATE TABLE quiz.possible (q_uid text, q_id int, a_uid text, a_id int,
    FOREIGN KEY (q_uid, q_id) REFERENCES quiz.question, FOREIGN KEY (a_uid, a_id) REFERENCES quiz.answer);
CREATE TABLE quiz."right" (LIKE quiz.possible,
    FOREIGN KEY (q_uid, q_id) REFERENCES quiz.question, FOREIGN KEY (a_uid, a_id) REFERENCES quiz.answer);
""",
    """
INSERT INTO quiz.question VALUES ('q', 1, 'Red?'), ('q', 2, 'Wet?');
INSERT INTO quiz.answer VALUES ('a', 1, 'yes'), ('a', 2, 'no'), ('a', 3, 'at times');
INSERT INTO quiz.possible VALUES ('q', 1, 'a', 1), ('q', 1, 'a', 2), ('q', 2, 'a', 3);
INSERT INTO quiz."right" VALUES ('q', 1, 'a', 2), ('q', 1, 'a', 1);
""",
    """
UPDATE quiz.answer SET text = 'never' WHERE id = 2; INSERT INTO quiz."right" VALUES ('q', 2, 'a', 3);
DELETE FROM quiz.possible WHERE a_id = 3;
""",
    """
SELECT d.id || ':' || d.uid AS id, to_jsonb(d) || jsonb_build_object(
    'possible', (SELECT jsonb_agg(to_jsonb(a) - 'uid' ORDER BY a.id)
        FROM quiz.answer a JOIN quiz.possible l ON (l.a_uid, l.a_id) = (a.uid, a.id)
        WHERE (l.q_uid, l.q_id) = (d.uid, d.id)),
    'right', (SELECT jsonb_agg(to_jsonb(a) - 'uid' ORDER BY a.id)
        FROM quiz.answer a JOIN quiz."right" l ON (l.a_uid, l.a_id) = (a.uid, a.id)
        WHERE (l.q_uid, l.q_id) = (d.uid, d.id))) AS doc
FROM quiz.question d
""",
)
FILMS = Shape(
    "films",
    node(
        *("films", "film", "id", "title", "rate", "words"),
        children=[
            node("films", "language", "name", **tie(MANY)),
            node("films", "genre", "name", **tie(MANY, "scalar", through_tables=["film_genre"])),
            node(
                *("films", "copy", "store_id"),
                label="copies",
                **tie(MANY),
                children=[
                    node(
                        *("films", "clerk", "name"),
                        **tie(
                            MANY,
                            through_tables=["rental"],
                            foreign_key={"child": ["clerk_id"], "parent": ["id"]},
                        ),
                        children=[node("films", "address", "street", **tie(MANY, through_tables=["shop"]))],
                    ),
                    node(
                        *("films", "payment", "amount", "at"),
                        **tie(ONE, through_tables=["rental"]),
                        children=[node("films", "customer", "name", **tie(MANY))],
                    ),
                ],
            ),
        ],
    ),
    """
CREATE SCHEMA films;
CREATE TABLE films.language (id int PRIMARY KEY, name char(5));
CREATE TABLE films.film (id int PRIMARY KEY, title text, rate numeric(6, 2), words tsvector,
    language_id int REFERENCES films.language);
CREATE TABLE films.genre (id int PRIMARY KEY, name text);
CREATE TABLE films.film_genre (film_id int REFERENCES films.film, genre_id int REFERENCES films.genre);
CREATE TABLE films.copy (id int PRIMARY KEY, film_id int REFERENCES films.film, store_id int);
CREATE TABLE films.address (id int PRIMARY KEY, street text);
CREATE TABLE films.clerk (id int PRIMARY KEY, name text);
CREATE TABLE films.shop (id int PRIMARY KEY, manager_id int REFERENCES films.clerk,
    address_id int REFERENCES films.address);
CREATE TABLE films.customer (id int PRIMARY KEY, name text);
CREATE TABLE films.rental (id int PRIMARY KEY, copy_id int REFERENCES films.copy,
    clerk_id int REFERENCES films.clerk, checked_by int REFERENCES films.clerk);
CREATE TABLE films.payment (id int PRIMARY KEY, rental_id int REFERENCES films.rental,
    customer_id int REFERENCES films.customer, amount numeric(6, 2), at timestamp);
""",
    """
INSERT INTO films.language VALUES (1, 'en'), (2, 'cy');
INSERT INTO films.film VALUES (1, 'One', 4.90, 'a:1', 1), (2, 'Two', 5, NULL, 2),
    (3, 'Three', NULL, NULL, NULL);
INSERT INTO films.genre VALUES (1, 'war'), (2, 'peace'); INSERT INTO films.film_genre VALUES (1, 2), (1, 1);
INSERT INTO films.copy VALUES (1, 1, 1), (2, 1, 2), (3, 2, 1); INSERT INTO films.address VALUES (1, 'A St');
INSERT INTO films.clerk VALUES (1, 'Al'), (2, 'Bo'); INSERT INTO films.shop VALUES (1, 1, 1);
INSERT INTO films.customer VALUES (1, 'Cy');
INSERT INTO films.rental VALUES (1, 1, 1, 2), (2, 1, 2, 1), (3, 3, 2, 2);
INSERT INTO films.payment VALUES (1, 1, 1, 2.50, '2020-01-01'), (2, 1, NULL, 3, NULL), (3, 2, 1, 0, NULL);
""",
    """
UPDATE films.rental SET checked_by = NULL; UPDATE films.rental SET clerk_id = 1 WHERE id = 3;
UPDATE films.shop SET manager_id = 2; UPDATE films.customer SET name = 'Di'; DELETE FROM films.film_genre;
INSERT INTO films.payment VALUES (4, 3, 1, 9.99, '2021-01-01');
UPDATE films.language SET name = 'de' WHERE id = 1;
""",
    """
SELECT d.id, to_jsonb(d) - 'language_id' || jsonb_build_object(
    'language', (SELECT jsonb_agg(jsonb_build_object('name', l.name)) FROM films.language l
        WHERE l.id = d.language_id),
    'genre', (SELECT jsonb_agg(g.name ORDER BY g.id) FROM films.genre g
        JOIN films.film_genre l ON l.genre_id = g.id WHERE l.film_id = d.id),
    'copies', (SELECT jsonb_agg(jsonb_build_object('store_id', c.store_id,
            'clerk', (SELECT jsonb_agg(jsonb_build_object('name', k.name, 'address', (
                        SELECT jsonb_agg(jsonb_build_object('street', a.street) ORDER BY a.id)
                        FROM films.address a JOIN films.shop s ON s.address_id = a.id
                        WHERE s.manager_id = k.id))
                    ORDER BY k.id)
                FROM films.clerk k JOIN films.rental r ON r.clerk_id = k.id WHERE r.copy_id = c.id),
            'payment', (SELECT jsonb_agg(jsonb_build_object('amount', p.amount, 'at', p.at, 'customer', (
                        SELECT jsonb_agg(jsonb_build_object('name', u.name)) FROM films.customer u
                        WHERE u.id = p.customer_id)) ORDER BY p.id)
                FROM films.payment p JOIN films.rental r ON r.id = p.rental_id WHERE r.copy_id = c.id))
            ORDER BY c.id)
        FROM films.copy c WHERE c.film_id = d.id)) AS doc
FROM films.film d
""",
)
SPECIES = Shape(
    "species",
    node(
        *("species", "kind", "id", "name"),
        children=[
            node(
                *("species", "unit", "name"),
                label="units",
                **tie(MANY, foreign_key={"child": ["kind_id"], "parent": ["id"]}),
            ),
            node("species", "group", "name", **tie(MANY, through_tables=["kind_group"])),
            node("species", "kind", "name", label="parts", **tie(MANY)),
        ],
    ),
    """
CREATE SCHEMA species;
CREATE TABLE species.kind (id int PRIMARY KEY, name text, whole_id int REFERENCES species.kind);
CREATE TABLE species.unit (id int PRIMARY KEY, name text, kind_id int);
CREATE INDEX ON species.unit (kind_id);
CREATE TABLE species."group" (id int PRIMARY KEY, name text);
CREATE TABLE species.kind_group (kind_id int REFERENCES species.kind,
    group_id int REFERENCES species."group");
""",
    """
INSERT INTO species.kind VALUES (1, 'whole', NULL), (2, 'part', 1), (3, 'piece', 2);
INSERT INTO species.unit VALUES (1, 'u', 1), (2, 'v', 9); INSERT INTO species."group" VALUES (1, 'g');
INSERT INTO species.kind_group VALUES (2, 1);
""",
    """
UPDATE species.unit SET kind_id = 2 WHERE id = 2; UPDATE species.kind SET name = 'bit' WHERE id = 3;
UPDATE species."group" SET name = 'h'; UPDATE species.kind SET whole_id = 1 WHERE id = 3;
""",
    """
SELECT d.id, jsonb_build_object('id', d.id, 'name', d.name,
    'units', (SELECT jsonb_agg(jsonb_build_object('name', u.name) ORDER BY u.id) FROM species.unit u
        WHERE u.kind_id = d.id),
    'group', (SELECT jsonb_agg(jsonb_build_object('name', g.name) ORDER BY g.id)
        FROM species."group" g JOIN species.kind_group l ON l.group_id = g.id WHERE l.kind_id = d.id),
    'parts', (SELECT jsonb_agg(jsonb_build_object('name', p.name) ORDER BY p.id) FROM species.kind p
        WHERE p.whole_id = d.id)) AS doc
FROM species.kind d
""",
)
SHAPES = (QUIZ, FILMS, SPECIES)
