"""What the roles may do with projections is what they need: raise the base of versions, apply, drop."""

import json
from collections.abc import Iterator
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from elasticsearch import Elasticsearch

from outboxctl.core.database import Database
from outboxctl.core.delivery import settle
from outboxctl.core.projections import follow_pages, follow_tables, version_base
from outboxctl.core.projections.follow_pages import FollowEvent
from outboxctl.core.projections.version_base import AT_ONCE, STEP
from outboxctl.core.schema.migrations import upgrade
from outboxctl.core.schema.roles import Role
from outboxctl.domain.projection import DOCUMENTS
from projections.logins import Login, a_login
from projections.store import WHO, Store, own
from security.as_roles import Roles, roles

BASE = "SELECT base FROM outbox_version_base"
SET = "UPDATE outbox_version_base SET base = %s"


@pytest.fixture
def worker_url(as_roles: Roles) -> str:
    """A worker's login."""
    return as_roles.login("daemon", Role.WORKER)


@pytest.mark.parametrize(
    ("before", "after", "may"),
    [
        (STEP, STEP - 1, False),
        (STEP, 0, False),
        (0, 2**63 - 1, False),
        (0, AT_ONCE + 1, False),
        (0, STEP, True),
        (0, AT_ONCE, True),
        (AT_ONCE, AT_ONCE + STEP, True),
        (AT_ONCE, AT_ONCE + STEP + 1, False),
        (2**63 - 1, 2**63 - 2, False),
    ],
)
def test_a_stolen_worker_raises_the_base_of_versions_within_bounds(
    worker_url: str, sql: psycopg.Connection, before: int, after: int, may: bool
) -> None:
    """At 2^63 - 1 no event would be delivered any more, and below what it was documents stay out of date."""
    sql.execute(SET, [before])
    with psycopg.connect(worker_url, autocommit=True) as worker:
        try:
            worker.execute(SET, [after])
        except psycopg.errors.InsufficientPrivilege:
            assert not may
    assert sql.execute(BASE).fetchone() == (after if may else before,)


def test_a_worker_raises_it_as_far_as_it_may(worker_url: str, sql: psycopg.Connection) -> None:
    with closing(Database(worker_url)) as db:
        for above, base in ((2**40, 2**40), (2**62, AT_ONCE), (2**62, AT_ONCE + STEP)):
            with db.begin() as connection:
                version_base.raise_base(connection, above=above)
            assert sql.execute(BASE).fetchone() == (base,)


def test_a_worker_replaces_events_of_yesterdays_partition(empty_url: str) -> None:
    """No time of a worker's choice is let in, and PostgreSQL moves no row to now's partition."""
    with psycopg.connect(empty_url, autocommit=True) as owner, closing(Database(empty_url)) as db:
        owner.execute(
            "CREATE TABLE search_outbox_events (id uuid NOT NULL, created_at timestamptz NOT NULL"
            " DEFAULT now(), PRIMARY KEY (id, created_at)) PARTITION BY RANGE (created_at);"
            "CREATE TABLE old PARTITION OF search_outbox_events FOR VALUES FROM (MINVALUE) TO (CURRENT_DATE);"
            "CREATE TABLE rest PARTITION OF search_outbox_events DEFAULT"
        )
        upgrade(db, None)
        (page, other, token) = (str(uuid4()) for _ in range(3))
        owner.execute(
            "INSERT INTO search_outbox_events (id, entity_type, entity_id, op, entity_key, follow, status,"
            " lease_token, created_at) SELECT id, 'p', id, 'upsert', '[\"1\", \"2\"]', -2, status, token,"
            " CURRENT_DATE - interval '12 hours' FROM (VALUES (%s::uuid, 'processing', %s::uuid),"
            " (%s, 'pending', NULL)) e (id, status, token)",
            [page, token, other],
        )
        keys = json.dumps([str(n) for n in range(follow_pages.HALF + 1)])
        with (
            roles(owner, empty_url) as made,
            closing(Database(made.login("daemon", Role.WORKER))) as worker,
            worker.begin() as connection,
        ):
            settle.write(connection, token, done=[page], splits=[(page, ["1", "2"])])
            follow_tables.merge(connection, [FollowEvent(other, "p", DOCUMENTS, keys, {}, 0)])
        found = owner.execute(
            "SELECT status, follow, count(*) FROM search_outbox_events GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        assert found == [("done", -2, 2), ("pending", -2, 1), ("pending", None, 2)]


@pytest.mark.real_engine
def test_a_version_that_is_out_of_reach_costs_its_own_event_attempts(
    store: Store, engine: Elasticsearch
) -> None:
    store.apply()
    store.sql.execute("INSERT INTO store.products (id, tenant) VALUES (1, 'a')")
    version = {"version": AT_ONCE + 2**40, "version_type": "external_gte"}
    engine.index(index=store.index, id="1", document={"id": 1}, **version)  # type: ignore[arg-type]
    store.cli.ok("worker", "--drain", env={"OUTBOX_MAX_ATTEMPTS": "1"})
    (failed,) = store.sql.execute("SELECT status, error FROM search_outbox_events").fetchall()
    assert failed[0] == "failed"
    assert "no database reaches" in failed[1]


@pytest.fixture
def applies(store: Store) -> Iterator[Login]:
    """Has what the page asks of whoever applies, and no more: the tables are another role's."""
    grants = ("USAGE ON SCHEMA store", "SELECT, TRIGGER ON ALL TABLES IN SCHEMA store")
    with a_login(store.sql, *grants) as login:
        own(store.sql, login.name, "public")
        yield login


def test_what_must_be_granted_is_enough_to_apply_change_and_drop(store: Store, applies: Login) -> None:
    as_login = {"DATABASE_URL": applies.url}
    assert store("apply", *WHO, env=as_login).returncode == 0
    store.query("SELECT id, title FROM store.products")
    done = store("apply", *WHO, env=as_login)
    assert done.returncode == 0, done.stderr
    assert {row[0] for row in store.facts()[1]} == {"store.products"}
    store.cli.ok("projection", "drop", "product", *WHO, "--yes", env=as_login)
    assert store.facts()[:4] == [[], [], [], []]
