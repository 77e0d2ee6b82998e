"""The view that `apply` makes of a query: it reads with the rights of the outbox's owner, whoever applies."""

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest

from outboxctl.core.projections import changes
from projections.logins import Login, a_login
from projections.store import QUERY, WHO, Store, own

VIEW = "outbox_document_product"
OWNER = f"SELECT relowner::regrole::text FROM pg_class WHERE oid = '{VIEW}'::regclass"
TENANTS = """
ALTER TABLE store.products ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenants ON store.products USING (tenant = current_setting('app.tenant', true));
"""


@pytest.fixture
def owner(store: Store) -> Iterator[Login]:
    """Owns the outbox, and may read the store, which is another role's; a superuser applies."""
    with ExitStack() as stack:
        outbox, shop = (stack.enter_context(a_login(store.sql)) for _ in range(2))
        own(store.sql, shop.name, "store")
        own(store.sql, outbox.name, "public")
        store.sql.execute(f"GRANT USAGE ON SCHEMA store TO {outbox.name}".encode())
        store.sql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA store TO {outbox.name}".encode())
        store.write('document = "store.documents"', QUERY)
        yield outbox


def whose(store: Store) -> object:
    """The owner of the view."""
    return store.sql.execute(OWNER.encode()).fetchone()


def warned(store: Store) -> str:
    """What `plan` warns of."""
    return str(store.plan()["warnings"])


@pytest.mark.parametrize("by_sql", [False, True])
def test_a_superusers_view_belongs_to_the_owner_of_the_outbox(
    store: Store, owner: Login, by_sql: bool
) -> None:
    store.sql.execute(TENANTS)
    if by_sql:
        store.sql.execute(store("sql").stdout.encode())
    else:
        store.apply()
    assert whose(store) == (owner.name,)
    assert "reads past" not in warned(store)
    store.sql.execute(f"ALTER ROLE {owner.name} BYPASSRLS".encode())
    assert f"store.products has row level security, which {owner.name} reads past" in warned(store)


def test_one_that_a_superuser_made_before_is_named_and_given_away(store: Store, owner: Login) -> None:
    store.apply()
    store.sql.execute(f"ALTER VIEW {VIEW} OWNER TO CURRENT_USER".encode())
    assert '"projection-view-owner"' in store.cli("doctor", "--json", "--only", "database").stdout
    assert store.what() == ["view"]
    store.apply()
    assert whose(store) == (owner.name,)
    assert store.what() == []
    assert '"projection-view-owner"' not in store.cli("doctor", "--json", "--only", "database").stdout


def test_a_member_of_the_owner_gives_it_the_view(store: Store, owner: Login) -> None:
    with a_login(store.sql, "USAGE, CREATE ON SCHEMA public") as member:
        store.sql.execute(f"ALTER ROLE {member.name} NOINHERIT; GRANT {owner.name} TO {member.name}".encode())
        store.sql.execute(f"GRANT CREATE ON SCHEMA public TO {owner.name}".encode())
        with psycopg.connect(member.url, autocommit=True) as sql:
            sql.execute(changes.create_sql("public", "product", "SELECT 1 AS id", anew=False).encode())
        assert whose(store) == (owner.name,)


@pytest.mark.usefixtures("owner")
def test_who_cannot_give_the_view_to_the_owner_makes_none(store: Store) -> None:
    with (
        a_login(store.sql, "USAGE, CREATE ON SCHEMA public") as other,
        psycopg.connect(other.url) as sql,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        sql.execute(changes.create_sql("public", "product", "SELECT 1 AS id", anew=False).encode())
    assert store.sql.execute(f"SELECT to_regclass('{VIEW}')".encode()).fetchone() == (None,)


def test_what_the_owner_may_not_read_is_refused_before_anything_is_made(store: Store, owner: Login) -> None:
    store.sql.execute(f"REVOKE SELECT ON store.reviews FROM {owner.name}".encode())
    script = store("sql")
    for done in (script, store("plan"), store("apply", *WHO)):
        assert done.returncode == 2, done.stdout
        assert "permission denied for table reviews" in done.stderr
        assert "GRANT SELECT ON … TO the owner of the outbox" in done.stderr
    assert store.facts()[0] == []


@pytest.mark.parametrize("by_sql", [False, True])
def test_a_view_of_ours_that_belongs_to_another_role_is_taken_back(
    store: Store, owner: Login, by_sql: bool
) -> None:
    store.apply()
    made = store.sql.execute(f"SELECT pg_get_viewdef('{VIEW}'::regclass)".encode()).fetchone()
    with a_login(store.sql, "USAGE, CREATE ON SCHEMA public", "USAGE ON SCHEMA store") as mallory:
        store.sql.execute(f"ALTER VIEW {VIEW} OWNER TO {mallory.name}".encode())
        with psycopg.connect(mallory.url, autocommit=True) as sql:
            sql.execute(f"DROP VIEW {VIEW}; CREATE VIEW {VIEW} AS SELECT 1::bigint AS id".encode())
            sql.execute(f"GRANT ALL ON {VIEW} TO PUBLIC".encode())
        if by_sql:
            store.sql.execute(store("sql").stdout.encode())
        else:
            store.apply()
        assert whose(store) == (owner.name,)
        assert store.sql.execute(f"SELECT pg_get_viewdef('{VIEW}'::regclass)".encode()).fetchone() == made
        with psycopg.connect(mallory.url, autocommit=True) as sql:
            for statement in (f"TABLE {VIEW}", f"DROP VIEW {VIEW}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    sql.execute(statement.encode())


@pytest.mark.usefixtures("owner")
def test_a_view_that_another_role_made_under_our_name_is_not_adopted(store: Store) -> None:
    with a_login(store.sql, "USAGE, CREATE ON SCHEMA public") as mallory:
        with psycopg.connect(mallory.url, autocommit=True) as sql:
            sql.execute(f"CREATE VIEW public.{VIEW} AS SELECT 1::bigint AS id")
        done = store("apply", *WHO)
        assert done.returncode == 2, done.stdout
        assert f"public.{VIEW} is there already" in done.stderr
