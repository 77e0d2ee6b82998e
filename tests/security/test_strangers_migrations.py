"""Whoever owns a table has a projection's views put aside: what that does not give him."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import psycopg
import pytest
from psycopg import errors

from projections.logins import Login, a_login
from projections.store import QUERY, Store, own

OWNER = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'outbox_document_product'::regclass"
FUNCTIONS = "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'outbox\\_projections\\_%'"
SUSPEND = "SELECT outbox_projections_suspend('store.products')"
RESUME = "SELECT outbox_projections_resume()"


class Owners(NamedTuple):
    """Who owns the outbox with its view, and who owns the store."""

    outbox: Login
    shop: Login
    store: Store


@pytest.fixture(params=["given", "superuser"])
def owners(request: pytest.FixtureRequest, store: Store) -> Iterator[Owners]:
    """The functions belong to the outbox's owner, or to a superuser still."""
    with ExitStack() as stack:
        outbox, shop = (stack.enter_context(a_login(store.sql)) for _ in range(2))
        own(store.sql, shop.name, "store")
        own(store.sql, outbox.name, "public")
        functions = store.sql.execute(FUNCTIONS).fetchall() if request.param == "given" else []
        for (name,) in functions:
            store.sql.execute(f"ALTER FUNCTION {name} OWNER TO {outbox.name}".encode())
        store.sql.execute(f"GRANT USAGE ON SCHEMA store TO {outbox.name}".encode())
        store.sql.execute(f"GRANT USAGE ON SCHEMA public TO {shop.name}".encode())
        store.sql.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA store TO {outbox.name}".encode())
        store.sql.execute("DROP VIEW store.documents")
        store.write('document = "store.documents"', QUERY)
        store.apply()
        yield Owners(outbox, shop, store)


def run(url: str, *statements: str) -> None:
    """Run them in one transaction."""
    with psycopg.connect(url) as sql:
        for each in statements:
            sql.execute(each.encode())


def refused(url: str, kind: type[psycopg.Error], words: str, *statements: str) -> None:
    """One transaction with these statements does not end."""
    with pytest.raises(kind, match=words):
        run(url, *statements)


def test_the_view_stays_the_outboxes(owners: Owners) -> None:
    run(owners.shop.url, SUSPEND, "ALTER TABLE store.products ALTER title TYPE varchar(90)", RESUME)
    assert owners.store.sql.execute(OWNER).fetchone() == (owners.outbox.name,)
    refused(owners.shop.url, errors.InsufficientPrivilege, "permission denied", "TABLE outbox_projections")


def test_no_other_relation_gets_into_the_view(owners: Owners) -> None:
    """Its owner's rights would be lent to whatever has the table's name by then."""
    swap = "ALTER TABLE store.products RENAME TO old; CREATE VIEW store.products AS SELECT * FROM store.old"
    words = "would read another store.products"
    refused(owners.shop.url, errors.ObjectNotInPrerequisiteState, words, SUSPEND, swap, RESUME)


def test_no_view_of_his_takes_its_place(owners: Owners) -> None:
    owners.store.sql.execute(f"GRANT CREATE ON SCHEMA public TO {owners.shop.name}".encode())
    mine = "CREATE VIEW public.outbox_document_product AS SELECT id, title, 0 AS reviews FROM store.products"
    words = f"is there, but belongs to {owners.shop.name}, not to {owners.outbox.name}"
    refused(owners.shop.url, errors.ObjectNotInPrerequisiteState, words, SUSPEND, mine, RESUME)


@pytest.mark.parametrize("forged", [RESUME.replace("resume", "settle"), "SELECT 1"])
def test_no_transaction_ends_without_the_view(owners: Owners, forged: str) -> None:
    words = "was not made again|put aside"
    refused(owners.shop.url, errors.ObjectNotInPrerequisiteState, words, SUSPEND, forged)


