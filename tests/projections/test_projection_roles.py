"""What the roles of `outboxctl roles` may do with projections.

A viewer looks, the owner of the tables changes; in the sink an operator applies, and a worker delivers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from uuid import uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.projections.changes import READERS
from processes import Cli
from projections.logins import a_login
from projections.store import QUERY, WHO, Store, own
from security.test_sink_roles import permitted
from servers import Servers
from tls import Front

ActingAs = Callable[[str, Sequence[str]], AbstractContextManager[Front]]


@pytest.fixture
def roles(store: Store) -> Iterator[dict[str, str]]:
    """URLs of a login in the group of viewers, and of one that owns all tables."""
    prefix = f"t{uuid4().hex[:12]}_"
    store.sql.execute(store.cli.ok("roles", "--sql", "--prefix", prefix))
    rights = (f"{prefix}viewer", "USAGE ON SCHEMA store", "SELECT ON ALL TABLES IN SCHEMA store")
    with a_login(store.sql, *rights) as viewer, a_login(store.sql) as owner:
        own(store.sql, owner.name)
        yield {"viewer": viewer.url, "owner": owner.url}
    for role in ("worker", "operator", "viewer", "producer"):
        store.sql.execute(f"DROP OWNED BY {prefix}{role} CASCADE; DROP ROLE {prefix}{role}")


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
        assert "log in as the owner of the tables" in done.stderr, "no role of `roles` helps"
    assert store.facts() == before


@pytest.mark.parametrize(
    "args", [("verify", "--projection", "product"), ("rebuild", "--projection", "product", "--yes")]
)
def test_who_may_not_read_the_documents_gets_the_grant(store: Store, cli: Cli, args: Sequence[str]) -> None:
    store.apply()
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    with a_login(store.sql, "SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public") as operator:
        done = cli(*args, env={"DATABASE_URL": operator.url})
    assert done.returncode == 2, done.stdout + done.stderr
    assert "permission denied for schema store" in done.stderr
    assert 'GRANT USAGE ON SCHEMA "store" TO outbox_operator, outbox_viewer; GRANT SELECT' in done.stderr


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


def test_no_other_role_gets_the_documents_or_keeps_them(store: Store, roles: dict[str, str]) -> None:
    store.write('document = "store.documents"', QUERY)
    owner, view = {"DATABASE_URL": roles["owner"]}, "SELECT FROM outbox_document_product"
    with (
        a_login(store.sql, "SELECT ON outbox_projections") as curious,
        a_login(store.sql, *(f"SELECT ON {each}" for each in READERS)) as former,
    ):
        assert store("apply", *WHO, env=owner).returncode == 0
        with psycopg.connect(curious.url, autocommit=True) as own:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute(view)
            store.sql.execute(f"GRANT SELECT ON outbox_document_product TO {curious.name}, PUBLIC")
            own.execute(view)
            with psycopg.connect(former.url, autocommit=True) as other:
                other.execute(view)
                store.sql.execute(f"REVOKE ALL ON search_index FROM {former.name}")
                assert store("plan", env=owner).returncode == 4
                assert store("apply", *WHO, env=owner).returncode == 0
                assert store("plan", env=owner).returncode == 0
                for each in (own, other):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        each.execute(view)
    with psycopg.connect(roles["viewer"], autocommit=True) as viewer:
        viewer.execute(view)


@pytest.fixture
def acting_as(servers: Servers, index: str) -> ActingAs:
    """The sink as it is for one in a role, whose indexes of projections are these."""

    def opened(role: str, projected: Sequence[str]) -> AbstractContextManager[Front]:
        return Front(
            servers.sink,
            permits=lambda method, path: permitted(role, method, path, index, projected=projected),
        ).open()

    return opened


def at(cli: Cli, front: Front) -> Cli:
    """The commands, by way of a front."""
    return Cli(cli.env | {"ELASTIC_URL": front.url}, cli.cwd)


@pytest.mark.slow(reason="twelve commands")
def test_projections_need_no_more_than_the_roles(
    store: Store, acting_as: ActingAs, cli: Cli, engine: Elasticsearch
) -> None:
    """An operator applies, rebuilds and repairs, a viewer compares, a worker delivers and lists."""
    with acting_as("operator", []) as front:
        refused = store("apply", *WHO, env={"ELASTIC_URL": front.url})
        assert refused.returncode == 3, refused.stderr
        assert "roles" in refused.stderr
    with acting_as("operator", [store.index]) as front:
        operator = at(cli, front)
        store.cli = operator
        store.apply()
        _fill(store)
        with acting_as("worker", [store.index]) as door:
            _deliver(store, at(cli, door), engine)
            assert door.refused == []
        operator.ok("rebuild", "--projection", "product", *WHO, "--yes")
        operator.ok("index", "cleanup", "--projection", "product", *WHO, "--yes")
        engine.delete(index=store.index, id="1")
        operator.ok("verify", "--projection", "product", "--repair", *WHO, "--yes")
        store.sql.execute("ALTER TABLE store.products ADD extra int")
        store.write('"store.documents"', '"store.products"')
        store.apply()
        assert "extra" in str(engine.indices.get_mapping(index=store.index))
        cli.ok("worker", "--drain")
        assert front.refused == []
    with acting_as("viewer", [store.index]) as front:
        viewer = at(cli, front)
        viewer.ok("verify", "--projection", "product")
        viewer.ok("projection", "preview", "product", "1")
        viewer.ok("projection", "plan", str(store.file))
        viewer("doctor", "--only", "sink", "--json")
        assert front.refused == []


def _fill(store: Store) -> None:
    store.sql.execute(
        """INSERT INTO store.products (id, tenant, "Odd ""%Name")
        SELECT i, 'a', i FROM generate_series(1, 30) i"""
    )


def _deliver(store: Store, worker: Cli, engine: Elasticsearch) -> None:
    """A worker writes and deletes documents, and lists the index after a TRUNCATE."""
    worker.ok("worker", "--drain")
    engine.indices.refresh(index=store.index)
    assert engine.count(index=store.index)["count"] == 30
    store.sql.execute("TRUNCATE store.products CASCADE")
    worker.ok("worker", "--drain")
    engine.indices.refresh(index=store.index)
    assert engine.count(index=store.index)["count"] == 0
    _fill(store)
    worker.ok("worker", "--drain")
