"""One declaration for several schemas: each gets its documents, and none is left out or mixed up."""

import random
import threading
from collections.abc import Callable

import psycopg
import pytest

from processes import Worker, eventually
from projections.logins import a_login
from tenants.tenancy import SELECT, TABLES, WHO, Tenants

HOSTILE = (
    'Tenant "1"',
    "tenant_%",
    "tenant_{schema}",
    "tenant_'; DROP TABLE x; --",
    "tenant_$$ */ \n",
    "tenant_" + "x" * 56,
    "tenant_é_" + "y" * 53,
    "tenant_1_0123456789ab",
)
WRITES = (
    "INSERT INTO {s}.products VALUES ({n}, 'p{r}', {c}) ON CONFLICT (id) DO UPDATE SET name = 'q{r}'",
    "INSERT INTO {s}.reviews VALUES ({r}, {n}, 'x') ON CONFLICT DO NOTHING",
    "INSERT INTO {s}.categories VALUES ({c}, 'c{r}') ON CONFLICT (id) DO UPDATE SET name = 'd{r}'",
    "UPDATE {s}.products SET category_id = {c} WHERE id % 3 = {n} % 3",
    "UPDATE {s}.reviews SET product_id = {n} WHERE id % 5 = {r} % 5",
    "DELETE FROM {s}.categories WHERE id = {c}",
    "DELETE FROM {s}.products WHERE id = {n}",
    "TRUNCATE {s}.reviews",
)


def _write(url: str, seed: int, schemas: list[str]) -> None:
    """Two hundred random transactions, each in one schema; those that fail are rolled back."""
    chance = random.Random(seed)
    with psycopg.connect(url, autocommit=True) as session:
        for _ in range(200):
            values = {"s": chance.choice(schemas), "n": chance.randrange(20), "r": chance.randrange(10**6)}
            text = chance.choice(WRITES).format(**values, c=chance.randrange(4))
            try:
                with session.transaction(force_rollback=chance.random() < 0.1):
                    session.execute(text.encode())
            except psycopg.errors.ForeignKeyViolation:
                pass


def test_what_tenants_write_at_random_is_in_their_own_indexes(
    tenants: Tenants, url: str, worker: Callable[..., Worker]
) -> None:
    tenants.apply()
    schemas = [*tenants.in_force()]
    running = worker()
    sessions = [threading.Thread(target=_write, args=(url, seed, schemas)) for seed in range(3)]
    for each in sessions:
        each.start()
    tenants.add("tenant_d")  # beside them
    tenants.apply()
    for each in sessions:
        each.join()
    undone = "SELECT count(*) FROM search_outbox_events WHERE status <> 'done'"
    eventually(lambda: tenants.sql.execute(undone).fetchone() == (0,))
    running.end()
    assert tenants.judged() == {}
    assert len(tenants.in_force()) == 4


def test_a_schema_comes_and_another_one_goes(tenants: Tenants) -> None:
    tenants.apply()
    tenants.drain()
    gone = tenants.index_of("tenant_b")
    tenants.sql.execute("UPDATE tenant_b.products SET name = 'waits'")
    tenants.sql.execute("DROP SCHEMA tenant_b CASCADE")
    tenants.add("tenant_d")
    planned = tenants("plan")
    assert planned.returncode == 4
    assert "product__tenant_b" in planned.stdout
    assert "dropped: no schema 'tenant_b' matches" in planned.stdout
    done = tenants.apply()
    assert [each["name"] for each in done["gone"]] == ["product__tenant_b"]
    assert done["gone"][0]["discarded"] > 0
    assert [*tenants.in_force()] == ["tenant_a", "tenant_c", "tenant_d"]
    tenants.drain()
    assert tenants.judged() == {}
    assert len(tenants.held(gone)) == 2, "the index of a schema that is gone stays"
    assert tenants("plan").returncode == 0


def test_no_name_of_a_schema_is_run_or_mixed_up(tenants: Tenants) -> None:
    tenants.add(*HOSTILE)
    tenants.declare("[tT]enant*")
    assert tenants("plan").returncode == 4
    tenants.apply()
    in_force = tenants.in_force()
    assert {*HOSTILE} < {*in_force}
    assert len({*in_force.values()}) == len(in_force) == len(HOSTILE) + 3
    tenants.drain()
    assert tenants.judged() == {}
    tenants.sql.execute('UPDATE "Tenant ""1""".categories SET name = name')
    assert tenants("plan").returncode == 0
    assert tenants.cli("projection", "drop", "product", *WHO).returncode == 0
    assert tenants.in_force() == {}


def test_one_schema_that_does_not_fit_is_named_and_none_is_applied(tenants: Tenants) -> None:
    tenants.add("tenant_d", tables=TABLES.replace("reviews", "notes"))
    for command in (("plan",), ("apply", *WHO)):
        refused = tenants(*command)
        assert refused.returncode == 2
        assert "[projections.product] in the schema 'tenant_d' query" in refused.stderr
    assert tenants.in_force() == {}
    assert not tenants.engine.indices.exists(index=f"{tenants.index}-tenant_a")


