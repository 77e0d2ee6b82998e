"""`projection plan`, `sql` and `apply` name what is wrong with the file and the place, and change nothing."""

from pathlib import Path

import psycopg
import pytest
from elasticsearch import Elasticsearch

from processes import Cli
from projections.store import FILE, QUERY, WHO, Store

FOLLOW = """
[[projections.product.follow]]
table = "store.reviews"
"""
JOINED = "SELECT p.id, c.rate FROM store.products p CROSS JOIN store.currencies c"
# What is replaced in the file, by what, and what is said.
REPLACED = [
    ('"store.products"', '"store.product"', "root: there is no table store.product"),
    ('"store.documents"', '"store.docs"', "document: there is no table or view store.docs"),
    ('"id"', '"idd"', "key: store.products has no column 'idd'; did you mean id?"),
    ('"id"', "'Odd \"%Name'", "key: store.documents has no column"),
    ('"id"', '"tenant"', "key: 'tenant' is not unique in store.products"),
]
OBJECT = '{"mappings": {"properties": {"title": {"properties": {}}}}}'
# What is added, and what is said.
ADDED = {
    'routing = "tenants"\n': "routing: store.documents has no column 'tenants'",
    'version = "titel"\n': "version: store.documents has no column 'titel'; did you mean title?",
    'version = "v"\n': "version: store.documents has no column 'v'; it grows with each change",
    'version = "price"\n': "version: 'price' is pg_catalog.numeric in store.documents; it grows with",
    'events = "none"\n': "events: 'none' is none of triggers, application",
    'events = "application"\n' + FOLLOW: 'follow: with events = "application" no table has triggers',
    'ignore = ["store.nothing"]\n': "ignore: there is no table store.nothing",
    f"mapping = '''\n{OBJECT}\n'''\n": "properties.title: it is an object, and text in the document",
    FOLLOW.replace("reviews", "revews") + 'key = "id"': "follow[1].table: there is no table",
    FOLLOW + 'key = "product"': "follow[1].key: store.reviews has no column 'product'",
    FOLLOW + 'key = "body"': "follow[1].key: 'body' is pg_catalog.text",
    FOLLOW
    + 'key = "product_id"\ncolumns = ["star"]': "follow[1].columns: store.reviews has no column 'star'; did",
}
KEYS = {
    "SELEC 1 WHERE :id = 1": "syntax error",
    "SELECT id FROM products WHERE id = :id": "",
    "SELECT id FROM store.products WHERE id = :star": "store.reviews has no column 'star'",
    "SELECT id FROM store.products": "it has no parameter",
    "SELECT title FROM store.products WHERE id = :product_id": "it returns pg_catalog.text",
    "SELECT id FROM store.products WHERE id = :id; DROP TABLE store.reviews": "syntax error",
    "DELETE FROM store.products WHERE id = :product_id RETURNING id": "syntax error",
}
QUERIES = {
    "SELEC\nid": "query: syntax error",
    "SELECT id FROM store.products;\nDROP TABLE store.reviews": "query: cannot insert multiple commands",
    "SELECT id\nFROM products": "did you mean store.products?",
    "SELECT id, 'red'::color AS color FROM store.products": "did you mean store.color?",
    "SELECT p.id, p.titel\nFROM store.products p": 'Perhaps you meant to reference the column "p.title".',
    JOINED: "nothing follows it: no equality of columns joins it with store.products",
    "SELECT id::text AS id\nFROM store.products": "in store.products and pg_catalog.text in the document",
}


def test_no_table_is_left_out_of_a_plan_that_is_written_to_a_file(store: Store) -> None:
    names = [f"a_table_whose_name_has_about_forty_letters_{n}" for n in range(20)]
    for name in names:
        store.sql.execute(f"CREATE TABLE store.{name} (id int PRIMARY KEY, product_id bigint)".encode())
    counts = [f"(SELECT count(*) FROM store.{name} x WHERE x.product_id = p.id) AS {name}" for name in names]
    store.query(f"SELECT p.id, {', '.join(counts)} FROM store.products p")
    (line,) = [line for line in store("plan").stdout.splitlines() if line.startswith("  triggers: on")]
    assert [name for name in names if f"store.{name}" not in line] == []


def test_what_is_wrong_and_where(store: Store) -> None:
    cases = [*REPLACED, *(("", new, said) for new, said in ADDED.items())]
    cases += [("", f'{FOLLOW}keys = "{sql}"', f"follow[1].keys: {said}") for sql, said in KEYS.items()]
    document = 'document = "store.documents"'
    cases += [(document, f"query = '''\n{sql}'''", said) for sql, said in QUERIES.items()]
    text, unsaid = store.file.read_text(encoding="utf-8"), {}
    for old, new, said in cases:
        store.write(old, new) if old else store.write(after=new)
        refusal = store.refusal()
        if said not in refusal or "store.toml: [projections.product]" not in refusal:
            unsaid[new] = refusal
        store.file.write_text(text, encoding="utf-8")
    assert unsaid == {}
    assert store.sql.execute("SELECT count(*) FROM store.reviews").fetchone() == (0,)