def test_who_owns_no_table_drops_nothing_by_the_parts_either(owners: Owners) -> None:
    with a_login(owners.store.sql, "USAGE ON SCHEMA store") as other:
        saved = "SELECT outbox_projections_save(ARRAY['store.products'::regclass])"
        refused(other.url, errors.InsufficientPrivilege, "must be owner", saved)
        with psycopg.connect(other.url) as sql:
            sql.execute("SELECT outbox_projections_own(1, false), outbox_projections_settle()")
            assert sql.execute("SELECT * FROM outbox_projections_saved()").fetchall() == []
    assert owners.store.what() == []


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ("CREATE VIEW store.report AS SELECT * FROM public.outbox_document_product", "view store.report"),
        ("CREATE RULE r AS ON INSERT TO public.outbox_document_product DO INSTEAD NOTHING", "has a rule"),
    ],
)
def test_what_cannot_be_made_again_is_not_dropped(owners: Owners, made: str, words: str) -> None:
    owners.store.sql.execute(made.encode())
    with pytest.raises(psycopg.Error) as raised:
        run(owners.shop.url, SUSPEND)
    assert words in str(raised.value)


SPY = """LANGUAGE plpgsql AS $$BEGIN RETURN 'read as ' || current_user; END$$"""
EVIL = f"""
CREATE TYPE store.evil AS (t text);
CREATE FUNCTION store.evil_text(store.evil) RETURNS text {SPY};
CREATE CAST (store.evil AS text) WITH FUNCTION store.evil_text(store.evil) AS {{context}};
ALTER TABLE store.products ALTER title TYPE store.evil USING ROW(title)::store.evil
"""
SWAP = f"DROP FUNCTION lib.fmt(text); CREATE FUNCTION lib.fmt(t text) RETURNS text {SPY}"
OVERLOAD = f"""
CREATE FUNCTION lib.fmt(t varchar) RETURNS text {SPY};
ALTER TABLE store.products ALTER title TYPE varchar(90)
"""
OPERATOR = f"""
DROP OPERATOR lib.+ (text, text);
CREATE FUNCTION lib.plus(text, text) RETURNS text {SPY};
CREATE OPERATOR lib.+ (LEFTARG = text, RIGHTARG = text, FUNCTION = lib.plus)
"""


@pytest.mark.parametrize(
    ("select", "change"),
    [
        ("lower(p.title)", EVIL.format(context="IMPLICIT")),
        ("p.title || '!'", EVIL.format(context="ASSIGNMENT")),
        (
            "concat(p.title)",
            "CREATE DOMAIN store.d AS text; ALTER TABLE store.products ALTER title TYPE store.d",
        ),
        ("lib.fmt(p.title)", SWAP),
        ("lib.fmt(p.title)", OVERLOAD),
        ("p.title OPERATOR(lib.+) 'x'", OPERATOR),
    ],
)
def test_no_code_of_his_gets_into_the_view(owners: Owners, select: str, change: str) -> None:
    """Whoever reads it, and the outbox's owner who makes it, would run that."""
    sql = owners.store.sql
    sql.execute(
        f"""
        INSERT INTO store.products (id, tenant, title) VALUES (1, 't', 'Pan');
        CREATE SCHEMA lib AUTHORIZATION {owners.shop.name};
        GRANT USAGE ON SCHEMA lib TO {owners.outbox.name};
        CREATE FUNCTION lib.fmt(t text) RETURNS text LANGUAGE sql AS 'SELECT t';
        CREATE OPERATOR lib.+ (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.textcat);
        ALTER FUNCTION lib.fmt OWNER TO {owners.outbox.name}""".encode()
    )
    owners.store.write(QUERY, f'query = "SELECT p.id, {select} AS title FROM store.products p"')
    owners.store.apply()
    words = f"would use the (type|function) .* of the role {owners.shop.name}"
    refused(owners.shop.url, errors.InsufficientPrivilege, words, SUSPEND, change, RESUME)
    run(owners.shop.url, SUSPEND, "ALTER TABLE store.products ALTER price TYPE text", RESUME)
