"""`doctor` and `check` on declared projections: each finding is brought about by what a person would do."""

import json

import pytest
from elasticsearch import Elasticsearch

from operations.doctor.fronts import front, says
from outboxctl.core.projections.trigger_names import function_name
from outboxctl.domain.projection import Relation
from processes import Cli
from projections.logins import a_login
from projections.store import Store
from servers import Servers, needs_release

pytestmark = pytest.mark.slow(reason="doctor on a declaration that is broken in each way")


def found(cli: Cli, *more: str, **env: str) -> dict[str, dict[str, str]]:
    """The findings on projections by id."""
    done = cli("doctor", "--json", *more, env=env)
    assert done.returncode in (0, 4), done.stderr
    about = ("projection-", "index-", "mapping-", "sink-rights-")
    return {each["id"]: each for each in _findings(done.stdout) if each["id"].startswith(about)}


def _findings(out: str) -> list[dict[str, str]]:

    listed: list[dict[str, str]] = json.loads(out)["findings"]
    return listed


def only(cli: Cli, id_: str, *more: str, **env: str) -> dict[str, str]:
    """The only finding on projections."""
    seen = found(cli, *more, **env)
    assert list(seen) == [id_], seen
    return seen[id_]


@pytest.fixture
def applied(store: Store) -> Store:
    """The store with its projection in force, and healthy."""
    store.apply()
    assert found(store.cli) == {}
    return store


def test_a_trigger_that_is_disabled_dropped_or_edited(applied: Store) -> None:
    triggers = "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'outbox%'"
    name, table = applied.sql.execute(
        triggers + " AND tgrelid = 'store.reviews'::regclass LIMIT 1"
    ).fetchall()[0]
    applied.sql.execute(f'ALTER TABLE {table} DISABLE TRIGGER "{name}"')
    what = only(applied.cli, "projection-triggers")["what"]
    assert "trigger disabled on store.reviews" in what
    applied.sql.execute(f'DROP TRIGGER "{name}" ON {table}')
    found_ = only(applied.cli, "projection-triggers")
    assert "trigger missing on store.reviews" in found_["what"]
    assert found_["severity"] == "error"
    applied.apply()
    body = "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    name = function_name("public", Relation("store", "products"))
    applied.sql.execute(f"CREATE OR REPLACE FUNCTION {name}() {body}")
    assert "edited" in only(applied.cli, "projection-triggers")["what"]
    applied.apply()
    assert found(applied.cli) == {}


def test_a_followed_column_that_was_renamed_has_all_documents_read_again(applied: Store) -> None:
    applied.sql.execute("ALTER TABLE store.products RENAME price TO cost")
    seen = found(applied.cli)
    assert "store.products.price" in seen["projection-column-missing"]["what"]
    assert seen["projection-column-missing"]["severity"] == "warning"
    assert "projection-triggers" not in seen


def test_a_view_that_is_gone(applied: Store) -> None:
    applied.sql.execute("DROP VIEW store.documents")
    assert "store.documents" in found(applied.cli)["projection-view-missing"]["what"]


def test_a_view_whose_key_was_renamed_is_told_in_the_words_of_verify(applied: Store) -> None:
    applied.sql.execute("ALTER VIEW store.documents RENAME id TO product_id")
    seen = found(applied.cli, "--only", "database")["projection-view-unreadable"]
    assert seen["what"] == "store.documents cannot be read: column v.id does not exist."
    assert "outboxctl projection plan FILE" in seen["mend"]
    assert seen["what"].removesuffix(".") in applied.cli("verify", "--projection", "product").stderr


READS = "SELECT ON ALL TABLES IN SCHEMA public"
EXPANDS = "UPDATE (follow_cursor) ON search_outbox_events"  # which workers do


def test_a_view_that_this_role_may_not_read(applied: Store) -> None:
    with a_login(applied.sql, READS, EXPANDS) as (role, as_role):
        seen = only(applied.cli, "projection-view-unreadable", "--only", "database", DATABASE_URL=as_role)
        applied.sql.execute(seen["mend"])
        assert role in seen["what"]
        lookup = only(applied.cli, "projection-keys-refused", "--only", "database", DATABASE_URL=as_role)
        assert "permission denied for table products" in lookup["what"]
        applied.sql.execute(f"GRANT SELECT ON store.products TO {role}")
        assert found(applied.cli, "--only", "database", DATABASE_URL=as_role) == {}