def test_nothing_of_a_file_that_is_wrong_is_applied(store: Store) -> None:
    store.write('"id"', '"idd"')
    before = store.facts()
    done = store("apply", *WHO)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "store.toml: [projections.product] key: store.products has no column 'idd'" in done.stderr
    assert store.facts() == before


NO_KEYS = {
    "ratio": "'ratio' is pg_catalog.float8; a key is of type uuid",
    "moment": "'moment' is pg_catalog.timestamptz",
    "maybe": "'maybe' can be NULL",
    "fold": "has a collation in which different texts are equal",
    "many": "'many' is pg_catalog.int4[]",
}
KEY_TYPES = ("uuid", "smallint", "integer", "numeric", "varchar(20)", "char(9)", "date", "store.color")


def test_types_that_are_keys_and_types_that_are_none(store: Store) -> None:
    # `fold` is as a collation of ICU would be: not every build has that.
    store.sql.execute(
        "CREATE COLLATION store.fold (locale = 'C');"
        " ALTER TABLE store.products ADD many int[] NOT NULL UNIQUE,"
        " ADD fold text COLLATE store.fold NOT NULL UNIQUE DEFAULT '';"
        "UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'fold'"
    )
    store.write('"store.documents"', '"store.products"')
    for column, said in NO_KEYS.items():
        store.write('key = "id"', f'key = "{column}"')
        refusal = store.refusal()
        assert "[projections.product] key: " in refusal
        assert said in refusal
        store.write(f'key = "{column}"', 'key = "id"')
    store.write('"store.products"', '"store.things"')
    for kind in KEY_TYPES:
        store.sql.execute(f"CREATE TABLE store.things (id {kind} PRIMARY KEY, name text)".encode())
        assert store.look().notices == []
        store.sql.execute("DROP TABLE store.things")


def test_names_with_quotes_and_capitals(store: Store) -> None:
    store.sql.execute('CREATE SCHEMA "My ""%Shop"')
    store.sql.execute('CREATE TABLE "My ""%Shop"."Thin\'gs" ("Ke:y%s" int PRIMARY KEY, "a""b" text)')
    store.sql.execute(
        'CREATE TABLE "My ""%Shop"."Pa%rts"'
        ' (id int PRIMARY KEY, "Of It" int REFERENCES "My ""%Shop"."Thin\'gs")'
    )
    store.sql.execute(
        'CREATE VIEW "My ""%Shop"."Docs" AS SELECT "Ke:y%s", "a""b",'
        ' (SELECT count(*) FROM "My ""%Shop"."Pa%rts" WHERE "Of It" = "Ke:y%s") AS n'
        ' FROM "My ""%Shop"."Thin\'gs"'
    )
    name = "'''\"My \"\"%Shop\".\"Thin'gs\"'''"
    store.write('"store.products"', name)
    store.write('"store.documents"', '\'"My ""%Shop"."Docs"\'')
    store.write('"id"', '"Ke:y%s"')
    assert [each.key for each in store.follows().values()] == [("Of It",)]
    store.apply()
    assert store.what() == []
    store.sql.execute('INSERT INTO "My ""%Shop"."Thin\'gs" VALUES (7)')
    store.sql.execute('INSERT INTO "My ""%Shop"."Pa%rts" VALUES (1, 7)')
    assert store.events() == [("product", "7", None)] * 2


def test_a_table_that_is_ignored_or_named_is_no_error(store: Store) -> None:
    store.query(JOINED)
    store.write(after='ignore = ["store.currencies"]\n')
    assert store.follows() == {}
    store.write('ignore = ["store.currencies"]\n')
    store.write(
        after='[[projections.product.follow]]\ntable = "store.currencies"\n'
        'keys = "SELECT id FROM store.products WHERE tenant = :code"\n'
    )
    planned = store.look()
    assert [str(each.table) for each in planned.projection.follow] == ["store.currencies"]
    assert "reads all of store.products" in " ".join(each.text for each in planned.notices)
    store.sql.execute("CREATE INDEX ON store.products (tenant)")
    assert "reads all of" not in " ".join(each.text for each in store.look().notices)


def test_only_the_triggers_that_change_are_named(store: Store) -> None:
    store.write('document = "store.documents"', QUERY)
    store.apply()
    store.write("p.title, ", "p.title, p.price, ")
    (step,) = [each["text"] for each in store.plan()["steps"] if each["what"] == "triggers"]
    assert step == "on store.products"


def test_what_a_view_cannot_promise(store: Store) -> None:
    store.query("SELECT id, now() AS at, random() AS r FROM store.products")
    (warning,) = [each.text for each in store.look().notices]
    assert "now()" in warning
    assert "random()" in warning


