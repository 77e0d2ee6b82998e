"""Partitioned tables, and partitions, as root and as followed table."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from outboxctl.core.database import Database
from outboxctl.core.projections import changes
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Follow
from projections import shop_tables as shop
from projections.shop_tables import PRODUCT, faults, keys, taken, watch

PARTITIONED = """
CREATE TABLE shop.lines (id bigint, day date, product_id bigint, text text, PRIMARY KEY (id, day))
    PARTITION BY RANGE (day);
CREATE TABLE shop.lines_2024 PARTITION OF shop.lines FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.lines_2025 (x int, id bigint NOT NULL, text text, day date NOT NULL, product_id bigint);
ALTER TABLE shop.lines_2025 DROP COLUMN x;
ALTER TABLE shop.lines ATTACH PARTITION shop.lines_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
"""


def test_partitions_are_watched_whoever_writes_to_which(db: Database, bare: psycopg.Connection) -> None:
    bare.execute(PARTITIONED.encode())
    watch(db, replace(PRODUCT, follow=(Follow(shop.shop("lines"), key=("product_id",), columns=("text",)),)))
    bare.execute(
        "INSERT INTO shop.lines VALUES (1, '2024-05-05', 1), (2, '2025-05-05', 2), (3, '2025-05-05', NULL)"
    )
    assert keys(bare) == ["1", "2"]
    bare.execute("INSERT INTO shop.lines_2025 (id, day, product_id) VALUES (4, '2025-05-05', 4)")
    assert keys(bare) == ["4"]
    bare.execute("UPDATE shop.lines SET day = '2025-06-06' WHERE id = 1")
    assert set(keys(bare)) == {"1"}
    bare.execute("UPDATE shop.lines_2025 SET text = 'x', product_id = 3 WHERE id = 4")
    assert keys(bare) == ["3", "4"]
    bare.execute("UPDATE shop.lines SET id = id + 10; UPDATE shop.lines SET text = text")
    assert keys(bare) == []
    bare.execute(
        "CREATE TABLE shop.lines_2026 PARTITION OF shop.lines"
        " FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    bare.execute("INSERT INTO shop.lines VALUES (9, '2026-05-05', 1)")
    assert keys(bare) == ["1"]
    bare.execute("DELETE FROM shop.lines WHERE product_id = 2")
    assert keys(bare) == ["2"]
    bare.execute("TRUNCATE shop.lines")
    assert taken(bare) == [("product", "", -1)]


def test_a_partition_as_the_root_hears_of_writes_to_its_parent(
    db: Database, bare: psycopg.Connection
) -> None:
    bare.execute(PARTITIONED.encode())
    watch(db, shop.of("lines_2024"))
    bare.execute("INSERT INTO shop.lines VALUES (1, '2024-05-05', 1), (2, '2025-05-05', 2)")
    assert keys(bare) == ["1"]


def test_a_partition_whose_trigger_is_disabled_is_found(db: Database, bare: psycopg.Connection) -> None:
    bare.execute(PARTITIONED.encode())
    lines = shop.of("lines")
    watch(db, lines)
    assert faults(db, lines) == []
    bare.execute("ALTER TABLE shop.lines_2025 DISABLE TRIGGER outbox_lines_root_row")
    assert faults(db, lines) == [("lines", "DISABLED", "outbox_lines_root_row")]


ATTACHED = """
CREATE TABLE shop.lines_2026 PARTITION OF shop.lines FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE shop.lines_2027 (LIKE shop.lines INCLUDING ALL);
ALTER TABLE shop.lines ATTACH PARTITION shop.lines_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
INSERT INTO shop.lines VALUES (1, '2026-05-05', 1), (2, '2027-05-05', 2)
"""


def test_the_owner_of_a_partitioned_table_makes_and_attaches_partitions(
    db: Database, bare: psycopg.Connection, url: str
) -> None:
    """Next month's rows would have nowhere to go."""
    bare.execute(PARTITIONED.encode())
    lines = replace(
        PRODUCT, follow=(Follow(shop.shop("lines"), key=("product_id",), columns=("product_id", "text")),)
    )
    watch(db, lines)
    with an_owner(bare, "shop.lines", "shop.lines_2024", "shop.lines_2025") as owner:
        assert faults(db, lines) == [("lines", "PARTITIONS", "outbox_product_0")]
        watch(db, lines)
        assert faults(db, lines) == []
        with psycopg.connect(url, user=owner, password="secret", autocommit=True) as own:
            own.execute(ATTACHED)
            assert keys(bare) == ["1", "2"]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute("SELECT FROM public.search_outbox_events")


def test_a_partition_on_which_no_trigger_may_be_made_is_named(bare: psycopg.Connection, url: str) -> None:
    bare.execute(PARTITIONED.encode())
    with an_owner(bare, "shop.lines", "shop.lines_2024") as owner:
        database = Database(f"postgresql://{owner}:secret@{url.partition('@')[2]}", connections=1)
        with (
            database.begin() as connection,
            pytest.raises(UsageError, match=r"shop\.lines_2025, a partition"),
        ):
            changes.check_rights(connection, "public", [shop.shop("lines")])
        database.close()


@contextmanager
def an_owner(sql: psycopg.Connection, *tables: str) -> Iterator[str]:
    """A login that owns these tables, and nothing else."""
    name = f"t{uuid4().hex[:8]}"
    shop.roles(sql, name)
    sql.execute(SQL("GRANT USAGE, CREATE ON SCHEMA shop TO {}").format(Identifier(name)))
    for table in tables:
        sql.execute(f"ALTER TABLE {table} OWNER TO {name}".encode())
    try:
        yield name
    finally:
        sql.execute(
            f"REASSIGN OWNED BY {name} TO CURRENT_USER; DROP OWNED BY {name}; DROP ROLE {name}".encode()
        )
