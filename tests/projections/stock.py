"""Items of several sites, by a key of two texts, with triggers as `apply` makes them: a live application."""

import threading
from collections.abc import Iterable
from random import Random
from time import monotonic
from typing import Any

import psycopg

from outboxctl.domain.projection import KeyColumn, Projection, Relation, key_text

# The unique index has another order of columns than the key.
SCHEMA = """
CREATE SCHEMA stock;
CREATE TABLE stock.items (code text, site text, amount int NOT NULL DEFAULT 1, note text,
    PRIMARY KEY (site, code));
CREATE VIEW stock.item_documents AS
SELECT code, site, amount, note, amount > 5 AS plenty, json_build_object('of', note) AS more
FROM stock.items WHERE amount >= 0;
CREATE FUNCTION stock.changed() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE part record;
BEGIN
    FOR part IN SELECT DISTINCT replace(replace(x.code, '%', '%25'), ':', '%3A') || ':'
            || replace(replace(x.site, '%', '%25'), ':', '%3A') AS key
        FROM (VALUES (OLD.code, OLD.site), (NEW.code, NEW.site)) x (code, site) WHERE x.code IS NOT NULL
    LOOP
        INSERT INTO public.search_outbox_events (entity_type, entity_id, op, entity_key)
        VALUES ('stock', md5('stock:' || part.key)::uuid, 'upsert', part.key);
    END LOOP;
    RETURN NULL;
END $$;
CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE ON stock.items
FOR EACH ROW EXECUTE FUNCTION stock.changed();
"""
PUT = """
INSERT INTO stock.items (code, site, amount, note) VALUES (%s, %s, %s, %s)
ON CONFLICT (site, code) DO UPDATE SET amount = EXCLUDED.amount, note = EXCLUDED.note
"""
LONG = "x" * 600  # its key is hashed
CODES = ["a", "a:b", "50%", "%3A", "a%25:b", "ä", LONG, "x'\"\\", "{,}"]
SITES = ["n", "n:s", "%", ":"]


def projection(index: str) -> Projection:
    """The projection `stock`: items that are there."""
    columns = (KeyColumn("code", "pg_catalog.text"), KeyColumn("site", "pg_catalog.text"))
    return Projection(
        "stock", Relation("stock", "items"), columns, Relation("stock", "item_documents"), index
    )


def put(sql: psycopg.Connection, items: Iterable[tuple[str, str, int, str]]) -> None:
    """Write items, each with its event."""
    with sql.cursor() as cursor:
        cursor.executemany(PUT, list(items))


def some(sql: psycopg.Connection) -> None:
    """Items with every awkward code at every site."""
    put(sql, [(code, site, n, f"note {n}") for n, site in enumerate(SITES) for code in CODES])


def wanted(sql: psycopg.Connection) -> dict[str, dict[str, Any]]:
    """The documents of the view by id."""
    rows = sql.execute("SELECT code, site, to_json(v) FROM stock.item_documents v").fetchall()
    return {projection("").id_of(key_text([code, site])): document for code, site, document in rows}


class Writer(threading.Thread):
    """Puts, changes, hides and deletes items, some in transactions of several, until stopped."""

    def __init__(self, url: str, *, rate: int = 200, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self._url, self._rate, self._rng = url, rate, Random(seed)
        self._over = threading.Event()
        self.acts = 0

    def run(self) -> None:
        """About `rate` acts a second."""
        began = monotonic()
        with psycopg.connect(self._url, autocommit=True) as sql:
            while not self._over.wait(max(0.0, began + self.acts / self._rate - monotonic())):
                with sql.transaction(force_rollback=self._rng.random() < 0.1):
                    for _ in range(self._rng.randint(1, 3)):
                        self._act(sql)

    def _act(self, sql: psycopg.Connection) -> None:
        self.acts += 1
        rng = self._rng
        key = f"{rng.choice(CODES)}{rng.randint(0, 60)}", rng.choice(SITES)
        act = rng.random()
        if act < 0.6:
            put(sql, [(*key, rng.randint(-2, 9), f"note {self.acts}")])
        elif act < 0.8:
            sql.execute("DELETE FROM stock.items WHERE (code, site) = (%s, %s)", key)
        else:
            sql.execute(
                "UPDATE stock.items SET code = code || '+' WHERE (code, site) = (%s, %s)"
                " AND NOT EXISTS (SELECT FROM stock.items WHERE (code, site) = (%s || '+', %s))",
                [*key, *key],
            )

    def stop(self) -> None:
        """Wait for the last act."""
        self._over.set()
        self.join()
