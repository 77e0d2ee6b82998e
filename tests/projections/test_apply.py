"""`projection apply` and `sql`: what they leave, once or twice, one or two at a time."""

import json
import threading
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from projections.logins import a_login
from projections.store import QUERY, WHO, Store

if TYPE_CHECKING:
    from subprocess import CompletedProcess


def test_what_is_planned_is_applied_once(store: Store, engine: Elasticsearch) -> None:
    assert store.what() == ["triggers", "declaration", "index"]
    assert store.facts()[0] == []
    done = store.apply()
    assert [step["what"] for step in done["projections"][0]["done"]] == ["triggers", "declaration", "index"]
    assert store.what() == []
    assert store.events() == [], "an empty table has no documents to be read"
    before = store.facts()
    (definition,) = [row[1] for row in before[0]]
    assert definition["root"] == {"schema": "store", "name": "products"}
    assert definition["key"] == [{"name": "id", "type": "pg_catalog.int8"}]
    assert {row[0] for row in before[1]} == {"store.products", "store.reviews", "store.categories"}
    again = store.apply()
    assert again["audit_id"] is None
    assert again["projections"][0]["done"] == []
    assert store.facts() == before
    (audit,) = store.sql.execute("SELECT action, operator, reason, filters FROM outbox_operator_audit")
    assert audit[:3] == ("projection apply", "alice", "search")
    assert "product" in audit[3]["projections"]
    with pytest.raises(psycopg.errors.DependentObjectsStillExist):
        store.sql.execute("ALTER TABLE store.reviews DROP COLUMN stars")
    mapping = engine.indices.get_mapping(index=store.index).body[f"{store.index}-000001"]["mappings"]
    assert str(mapping["dynamic"]).lower() == "false"
    kinds = {name: each.get("type", "object") for name, each in mapping["properties"].items()}
    assert kinds == {
        "id": "long",
        "tenant": "text",
        "title": "text",
        "price": "double",
        "sold": "boolean",
        "color": "keyword",
        "made": "date",
        "category": "text",
        "reviews": "object",
    }


def test_the_printed_sql_leaves_what_apply_leaves(store: Store, url: str) -> None:
    store.write('document = "store.documents"', QUERY)
    printed = store("sql").stdout
    assert store.facts()[0] == []
    for _ in range(2):  # safe to run again
        with psycopg.connect(url, autocommit=True) as fresh:
            fresh.execute("SET search_path = store, public")
            fresh.execute(printed)  # as one script, as psql -1 does
            assert fresh.execute("SHOW search_path").fetchone() == ("store, public",)
    by_sql = store.facts()
    assert by_sql[3], "there is a view of ours"
    (audit,) = store.sql.execute("SELECT action, operator, filters FROM outbox_operator_audit").fetchall()
    assert audit[:2] == ("projection apply", store.sql.info.user), "once: the second run did nothing"
    assert "product" in audit[2]["projections"]
    assert store.what() == ["index"]
    store.sql.execute("DELETE FROM outbox_projections")
    store.sql.execute("DROP VIEW outbox_document_product")
    store.apply()
    assert store.facts() == by_sql
    assert store.what() == []


def test_two_at_once(store: Store) -> None:
    store.write('document = "store.documents"', QUERY)
    done: list[CompletedProcess[str]] = []

    def one() -> None:
        done.append(store("apply", *WHO, "--json"))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    audits = [json.loads(each.stdout)["audit_id"] for each in done]
    assert audits.count(None) == 1, "one applies, the other finds nothing to do"
    assert store.what() == []


def test_a_column_of_another_type_needs_a_rebuild(store: Store) -> None:
    store.apply()
    store.sql.execute("DROP VIEW store.documents")
    store.sql.execute(
        "CREATE VIEW store.documents AS SELECT id, title::bytea AS title, 1 AS more FROM store.products"
    )
    steps = {step["what"]: step["text"] for step in store.plan()["steps"]}
    assert "added in place" in steps["mapping"]
    assert "more" in steps["mapping"]
    assert "needs a rebuild: title is text in the index, not keyword" in steps["rebuild"]
    done = store.apply()
    assert [step["what"] for step in done["projections"][0]["steps"]] == ["rebuild"]
    assert store.what() == ["rebuild"]


def test_the_files_mapping_counts(store: Store, engine: Elasticsearch) -> None:
    body: dict[str, Any] = {
        "settings": {
            "number_of_shards": 2,
            "analysis": {"analyzer": {"mine": {"type": "custom", "tokenizer": "standard"}}},
        },
        "mappings": {
            "properties": {
                "title": {"type": "text", "analyzer": "mine"},
                "reviews": {"type": "nested", "properties": {"stars": {"type": "integer"}}},
            }
        },
    }
    (store.file.parent / "m.json").write_text(json.dumps(body), encoding="utf-8")
    store.write(after='mapping = "m.json"\n')
    assert store.plan()["warnings"] == []
    store.apply()
    made = engine.indices.get(index=store.index).body[f"{store.index}-000001"]
    assert made["settings"]["index"]["number_of_shards"] == "2"
    assert made["mappings"]["properties"]["reviews"]["type"] == "nested"
    assert made["mappings"]["properties"]["title"]["analyzer"] == "mine"
    assert made["mappings"]["properties"]["price"]["type"] == "double"
    assert store.what() == []
    body["mappings"]["properties"]["reviews"]["properties"]["title"] = {"type": "text"}
    (store.file.parent / "m.json").write_text(json.dumps(body), encoding="utf-8")
    assert store.what() == ["declaration", "documents", "mapping"]
    store.apply()
    assert store.what() == []


