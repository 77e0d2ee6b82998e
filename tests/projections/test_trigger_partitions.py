"""Partitioned tables, and partitions, as root and as followed table."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from outboxctl.core.database import Database
from outboxctl.core.projections import changes
from outboxctl.domain.errors import UsageError
from outboxctl.domain.projection import Follow
from projections import shop_tables as shop
from projections.logins import Login, a_login
from projections.shop_tables import PRODUCT, faults, function, keys, taken, unwatch, watch

LINES = function("lines")
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
    assert keys(bare) == []  # it moves, and what the document uses stays as it is
    bare.execute("UPDATE shop.lines SET day = '2024-06-06', text = 'y' WHERE id = 1")
    assert keys(bare) == ["1"]
    bare.execute("UPDATE shop.lines_2025 SET text = 'x', product_id = 3 WHERE id = 4")
    assert keys(bare) == ["3", "4"]
    bare.execute("UPDATE shop.lines SET id = id + 10; UPDATE shop.lines SET text = text")
    assert keys(bare) == []
    bare.execute(
        "CREATE TABLE shop.lines_2026 PARTITION OF shop.lines"
        " FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    bare.execute("INSERT INTO shop.lines_2026 VALUES (8, '2026-05-05', 3)")
    assert keys(bare) == ["3"]
    bare.execute("INSERT INTO shop.lines VALUES (9, '2026-05-05', 1)")
    assert set(keys(bare)) == {"1"}
    bare.execute("DELETE FROM shop.lines WHERE product_id = 2")
    assert keys(bare) == ["2"]
    bare.execute("TRUNCATE shop.lines_2025")
    assert taken(bare) == [("product", "", -1)]
    bare.execute("TRUNCATE shop.lines")
    assert set(taken(bare)) == {("product", "", -1)}


def test_a_partition_as_the_root_hears_of_writes_to_its_parent(
    db: Database, bare: psycopg.Connection
) -> None:
    bare.execute(PARTITIONED.encode())
    watch(db, shop.of("lines_2024"))
    bare.execute("INSERT INTO shop.lines VALUES (1, '2024-05-05', 1), (2, '2025-05-05', 2)")
    assert keys(bare) == ["1"]


def test_a_bulk_write_calls_one_function_whatever_the_partitions(
    db: Database, bare: psycopg.Connection
) -> None:
    """A call for each row cost 160 to 300 us of the application's time."""
    bare.execute(PARTITIONED.encode())
    watch(db, shop.of("lines"))
    for change in (
        "INSERT INTO shop.lines SELECT n, '2024-05-05', 1 FROM generate_series(1, 50) n",
        "INSERT INTO shop.lines_2025 (id, day) SELECT n, '2025-05-05' FROM generate_series(51, 100) n",
        "UPDATE shop.lines SET text = 'x'",
        "UPDATE shop.lines SET day = day + 365 WHERE id < 20",
        "UPDATE shop.lines_2025 SET text = 'y'",
        "DELETE FROM shop.lines",
    ):
        assert calls(bare, change) == {LINES: 1}, change
    assert len(keys(bare)) == 50 + 50 + 100 + 19 + 50 + 19 + 100  # a row that moves has one event


CALLS = "SELECT funcname::text, calls FROM pg_stat_xact_user_functions"


def calls(sql: psycopg.Connection, change: str) -> dict[str, int]:
    """How often each function is called by these statements."""

    def counted() -> Counter[str]:
        return Counter(dict(sql.execute(CALLS).fetchall()))

    with sql.transaction():
        sql.execute("SET LOCAL track_functions = 'pl'")
        before = counted()
        sql.execute(change.encode())
        return dict(counted() - before)


FOUND = [
    (f"DISABLE TRIGGER {LINES}_update", ("lines_2025", "DISABLED", f"{LINES}_update")),
    ("ENABLE TRIGGER ALL", ("lines_2025", "ROW_BY_ROW", f"{LINES}_row")),
]


@pytest.mark.parametrize(("change", "found"), FOUND)
def test_triggers_of_a_partition_that_somebody_changed_are_found_and_made_good(
    db: Database, bare: psycopg.Connection, change: str, found: tuple[str, str, str]
) -> None:
    bare.execute(PARTITIONED.encode())
    lines = shop.of("lines")
    watch(db, lines)
    assert faults(db, lines) == []
    bare.execute(f"ALTER TABLE shop.lines_2025 {change}".encode())
    assert faults(db, lines) == [found]
    watch(db, lines)
    assert faults(db, lines) == []
    bare.execute(f"DROP TRIGGER {LINES}_delete ON shop.lines_2025".encode())
    assert faults(db, lines) == [("lines_2025", "NO_TRIGGER", f"{LINES}_delete")]


