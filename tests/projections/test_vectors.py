"""Columns of pgvector are arrays of numbers in documents, in fields that a vector search finds."""

from random import Random
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.projections.fields import Field
from outboxctl.operations.projection.mapping import body
from outboxctl.sink.engines import ELASTICSEARCH, KNN, OPENSEARCH, Identity
from projections.store import WHO, Store

ODD = "Odd \"%s {}' \\"  # a column's name
TABLES = """
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE store.items (id int PRIMARY KEY, name text, embedding vector(3), "Odd ""%%s {{}}' \\" halfvec(2),
    loose vector, sparse sparsevec(5), several vector(3)[], extra json);
"""
FILE = """
[projections.item]
root = "store.items"
key = "id"
query = "SELECT * FROM store.items"
index = "{}"
"""


@pytest.fixture
def items(store: Store) -> Store:
    """Items with vectors, and the projection of them."""
    if not store.sql.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'").fetchone():
        pytest.skip("this PostgreSQL has no pgvector")
    store.sql.execute(TABLES.replace("%%", "%").replace("{{}}", "{}").encode())
    store.file.write_text(FILE.format(store.index), encoding="utf-8")
    return store


def documents(engine: Elasticsearch, index: str) -> dict[int, Any]:
    """The documents of an index by their id."""
    engine.indices.refresh(index=index)
    hits = engine.search(index=index, size=1000)["hits"]["hits"]
    return {int(each["_id"]): each["_source"] for each in hits}


def test_the_mapping_has_the_dimensions_and_what_has_none_is_said(items: Store) -> None:
    items.sql.execute("CREATE DOMAIN store.point AS vector(4)")
    items.write(
        "SELECT * FROM", "SELECT *, NULL::store.point AS point, json_build_object('v', embedding) AS o FROM"
    )
    found = items.look()
    fields = found.body["mappings"]["properties"]
    dims = {name: each["dims"] for name, each in fields.items() if each["type"] == "dense_vector"}
    assert dims == {"embedding": 3, ODD: 2, "point": 4}
    assert not {"loose", "o"} & fields.keys()
    assert [each.text.removeprefix("no search finds what is in ") for each in found.notices] == [
        "loose: its type does not say how many dimensions it has, as vector(768) does",
        "sparse: a sparsevec is sent as a text",
        "extra: JSON has no mapping by itself",
        "o.v: in an object a vector is a text: cast it, COLUMN::real[], and declare its field with its"
        " dimensions",
    ]


@pytest.mark.real_engine
def test_random_writes_arrive_as_numbers_and_the_nearest_is_found(
    items: Store, engine: Elasticsearch
) -> None:
    rng = Random(8)
    items.apply()
    for _ in range(4):
        for n in rng.sample(range(60), 30):
            write(items.sql, rng, n)
        items.cli.ok("worker", "--drain")
    rows = items.sql.execute(
        'SELECT id, name, embedding::real[], "Odd ""%%s {}\' \\"::real[], extra FROM store.items', ()
    ).fetchall()
    there = documents(engine, items.index)
    for id_, name, embedding, odd, extra in rows:
        found = there.pop(id_)
        assert [found["name"], found["embedding"], found[ODD], found["extra"]] == [
            name,
            embedding,
            odd,
            extra,
        ]
    assert there == {}
    items.cli.ok("verify", "--projection", "item")
    nearest = items.sql.execute(
        "SELECT id FROM store.items WHERE embedding IS NOT NULL ORDER BY embedding <=> '[1,2,3]' LIMIT 3"
    ).fetchall()
    # An engine compares vectors that it has rounded to bytes: neighbours may change places.
    knn = {"field": "embedding", "query_vector": [1, 2, 3], "k": 6, "num_candidates": 60}
    hits = engine.search(index=items.index, knn=knn)["hits"]["hits"]
    assert {id_ for (id_,) in nearest} <= {int(each["_id"]) for each in hits}