def test_a_field_that_the_file_declares_later_is_found_in_documents_that_were_there(
    store: Store, engine: Elasticsearch
) -> None:
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    store.sql.execute("INSERT INTO store.reviews VALUES (1, 1, 5, 'quiet words')")
    store.apply()
    store.cli.ok("worker", "--drain")
    fields = {"reviews": {"properties": {"body": {"type": "text"}}}}
    store.write(after=f"mapping = '{json.dumps({'mappings': {'properties': fields}})}'\n")
    assert "another mapping" in {step["what"]: step["text"] for step in store.plan()["steps"]}["documents"]
    store.apply()
    store.cli.ok("worker", "--drain")
    engine.indices.refresh(index=store.index)
    found = engine.search(index=store.index, query={"match": {"reviews.body": "quiet"}})["hits"]["hits"]
    assert [each["_id"] for each in found] == ["1"]


def test_a_mapping_that_the_engine_refuses_puts_nothing_in_force(store: Store, engine: Elasticsearch) -> None:
    (store.file.parent / "m.json").write_text('{"mappings": {"properties": {"title": {"type": "txet"}}}}')
    store.write(after='mapping = "m.json"\n')
    done = store("apply", *WHO)
    assert done.returncode == 2, done.stderr
    assert "txet" in done.stderr
    assert store.facts()[0] == []
    assert not engine.indices.exists(index=store.index)


def test_a_role_that_may_make_no_triggers_is_told_what_to_do(store: Store) -> None:
    of_outbox = ("USAGE, CREATE ON SCHEMA public", "ALL ON ALL TABLES IN SCHEMA public")
    of_store = ("USAGE ON SCHEMA store", "SELECT ON ALL TABLES IN SCHEMA store")
    with a_login(store.sql, *of_outbox, *of_store) as stranger:
        _is_told(store, {"DATABASE_URL": stranger.url})


def _is_told(store: Store, stranger: dict[str, str]) -> None:
    done = store("apply", *WHO, env=stranger)
    assert done.returncode == 2, done.stdout
    assert "may make no triggers on store.categories, store.products, store.reviews" in done.stderr
    assert "--no-triggers" in done.stderr
    assert "outboxctl.touch" in done.stderr
    assert store.facts()[0] == []
    assert store("apply", *WHO, "--no-triggers", env=stranger).returncode == 0
    assert len(store.facts()[0]) == 1


@pytest.mark.real_engine
def test_another_index_is_made_and_filled(store: Store, engine: Elasticsearch) -> None:
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    store.apply()
    store.write(store.index, f"{store.index}-new")
    assert store.what() == ["declaration", "documents", "index"]
    store.apply()
    assert engine.indices.exists(index=[store.index, f"{store.index}-new"])
    assert store.events() == [("product", "", -1)] * 2
    assert store.what() == []


def test_another_routing_needs_a_rebuild(store: Store) -> None:
    store.apply()
    store.write(after='routing = "tenant"\n')
    assert store.what() == ["declaration", "documents", "rebuild"]


def test_a_view_of_ours_that_is_needed_no_more_is_dropped(store: Store) -> None:
    store.write('document = "store.documents"', QUERY)
    store.apply()
    store.write(QUERY, 'document = "store.documents"')
    assert "view" in store.what()
    store.apply()
    assert store.facts()[3] == []
    assert store.what() == ["rebuild"], "reviews were a number, and are objects"
    assert "as declared already; nothing was changed" in store("apply", *WHO).stdout


def test_an_index_that_is_there_gets_what_it_lacks_and_keeps_what_it_has(
    store: Store, engine: Elasticsearch
) -> None:
    """`name.keyword` was sent without the analyzer: "Cannot update parameter [analyzer]", exit 2."""
    analysis = {"analyzer": {"mine": {"type": "standard", "max_token_length": 20}}}
    sub = {"raw": {"type": "keyword", "ignore_above": 9}}
    title = {"type": "text", "analyzer": "mine", "index_options": "docs", "fields": sub}
    engine.indices.create(
        index=f"{store.index}-000001",
        settings={"analysis": analysis},
        mappings={"dynamic": False, "properties": {"title": title}},
        aliases={store.index: {"is_write_index": True}},
    )
    store.apply()
    made = engine.indices.get_mapping(index=store.index).body[f"{store.index}-000001"]["mappings"]
    assert made["properties"]["title"] == title | {
        "fields": sub | {"keyword": {"type": "keyword", "ignore_above": 256}}
    }
    assert made["properties"]["price"] == {"type": "double"}
    assert store.what() == []