def test_a_new_partition_is_written_row_by_row_until_the_next_apply(
    db: Database, bare: psycopg.Connection
) -> None:
    bare.execute(PARTITIONED.encode())
    lines = shop.of("lines")
    watch(db, lines)
    bare.execute(LATER)
    named = [(name, "ROW_BY_ROW", f"{LINES}_row") for name in ("lines_2026", "lines_2027", "late")]
    assert sorted(faults(db, lines)) == sorted(named)
    for table in ("lines_2026", "late"):
        bare.execute(WRITE.format(table).encode())
        assert sorted(keys(bare)) == ["1", "1", "2", "2", "2"], table
    with bare.transaction():
        bare.execute("LOCK TABLE ONLY shop.lines IN ROW EXCLUSIVE MODE")  # somebody writes to another one
        watch(db, lines)
    assert faults(db, lines) == []
    for table in ("lines_2026", "lines_2027", "late"):
        assert calls(bare, WRITE.format(table)) == {LINES: 3}
        assert sorted(keys(bare)) == ["1", "1", "2", "2", "2"], table


LATER = """
CREATE TABLE shop.lines_2026 PARTITION OF shop.lines FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE shop.lines_2027 PARTITION OF shop.lines FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')
    PARTITION BY LIST (id);
CREATE TABLE shop.late PARTITION OF shop.lines_2027 DEFAULT
"""
WRITE = """
INSERT INTO shop.{0} (id, day)
    SELECT n, date '2027-05-05' - 365 * ('{0}' = 'lines_2026')::int FROM generate_series(1, 2) n;
UPDATE shop.{0} SET text = 'x' WHERE id = 2;
DELETE FROM shop.{0}
"""


@pytest.mark.parametrize("dropped", [True, False], ids=["drop", "apply"])
def test_a_former_partition_keeps_its_triggers_until_drop_or_apply(
    db: Database, bare: psycopg.Connection, dropped: bool
) -> None:
    bare.execute(PARTITIONED.encode())
    lines = shop.of("lines")
    watch(db, lines)
    bare.execute("ALTER TABLE shop.lines DETACH PARTITION shop.lines_2025")
    bare.execute("INSERT INTO shop.lines_2025 (id, day) VALUES (1, '2025-05-05')")
    assert keys(bare) == ["1"]  # the row is not in the view: an event of this key does nothing
    assert {fault for _, fault, _ in faults(db, lines)} == {"STRAY"}
    if dropped:
        unwatch(db, lines)
    else:
        watch(db, lines)
    left = "SELECT FROM pg_trigger WHERE tgrelid = 'shop.lines_2025'::regclass AND tgname ~ '^outbox'"
    assert bare.execute(left).fetchall() == []


def test_a_row_that_a_trigger_keeps_from_its_new_partition_is_not_missed(
    db: Database, sql: psycopg.Connection
) -> None:
    sql.execute(
        "CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY, n int) PARTITION BY RANGE (id);"
        " CREATE TABLE shop.low PARTITION OF shop.t FOR VALUES FROM (0) TO (10);"
        " CREATE TABLE shop.high PARTITION OF shop.t FOR VALUES FROM (10) TO (20);"
        " CREATE FUNCTION shop.none() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
        " CREATE TRIGGER none BEFORE INSERT ON shop.high FOR EACH ROW EXECUTE FUNCTION shop.none()"
    )
    watch(db, shop.of("t", "id", "pg_catalog.int4", columns=("id",)))
    sql.execute("INSERT INTO shop.t VALUES (1, 1)")
    assert keys(sql) == ["1"]
    sql.execute("UPDATE shop.t SET id = 11")
    assert sql.execute("SELECT 1 FROM shop.t").fetchall() == []
    assert keys(sql) == ["1"]


FOREIGN = """
CREATE TABLE shop.far (id bigint, day date);
CREATE TABLE shop.logs (id bigint, day date) PARTITION BY RANGE (day);
CREATE TABLE shop.logs_2025 PARTITION OF shop.logs FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE EXTENSION postgres_fdw;
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw
    OPTIONS (host '{host}', port '{port}', dbname '{dbname}');
CREATE USER MAPPING FOR CURRENT_USER SERVER other OPTIONS (user '{user}', password '{password}');
CREATE FOREIGN TABLE shop.logs_2024 (id bigint, day date) SERVER other
    OPTIONS (schema_name 'shop', table_name 'far');
"""
ATTACH = (
    "ALTER TABLE shop.logs ATTACH PARTITION shop.logs_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')"
)