def test_a_view_that_may_be_read_while_the_schema_of_what_its_keys_read_may_not(store: Store) -> None:
    store.query(
        "SELECT p.id, c.name AS category FROM store.products p"
        " LEFT JOIN store.categories c ON c.id = p.category_id"
    )
    store.apply()
    with a_login(store.sql, READS) as (role, as_role):
        viewed = found(store.cli, "--only", "database", DATABASE_URL=as_role)
        assert viewed == {}, "who only looks needs no right to what `keys` read"
        store.sql.execute(f"GRANT {EXPANDS} TO {role}".encode())
        seen = only(store.cli, "projection-keys-refused", "--only", "database", DATABASE_URL=as_role)
        assert "`keys` of store.categories" in seen["what"]
        assert "permission denied for schema store" in seen["what"]
        grants = f'GRANT USAGE ON SCHEMA "store" TO {role}; GRANT SELECT ON "store"."products" TO {role}'
        assert seen["mend"].startswith(f"{grants};  -- or ")
        store.sql.execute(grants)
        assert found(store.cli, "--only", "database", DATABASE_URL=as_role) == {}


def test_a_view_of_ours_that_another_role_owns(store: Store) -> None:
    store.query("SELECT id, title FROM store.products")
    store.apply()
    with a_login(store.sql) as role:
        store.sql.execute(f"ALTER VIEW outbox_document_product OWNER TO {role.name}".encode())
        assert role.name in found(store.cli, "--only", "database")["projection-view-owner"]["what"]


VOLATILE = """
CREATE OR REPLACE VIEW store.documents AS
SELECT p.id, p.tenant, p.title, p.price, p.sold, p.color, p.made, c.name AS category,
    json_build_object('at', now()) AS reviews
FROM store.products p LEFT JOIN store.categories c ON c.id = p.category_id
"""


def test_a_view_that_was_changed_and_one_that_changes_by_itself(applied: Store) -> None:
    applied.sql.execute(VOLATILE)
    seen = found(applied.cli)
    assert seen.keys() == {"projection-view-changed", "projection-view-volatile"}
    assert "now()" in seen["projection-view-volatile"]["what"]


NEW_TABLE = """
CREATE OR REPLACE VIEW store.documents AS
SELECT p.id, p.tenant, p.title, p.price, p.sold, p.color, p.made, c.name AS category,
    (SELECT json_agg(json_build_object('stars', r.stars, 'body', r.body) ORDER BY r.id)
        FROM store.reviews r WHERE r.product_id = p.id) AS reviews,
    (SELECT max(u.rate) FROM store.currencies u) AS rate
FROM store.products p LEFT JOIN store.categories c ON c.id = p.category_id
"""


def test_a_table_that_only_the_new_view_reads(applied: Store) -> None:
    applied.sql.execute(NEW_TABLE)
    seen = found(applied.cli)
    assert seen.keys() == {"projection-view-changed", "projection-unfollowed", "mapping-differs"}
    assert "store.currencies" in seen["projection-unfollowed"]["what"]
    applied.write("[projections.product]", '[projections.product]\nignore = ["store.currencies"]')
    applied.apply()
    assert found(applied.cli) == {}, "what is ignored is in force, too"


def test_rows_that_are_hidden_from_the_view(applied: Store) -> None:
    needs_release(applied.sql, 15, "views with security_invoker")
    of_store = ("USAGE ON SCHEMA store", "SELECT ON ALL TABLES IN SCHEMA store")
    with a_login(applied.sql, READS, *of_store) as (_, as_role):
        applied.sql.execute("ALTER VIEW store.documents SET (security_invoker = true)")
        applied.sql.execute("ALTER TABLE store.reviews ENABLE ROW LEVEL SECURITY")
        seen = found(applied.cli, "--only", "database", DATABASE_URL=as_role)
        assert "store.reviews" in seen["projection-rows-hidden"]["what"]


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("reviews_product_id_idx", "store.reviews"),
        ("products_category_id_idx", "a row of store.categories reads all of store.products"),
    ],
)
def test_the_index_that_finds_rows_or_documents_is_missed(applied: Store, index: str, said: str) -> None:
    applied.sql.execute(f"DROP INDEX store.{index}".encode())
    seen = only(applied.cli, "projection-follow-unindexed")
    assert said in seen["what"]
    applied.sql.execute(seen["mend"])
    assert found(applied.cli) == {}


