"""What the roles of `db roles` may do with projections: a viewer looks, the owner of the tables changes."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from processes import Cli
from projections.store import QUERY, WHO, Store, own


@pytest.fixture
def roles(store: Store, url: str) -> Iterator[dict[str, str]]:
    """URLs of a login in the group of viewers, and of one that owns all tables."""
    prefix = f"t{uuid4().hex[:12]}_"
    store.sql.execute(store.cli.ok("db", "roles", "--sql", "--prefix", prefix))
    names = {"viewer": f"{prefix}alice", "owner": f"{prefix}bob"}
    for name in names.values():
        store.sql.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    store.sql.execute(f"GRANT {prefix}viewer TO {names['viewer']}")
    store.sql.execute(f"GRANT USAGE ON SCHEMA store TO {names['viewer']}")
    store.sql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA store TO {names['viewer']}")
    own(store.sql, names["owner"])
    yield {who: f"postgresql://{name}:x@{url.partition('@')[2]}" for who, name in names.items()}
    groups = [f"{prefix}{role}" for role in ("worker", "operator", "viewer", "producer")]
    for name in (*names.values(), *groups):
        store.sql.execute(f"DROP OWNED BY {name} CASCADE")
        store.sql.execute(f"DROP ROLE {name}")


def test_a_viewer_may_look(store: Store, roles: dict[str, str], cli: Cli) -> None:
    store.apply()
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    viewer = {"DATABASE_URL": roles["viewer"]}
    assert store("plan", env=viewer).returncode == 0
    assert "outbox_projections" in store("sql", env=viewer).stdout
    assert "store.products" in cli.ok("projection", "init", "store.products", env=viewer)
    assert cli.json("projection", "list", env=viewer)["projections"][0]["pending"] == 1
    assert cli.json("projection", "show", "product", env=viewer)["name"] == "product"
    assert cli("projection", "preview", "product", "1", env=viewer).returncode == 4
    before = store.facts()
    for done in (
        store("apply", *WHO, "--no-triggers", env=viewer),
        cli("projection", "drop", "product", *WHO, env=viewer),
    ):
        assert done.returncode == 2, done.stderr
    assert store.facts() == before


def test_the_owner_applies_and_drops(store: Store, roles: dict[str, str], cli: Cli) -> None:
    owner = {"DATABASE_URL": roles["owner"]}
    assert store("apply", *WHO, env=owner).returncode == 0
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    assert cli.json("projection", "drop", "product", *WHO, env=owner)["discarded"] == 1
    assert store.facts()[:4] == [[], [], [], []]


def test_the_groups_may_read_the_view_that_is_made(store: Store, roles: dict[str, str], cli: Cli) -> None:
    store.write('document = "store.documents"', QUERY)
    assert store("apply", *WHO, env={"DATABASE_URL": roles["owner"]}).returncode == 0
    store.sql.execute("INSERT INTO store.products (id, tenant, title) VALUES (1, 'a', 'Bird')")
    done = cli("projection", "preview", "product", "1", env={"DATABASE_URL": roles["viewer"]})
    assert done.returncode == 4, done.stderr
    assert "Bird" in done.stdout