def test_a_child_without_an_index(store: Store) -> None:
    assert store.plan()["warnings"] == []
    store.sql.execute("DROP INDEX store.reviews_product_id_idx")
    assert "CREATE INDEX CONCURRENTLY ON store.reviews (product_id)" in {
        sql for each in store.plan()["warnings"] for sql in each["sql"]
    }


def test_a_view_of_that_name_that_is_not_ours_is_not_replaced(store: Store) -> None:
    store.sql.execute("CREATE VIEW outbox_document_product AS SELECT 1 AS mine")
    store.write('document = "store.documents"', QUERY)
    done = store("apply", *WHO)
    assert done.returncode == 2
    assert "public.outbox_document_product is there already" in done.stderr
    store.write(QUERY, 'document = "outbox_document_product"')
    done = store("apply", *WHO)
    assert done.returncode == 2
    assert "public.outbox_document_product is the name of the view that `query` makes" in done.stderr
    assert store.sql.execute("SELECT mine FROM outbox_document_product").fetchone() == (1,)


def test_a_schema_that_is_behind(empty_url: str, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "store.toml"
    file.write_text(FILE.format(index="products"))
    cli.ok("db", "upgrade", env={"DATABASE_URL": empty_url})
    with psycopg.connect(empty_url, autocommit=True) as sql:
        sql.execute("UPDATE outboxctl_alembic_version SET version_num = '0001_outbox'")
    done = cli("projection", "plan", str(file), env={"DATABASE_URL": empty_url})
    assert done.returncode == 2
    assert "db upgrade" in done.stderr


@pytest.mark.real_engine
def test_two_projections_of_one_index_behind_an_alias(store: Store, engine: Elasticsearch) -> None:
    store.apply()
    concrete, other = f"{store.index}-000001", f"{store.index}-other"
    engine.indices.put_alias(index=concrete, name=other)
    mine = f'index = "{store.index}"'
    store.write("[projections.product]", "[projections.second]")
    for name in (store.index, concrete, other):
        store.write(mine, f'index = "{name}"')
        for command in (("plan",), ("apply", *WHO)):
            done = store(*command)
            assert done.returncode == 2, done
            leads = f" leads to {concrete}, which" if name != store.index else ""
            assert f"[projections.second] index: {name}{leads} is the index of product already" in done.stderr
        store.write(f'index = "{name}"', mine)
    assert store.facts()[0], "product is in force"
    assert "second" not in str(store.facts()[0])


@pytest.mark.real_engine
def test_the_index_of_search_index_behind_an_alias(store: Store, engine: Elasticsearch) -> None:
    built_in = store.cli.env["ELASTIC_INDEX"]
    engine.indices.create(index=f"{store.index}-000001", aliases={built_in: {}, store.index: {}})
    try:
        for name in (built_in, store.index):
            store.write(f'index = "{store.index}"', f'index = "{name}"')
            done = store("plan")
            assert done.returncode == 2
            assert "the index of the built-in projection (ELASTIC_INDEX) already" in done.stderr
            store.write(f'index = "{name}"', f'index = "{store.index}"')
    finally:
        engine.indices.delete(index=f"{store.index}-000001")


def test_a_view_that_has_several_rows_for_a_key_is_refused_where_its_text_does_not_show_it(
    store: Store,
) -> None:
    query = "SELECT p.id, g AS n FROM store.products p, generate_series(1, p.maybe) g"
    store.write('document = "store.documents"', f'query = """{query}"""')
    rows = 'INSERT INTO store.products (id, tenant, maybe, "Odd ""%Name") SELECT n, \'t\', -n, n FROM'
    store.sql.execute(f"{rows} generate_series(1, 3) n".encode())
    assert store("plan").returncode == 4
    store.sql.execute("UPDATE store.products SET maybe = 2 WHERE id = 2")
    for command in (("plan",), ("apply", *WHO)):
        done = store(*command)
        assert done.returncode == 2, done
        assert "[projections.product] query: it has more than one row for the key '2'" in done.stderr
    assert store.facts()[0] == []


def test_of_a_large_view_the_first_keys_are_looked_at(store: Store) -> None:
    """All of it takes too long: each row beyond the first thousand takes a tenth of a second."""
    query = "SELECT p.id, g AS n FROM store.products p, generate_series(1, 1 + (p.id = 7)::int) g,"
    query += " LATERAL (SELECT pg_sleep(0.1 * (p.id > 1000)::int)) s"
    store.write('document = "store.documents"', f'query = """{query}"""')
    rows = 'INSERT INTO store.products (id, tenant, "Odd ""%Name") SELECT n, \'t\', n FROM'
    store.sql.execute(f"{rows} generate_series(1, 1100) n".encode())
    assert "it has more than one row for the key '7'" in store("plan").stderr