def test_a_schema_of_a_stranger_is_left_out_until_it_is_the_owners(tenants: Tenants) -> None:
    database = tenants.sql.info.dbname
    with a_login(tenants.sql, f"CREATE ON DATABASE {database}") as stranger:
        tenants.add("tenant_x")
        tenants.sql.execute(f"ALTER SCHEMA tenant_x OWNER TO {stranger.name}".encode())
        for command in (("plan",), ("apply", *WHO)):
            assert "'tenant_x' match and are left out" in tenants(*command).stderr
        assert "tenant_x" not in tenants.in_force()
        tenants.sql.execute("ALTER SCHEMA tenant_x OWNER TO CURRENT_USER")
        assert "left out" not in tenants("apply", *WHO).stderr
        assert "tenant_x" in tenants.in_force()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('["tenant_*"]', '["tenant_*", "!tenant_?"]', "no schema matches"),
        ("[projections.product]", f"[projections.{'x' * 31}]", "cannot be the name of a projection"),
        ("[projections.product]", "[projections.a__b]", "cannot be the name of a projection"),
        ('root = "{schema}.products"', 'root = "tenant_a.products"', "names {schema}"),
        ('-{schema}"', '"', "each schema has an index of its own"),
        ('["tenant_*"]', '["tenants_*"]', "no schema matches"),
        ('["tenant_*"]', '"tenant_*"', "schemas: it must be a list of texts"),
        ("'{schema}' AS tenant", "'of {schema}' AS tenant", "part of a text"),
        ("'{schema}' AS tenant", "'{schema}' AS tenant -- {schema}", "part of a text"),
        ('-{schema}"', '"\nid_prefix = "{schema}"', "ids of one schema could begin as those of another one"),
        ("{schema}.reviews r", "{schema}.review r", "in the schema 'tenant_a' query: relation"),
    ],
)
def test_what_cannot_be_right_is_refused(tenants: Tenants, old: str, new: str, why: str) -> None:
    text = tenants.file.read_text(encoding="utf-8").replace("[[projections.product", "[[PROJECTION")
    assert old in text
    name = new[13:-1] if new.startswith("[projections.") else "product"
    changed = text.replace(old, new).replace("[[PROJECTION", f"[[projections.{name}")
    tenants.file.write_text(changed, encoding="utf-8")
    refused = tenants("apply", *WHO)
    assert refused.returncode == 2, refused.stdout
    assert why in refused.stderr
    assert "tenants.toml: [projections." in refused.stderr
    assert tenants.in_force() == {}


PLAIN = """
[projections.{name}]
root = "tenant_a.products"
key = "id"
document = "tenant_a.products"
index = "{index}-{suffix}"
"""


@pytest.mark.parametrize(
    ("name", "suffix"), [("product__tenant_a", "own"), ("product", "own"), ("other", "tenant_a")]
)
def test_no_other_declaration_takes_a_name_or_an_index(tenants: Tenants, name: str, suffix: str) -> None:
    several = tenants.file.read_text(encoding="utf-8")
    plain = PLAIN.format(name=name, index=tenants.index, suffix=suffix)
    for first, second in ((several, plain), (plain, several)):
        tenants.file.write_text(first, encoding="utf-8")
        tenants.apply()
        before = tenants.in_force()
        tenants.file.write_text(second, encoding="utf-8")
        refused = tenants("apply", *WHO)
        assert refused.returncode == 2, refused.stdout
        assert "already" in refused.stderr or "the name of another declaration" in refused.stderr
        assert tenants.in_force() == before
        dropped = name if first is plain else "product"
        tenants.cli.ok("projection", "drop", dropped, *WHO)
        tenants.delete_indexes()


def test_all_tenants_share_an_index_by_the_prefix_of_their_ids(tenants: Tenants) -> None:
    tenants.add("Tenant D")
    tenants.declare("tenant_*", "Tenant D")
    text = tenants.file.read_text(encoding="utf-8")
    text = text.replace("-{schema}", "").replace("query =", 'id_prefix = "{schema}:"\nquery =')
    tenants.file.write_text(text, encoding="utf-8")
    tenants.apply()
    tenants.drain()
    tenants.sql.execute("DELETE FROM tenant_b.products WHERE id = 2")
    tenants.sql.execute("DROP SCHEMA tenant_c CASCADE")
    tenants.apply()
    tenants.drain()
    found = tenants.held(tenants.index)
    prefixes = {
        schema: next(id_[:-1] for id_ in found if found[id_]["tenant"] == schema)
        for schema in tenants.in_force()
    }
    wanted = {
        prefixes[s] + key: row for s in tenants.in_force() for key, row in tenants.rows(s, SELECT).items()
    }
    assert {id_: row for id_, row in found.items() if row["tenant"] != "tenant_c"} == wanted
    assert prefixes["tenant_a"] == "tenant_a:"
    tenants.cli.ok("rebuild", "--projection", "product", *WHO, "--yes")
    assert tenants.held(tenants.index) == wanted
    assert tenants.cli("verify", "--projection", "product").returncode == 0
