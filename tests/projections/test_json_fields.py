"""Fields of objects that a view makes are found without a mapping file; those that are not are named."""

from typing import Any

import pytest
from elasticsearch import Elasticsearch

from projections.store import WHO, Store
from shop import held

REVIEWS = "FROM store.reviews r WHERE r.product_id = p.id"
NAMES = "FROM store.categories c"
# What a column of a view is, and the types of the fields in it.
KNOWN = [
    (
        f"(SELECT json_agg(json_build_object('s', r.stars, 'b', r.body) ORDER BY r.id) {REVIEWS})",
        "s integer, b text",
    ),
    (
        f"(SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_object('s', r.id)) FILTER (WHERE r.id > 1), '[]')"
        f" {REVIEWS})",
        "s integer",
    ),
    (f"(SELECT json_agg(r) {REVIEWS})", "id integer, product_id long, stars integer, body text"),
    (
        f"(SELECT jsonb_agg(x) FROM (SELECT r.stars, r.body AS said {REVIEWS} ORDER BY r.id LIMIT 3) x)",
        "stars integer, said text",
    ),
    (
        f"(SELECT to_jsonb(x) FROM (SELECT r.id, (SELECT json_agg(c.name) {NAMES}) AS names"
        f" {REVIEWS} LIMIT 1) x)",
        "id integer, names text",
    ),
    (
        f"(SELECT json_agg(json_build_object('n', x.n, 'most', (SELECT max(r.stars) {REVIEWS})))"
        f" FROM (SELECT count(*) AS n, r.body {REVIEWS} GROUP BY r.body) x)",
        "n long, most integer",
    ),
    (
        f"(WITH a AS (SELECT r.stars {REVIEWS}), b AS (SELECT json_build_object('x', a.stars) AS o FROM a)"
        " SELECT json_agg(b.o) FROM b)",
        "x integer",
    ),
    (
        "(SELECT json_agg(u) FROM (SELECT 1 AS a, 'x' AS b UNION ALL SELECT p.id::int, p.title) u)",
        "a integer, b text",
    ),
    ("json_build_object('a', json_build_object('b', jsonb_build_object('c', p.made)))", "a.b.c date"),
    (
        "jsonb_build_object('a', p.price) || jsonb_build_object('b', p.color, 'a', p.sold)",
        "a boolean, b keyword",
    ),
    (
        "CASE WHEN p.sold THEN json_build_object('a', 1) ELSE json_build_object('b', 'x') END",
        "a integer, b text",
    ),
    ("coalesce(to_jsonb(p.title), 'null')", " text"),
    ("jsonb_strip_nulls(jsonb_build_object('it''s \"A\"', p.sold, 'B', 1.5))", 'it\'s "A" boolean, B double'),
    (f"array_to_json(ARRAY(SELECT json_build_object('n', c.name) {NAMES}))", "n text"),
    (f"ARRAY(SELECT jsonb_build_object('n', c.name) {NAMES})", "n text"),
    ("jsonb_build_array(jsonb_build_object('a', 1), jsonb_build_object('b', true))", "a integer, b boolean"),
    ("ROW(1, ARRAY[ROW(2)::store.inner])::store.outer", "w integer, h.x double"),
    ("json_build_object('o', ROW(1, NULL)::store.outer, 'i', now())", "o.w integer, o.h.x double, i date"),
]
# What a column is, and what is said of what is in it.
UNKNOWN = [
    ("p.extra", "o: JSON has no mapping by itself"),
    (
        "json_build_object('a', p.extra, 'b', p.extra -> 'c')",
        "o.a, o.b: JSON has no mapping by itself",
    ),
    (f"(SELECT json_object_agg(c.name, c.id) {NAMES})", "o: its keys are values"),
    ("json_build_object(p.title, 1, 'a', 2)", "o: its keys are values"),
    ("row_to_json(ROW(1, p.title))", "o: JSON has no mapping by itself"),
    ("json_build_object(VARIADIC ARRAY['a', 'b'])", "o: its keys are values"),
    ("CASE WHEN p.sold THEN to_json(1) ELSE to_json(p.title) END", "o: its values are of several types"),
    (
        "CASE WHEN p.sold THEN to_json(1) ELSE json_build_object('a', 1) END",
        "o: its values are of several types",
    ),
    ("json_build_object('a.b', 1, '', 2, ' ', 3)", "o.a.b, o., o. : an index has no field of such a name"),
    ("jsonb_build_object('a', 1) || p.extra", "o: JSON has no mapping by itself"),
    ("(SELECT to_json(x) FROM generate_series(1, 2) x LIMIT 1)", ""),
]


def flat(properties: dict[str, Any], above: str = "") -> str:
    """The type of each field after its path."""
    return ", ".join(
        flat(each["properties"], f"{above}{name}.")
        if "properties" in each
        else f"{above}{name} {each['type']}"
        for name, each in properties.items()
    )


def looked(store: Store, column: str) -> tuple[str, list[str]]:
    """The types of the fields in a column of a query, and what is said of others."""
    store.sql.execute("CREATE TYPE store.inner AS (x numeric)")
    store.sql.execute("CREATE TYPE store.outer AS (w int, h store.inner[])")
    store.sql.execute("ALTER TABLE store.products ADD extra jsonb")
    store.query(f"SELECT p.id, {column} AS o FROM store.products p")
    store.write(after='\nignore = ["store.categories", "store.reviews"]')
    found = store.look()
    o = found.body["mappings"]["properties"].get("o", {})
    said = [each.text.removeprefix("no search finds what is in ") for each in found.notices]
    return flat(o.get("properties", {"": o} if o else {})), said