def test_a_lookup_that_postgresql_refuses(store: Store) -> None:
    store.sql.execute("CREATE TABLE store.shelves (product_id bigint, category_id int)")
    store.sql.execute("CREATE INDEX ON store.shelves (category_id)")
    keys = "SELECT product_id FROM store.shelves WHERE category_id = :id"
    store.write(after=f'[[projections.product.follow]]\ntable = "store.categories"\nkeys = "{keys}"\n')
    store.apply()
    assert found(store.cli) == {}
    store.sql.execute("DROP TABLE store.shelves")
    seen = only(store.cli, "projection-keys-refused")
    assert "store.categories" in seen["what"]
    assert "store.shelves" in seen["what"]
    assert seen["mend"].startswith("give it another `keys`"), "no right is missing"


def test_an_index_that_is_missing_no_alias_or_another_ones(applied: Store, engine: Elasticsearch) -> None:
    shared = found(applied.cli, ELASTIC_INDEX=applied.index)["index-shared"]
    assert applied.index in shared["what"]
    assert shared["severity"] == "error"
    engine.indices.delete(index=f"{applied.index}-000001")
    assert applied.index in only(applied.cli, "index-missing")["what"]
    engine.indices.create(index=applied.index)
    try:
        seen = found(applied.cli)
        assert seen.keys() == {"mapping-differs"}
        assert "title" in seen["mapping-differs"]["what"]
    finally:
        engine.indices.delete(index=applied.index)


@pytest.mark.real_engine
def test_an_index_that_is_another_ones_by_an_alias(applied: Store, engine: Elasticsearch) -> None:
    other, concrete = f"{applied.index}-other", f"{applied.index}-000001"
    engine.indices.put_alias(index=concrete, name=other)
    seen = found(applied.cli, ELASTIC_INDEX=other)["index-shared"]
    assert all(name in seen["what"] for name in (concrete, "product", "search_index"))


@pytest.mark.parametrize("ends", [(), ("--only", "sink")])
def test_the_index_of_search_index_is_missed_only_where_search_index_is_used(
    applied: Store, ends: tuple[str, ...]
) -> None:
    """The rule of `verify`: with projections in force, and neither index, row nor event, nobody uses it."""
    absent = {"ELASTIC_INDEX": f"{applied.index}-none"}

    def missed() -> bool:
        said = _findings(applied.cli("doctor", "--json", *ends, env=absent).stdout)
        return "index-missing" in [each["id"] for each in said]

    assert not missed()
    applied.cli.ok("inject", "event", "--count", "1", env=absent)
    assert missed()
    applied.sql.execute("TRUNCATE search_index, search_outbox_events")
    assert not missed()
    applied.sql.execute("DELETE FROM outbox_projections")
    assert missed(), "without any projection deliveries need it"


@pytest.mark.parametrize("lacking", ["maintenance", "read"])
def test_a_worker_that_may_not_list(applied: Store, servers: Servers, lacking: str) -> None:
    """The engine has no security; here it says that it has, and what is lacking."""
    privileges = ("index", "delete", "view_index_metadata", "read", "maintenance")
    held = {privilege: privilege != lacking for privilege in privileges}
    answer = says(200, {"has_all_requested": False, "index": {applied.index: held}})
    with front(servers.sink, {"/_security/user/_has_privileges": answer}) as url:
        seen = only(applied.cli, "sink-rights-worker", ELASTIC_URL=url)
    assert f"lacks {lacking} on {applied.index}" in seen["what"]


@pytest.mark.real_engine
def test_the_index_of_a_projection_is_examined_as_any_other(applied: Store, engine: Elasticsearch) -> None:
    name = f"{applied.index}-000001"
    engine.indices.put_settings(index=name, settings={"index": {"blocks.write": True, "gc_deletes": "60s"}})
    seen = {each["id"]: each for each in _findings(applied.cli("doctor", "--json").stdout)}
    assert f"{name} is blocked: write" in seen["index-blocked"]["what"]
    assert f"{name} forgets deletes after 60 s" in seen["gc-deletes"]["what"]