def write(sql: psycopg.Connection, rng: Random, n: int) -> None:
    """Put an item, or delete it."""
    if rng.random() < 0.2:
        sql.execute("DELETE FROM store.items WHERE id = %s", (n,))
        return
    embedding = None if rng.random() < 0.2 else str([rng.uniform(-1, 1) for _ in range(3)])
    odd = rng.choice([None, "[0.1,-2.5]", "[1e-5,60000]"])
    name = rng.choice(['"embedding":"[1,2,3]"', "{}%", "\\", "a\nb"])
    extra = rng.choice([None, '{"embedding":"[1,2,3]",  "a": 1.50}', '"[1,2]"'])
    sql.execute("DELETE FROM store.items WHERE id = %s", (n,))
    sql.execute(
        "INSERT INTO store.items VALUES (%s, %s, %s, %s, '[1]', NULL, NULL, %s)",
        (n, name, embedding, odd, extra),
    )


def test_a_vector_that_the_engine_refuses_fails_alone(items: Store, engine: Elasticsearch) -> None:
    items.sql.execute("INSERT INTO store.items (id, embedding) VALUES (1, '[0,0,0]'), (2, '[1,0,0]')")
    items.apply()
    items.cli.ok("worker", "--drain")
    assert list(documents(engine, items.index)) == [2]
    assert "zero magnitude" in items.cli("failed", "list", "--projection", "item").stdout


def test_half_a_million_numbers_are_sent_in_batches_of_bytes(items: Store, engine: Elasticsearch) -> None:
    items.sql.execute("ALTER TABLE store.items ADD big vector(1024)")
    items.sql.execute(
        "INSERT INTO store.items (id, big) SELECT n, array_agg(random())::vector"
        " FROM generate_series(1, 500) n, generate_series(1, 1024) GROUP BY n"
    )
    items.apply()
    items.cli.ok("worker", "--drain", env={"OUTBOX_MAX_BATCH_BYTES": "1000000"})
    assert {len(each["big"]) for each in documents(engine, items.index).values()} == {1024}
    items.cli.ok("verify", "--projection", "item")


def test_an_index_of_before_needs_a_rebuild_which_makes_it(items: Store, engine: Elasticsearch) -> None:
    items.sql.execute("INSERT INTO store.items (id, embedding) VALUES (1, '[1,2,3]')")
    mappings = {"dynamic": False, "properties": {"id": {"type": "integer"}, "embedding": {"type": "keyword"}}}
    aliases = {items.index: {"is_write_index": True}}
    engine.indices.create(index=f"{items.index}-000001", mappings=mappings, aliases=aliases)
    items.apply()
    assert "embedding is keyword in the index, not dense_vector" in str(items.plan()["steps"])
    items.cli.ok("rebuild", "--projection", "item", *WHO, "--yes")
    assert items.what() == []
    assert documents(engine, items.index)[1]["embedding"] == [1, 2, 3]


@pytest.mark.no_servers
def test_each_engine_has_its_own_type_and_settings() -> None:
    column = Field("v", "public.vector", "vector", False, True, False, modifier=3)
    made = body([column], {}, None, KNN)
    assert made["mappings"]["properties"]["v"] == {"type": "knn_vector", "dimension": 3}
    assert made["settings"]["index.knn"] is True
    given = {"mappings": {"properties": {"v": {"type": "keyword"}}}}
    assert "index.knn" not in body([column], given, None, KNN)["settings"]
    assert Identity("opensearch", "2.19.4", "", OPENSEARCH).vectors == KNN
    kept = "index.mapping.exclude_source_vectors"
    for number, there in ("8.19.1", False), ("9.1.9", False), ("9.2.0", True), ("10.0.0", True), ("", False):
        assert (kept in Identity("elasticsearch", number, "", ELASTICSEARCH).vectors.settings) is there


@pytest.mark.parametrize(("dims", "says"), [(32, "the column has 3 dimensions, the file says 32"), (3, "")])
def test_other_dimensions_than_the_column_has_are_refused_with_their_place(
    items: Store, dims: int, says: str
) -> None:
    field = f'{{"type": "dense_vector", "dims": {dims}}}'
    items.write(after=f'mapping = \'{{"mappings": {{"properties": {{"embedding": {field}}}}}}}\'')
    refused = items.refusal()
    assert says in refused
    assert bool(says) == ("[projections.item] mapping.mappings.properties.embedding.dims" in refused)


def test_a_type_without_its_schema_is_named_with_it(items: Store) -> None:
    items.write("SELECT * FROM", "SELECT id, loose::vector(3) FROM")
    assert "did you mean public.vector?" in items.refusal()