@pytest.mark.parametrize(("column", "wanted"), KNOWN)
def test_postgresql_says_the_types_of_what_is_in_an_object(store: Store, column: str, wanted: str) -> None:
    types, said = looked(store, column)
    assert types == wanted
    assert not [each for each in said if "now()" not in each]


@pytest.mark.parametrize(("column", "wanted"), UNKNOWN)
def test_fields_that_no_search_will_find_are_named(store: Store, column: str, wanted: str) -> None:
    assert looked(store, column)[1] == [wanted] * bool(wanted)


@pytest.mark.parametrize("skip", ["", "skip_unchanged = true"])
def test_a_search_finds_what_is_in_objects_and_in_documents_of_before(
    store: Store, engine: Elasticsearch, skip: str
) -> None:
    store.write(after=skip)
    store.sql.execute(
        'INSERT INTO store.products (id, tenant, "Odd ""%Name") SELECT n, n, n FROM generate_series(1, 2) n'
    )
    store.sql.execute("INSERT INTO store.reviews VALUES (1, 1, 5, 'Nothing sticks'), (2, 2, 1, 'It rusts')")
    store.apply()
    # As the version before has left it: an index without these fields, filled, and its declaration.
    whole = engine.indices.get(index=store.index)[f"{store.index}-000001"]
    properties = whole["mappings"]["properties"]
    assert properties.pop("reviews")["properties"]["stars"] == {"type": "integer"}
    engine.indices.delete(index=f"{store.index}-000001")
    aliases = {store.index: {"is_write_index": True}}
    mappings = {"dynamic": False, "properties": properties}
    engine.indices.create(index=f"{store.index}-000001", mappings=mappings, aliases=aliases)
    store.sql.execute("UPDATE outbox_projections SET definition = definition - 'objects'")
    store.cli.ok("worker", "--drain")

    assert store.what() == ["declaration", "documents", "mapping"]
    store.apply()
    store.cli.ok("worker", "--drain")
    assert store.what() == []
    engine.indices.refresh(index=store.index)
    for query, ids in (
        ({"match": {"reviews.body": "sticks"}}, ["1"]),
        ({"range": {"reviews.stars": {"lt": 2}}}, ["2"]),
    ):
        hits = engine.search(index=store.index, query=query)["hits"]["hits"]
        assert [each["_id"] for each in hits] == ids


def test_doctor_and_rebuild_have_the_same_mapping(store: Store, engine: Elasticsearch) -> None:
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    store.apply()
    store.cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    there = engine.indices.get_mapping(index=store.index)[f"{store.index}-000002"]["mappings"]["properties"]
    assert flat(there["reviews"]["properties"]) == "body text, stars integer"
    assert "mapping-differs" not in store.cli("doctor", "--json").stdout


def test_more_fields_than_an_index_takes_are_left_out_and_said(store: Store) -> None:
    fields = ", ".join(f"'f{n}', {n}" for n in range(25))
    many = ", ".join(f"'o{n}', jsonb_build_object({fields})" for n in range(40))
    store.query(f"SELECT p.id, jsonb_build_object({many}) AS o FROM store.products p")
    store.apply()
    warning = next(each["text"] for each in store.plan()["warnings"])
    assert warning == (
        "no search finds what is in o: an index with them has 1,042 fields, and"
        " index.mapping.total_fields.limit in `settings` is lower"
    )


def test_a_name_that_another_makes_an_object_has_no_field(store: Store) -> None:
    fields, unknown = looked(store, "json_build_object('a', 1, 'a.b', 2, 'c', 3)")
    assert (fields, unknown[0].partition(":")[0]) == ("c integer", "o.a")


@pytest.mark.real_engine
def test_values_that_a_derived_field_does_not_take_are_delivered(store: Store, engine: Elasticsearch) -> None:
    store.sql.execute(
        """CREATE TYPE store.span AS (until date, share float8);
        CREATE TABLE store.things (n int PRIMARY KEY, until timestamptz, amount numeric);
        INSERT INTO store.things VALUES (1, 'infinity', 1), (2, '0044-03-15 BC', 1), (3, '2020-01-01', 'NaN'),
            (4, '12345-01-01', power(10::numeric, 400)), (5, '2020-01-01', 7);
        DROP VIEW store.documents;
        CREATE VIEW store.documents AS SELECT t.n, json_build_object('until', t.until, 'amount', t.amount,
            'dates', ARRAY[t.until::date], 'a', 1, 'a.b', 2, 'row', ROW(t.until, 'Infinity')::store.span) AS o
        FROM store.things t"""
    )
    store.write('root = "store.products"\nkey = "id"', 'root = "store.things"\nkey = "n"')
    store.apply()
    assert store.cli("worker", "--drain").returncode == 0
    assert held(engine, store.index).keys() == {"1", "2", "3", "4", "5"}
    found = engine.search(index=store.index, query={"term": {"o.amount": 7}})["hits"]["hits"]
    assert [hit["_id"] for hit in found] == ["5"]