def test_a_foreign_partition_fails_no_write(db: Database, bare: psycopg.Connection, url: str) -> None:
    """PostgreSQL refuses writes that need transition tables of a foreign table."""
    if not bare.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'").fetchone():
        pytest.skip("needs postgres_fdw")
    bare.execute(FOREIGN.format(**{"password": "", **conninfo_to_dict(url)}).encode())
    logs = shop.of("logs")
    watch(db, logs)
    with pytest.raises(psycopg.errors.WrongObjectType, match="logs_2024"):
        bare.execute(ATTACH.encode())
    name = function("logs", rows=True)
    bare.execute(f"DROP TRIGGER {name} ON shop.logs".encode())  # as docs/projections.md says
    bare.execute(ATTACH.encode())
    watch(db, logs)
    assert faults(db, logs) == []
    bare.execute("INSERT INTO shop.logs VALUES (1, '2024-05-05'), (2, '2025-05-05')")
    assert keys(bare) == ["1", "2"]
    bare.execute("UPDATE shop.logs SET id = id + 10; DELETE FROM shop.logs_2025")
    assert keys(bare) == ["1", "11", "12", "12", "2"]
    bare.execute("ALTER TABLE shop.logs DETACH PARTITION shop.logs_2024")
    assert faults(db, logs) == [("logs", "ROW_BY_ROW", name)]
    watch(db, logs)
    assert faults(db, logs) == []


def test_who_does_not_own_the_partitions_has_events_row_by_row(
    db: Database, bare: psycopg.Connection
) -> None:
    """Only the owner of a table may disable its copy of a trigger."""
    bare.execute(PARTITIONED.encode())
    lines = shop.of("lines")
    with an_owner(bare, "search_outbox_events") as login:
        for grant in ("TRIGGER ON ALL TABLES IN SCHEMA shop", "CREATE ON SCHEMA public"):
            bare.execute(f"GRANT {grant} TO {login.name}".encode())
        database = Database(login.url, connections=1)
        watch(database, lines)
        assert faults(database, lines) == []
        assert faults(db, lines) == [("lines", "ROW_BY_ROW", f"{LINES}_row")]
        bare.execute("INSERT INTO shop.lines VALUES (1, '2024-05-05'); DELETE FROM shop.lines_2024")
        assert keys(bare) == ["1", "1"]
        watch(db, lines)
        assert faults(database, lines) == faults(db, lines) == []
        watch(database, lines)
        assert faults(db, lines) == []
        database.close()


ATTACHED = """
CREATE TABLE shop.lines_2026 PARTITION OF shop.lines FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE shop.lines_2027 (LIKE shop.lines INCLUDING ALL);
ALTER TABLE shop.lines ATTACH PARTITION shop.lines_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
INSERT INTO shop.lines VALUES (1, '2026-05-05', 1), (2, '2027-05-05', 2)
"""


def test_the_owner_of_a_partitioned_table_makes_and_attaches_partitions(
    db: Database, bare: psycopg.Connection
) -> None:
    """Next month's rows would have nowhere to go."""
    bare.execute(PARTITIONED.encode())
    lines = replace(
        PRODUCT, follow=(Follow(shop.shop("lines"), key=("product_id",), columns=("product_id", "text")),)
    )
    watch(db, lines)
    with an_owner(bare, "shop.lines", "shop.lines_2024", "shop.lines_2025") as owner:
        assert faults(db, lines) == [("lines", "PARTITIONS", f"{LINES}_row")]
        watch(db, lines)
        assert faults(db, lines) == []
        with psycopg.connect(owner.url, autocommit=True) as own:
            own.execute(ATTACHED)
            assert set(keys(bare)) == {"1", "2"}
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                own.execute("SELECT FROM public.search_outbox_events")


def test_a_partition_on_which_no_trigger_may_be_made_is_named(bare: psycopg.Connection) -> None:
    bare.execute(PARTITIONED.encode())
    with an_owner(bare, "shop.lines", "shop.lines_2024") as owner:
        database = Database(owner.url, connections=1)
        with (
            database.begin() as connection,
            pytest.raises(UsageError, match=r"shop\.lines_2025, a partition"),
        ):
            changes.check_rights(connection, "public", [shop.shop("lines")])
        database.close()


@contextmanager
def an_owner(sql: psycopg.Connection, *tables: str) -> Iterator[Login]:
    """A login that owns these tables, and nothing else."""
    with a_login(sql, "USAGE, CREATE ON SCHEMA shop") as login:
        for table in tables:
            sql.execute(f"ALTER TABLE {table} OWNER TO {login.name}".encode())
        yield login
