"""A random application of several sessions on roots and their children, for simulations of projections."""

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from time import sleep
from typing import Any

import psycopg
from psycopg.errors import DeadlockDetected, ForeignKeyViolation, SerializationFailure, UniqueViolation

from outboxctl.domain.projection import Follow, KeyColumn, Projection, Relation

SESSIONS, KEYS, TRANSACTIONS = 6, 12, 5
# Each version of a row has a number of its own, in the order of commits: rows are locked while they change.
SCHEMA = """
CREATE SCHEMA market;
CREATE SEQUENCE market.revisions;
CREATE TABLE market.groups (id int PRIMARY KEY, rev bigint NOT NULL DEFAULT nextval('market.revisions'));
CREATE TABLE market.roots (id int PRIMARY KEY, open boolean NOT NULL DEFAULT true,
    rev bigint NOT NULL DEFAULT nextval('market.revisions'),
    member int REFERENCES market.groups ON DELETE SET NULL ON UPDATE CASCADE);
CREATE TABLE market.parts (id bigserial PRIMARY KEY,
    root int REFERENCES market.roots ON DELETE CASCADE ON UPDATE CASCADE,
    rev bigint NOT NULL DEFAULT nextval('market.revisions'));
CREATE TABLE market.notes (id bigserial PRIMARY KEY,
    root int REFERENCES market.roots ON DELETE SET NULL ON UPDATE CASCADE,
    rev bigint NOT NULL DEFAULT nextval('market.revisions'));
CREATE INDEX ON market.roots (member);
CREATE INDEX ON market.parts (root);
CREATE INDEX ON market.notes (root);
CREATE VIEW market.documents AS SELECT r.id, r.rev,
    (SELECT json_object_agg('part ' || c.id, c.rev) FROM market.parts c WHERE c.root = r.id) AS parts,
    (SELECT json_object_agg('group ' || g.id, g.rev) FROM market.groups g WHERE g.id = r.member) AS groups,
    (SELECT json_object_agg('note ' || c.id, c.rev) FROM market.notes c WHERE c.root = r.id) AS notes
FROM market.roots r WHERE r.open;
"""
ROWS = "SELECT id::text, to_json(d)::text FROM market.documents d"
REV = "rev = nextval('market.revisions')"
ANY = "id = (SELECT id FROM market.{table} OFFSET floor(random() * 8) LIMIT 1)"
ANY_GROUP = "(SELECT min(id) FROM market.groups WHERE id > {c})"
STATEMENTS = (
    *["INSERT INTO market.roots VALUES ({a}), ({b}) ON CONFLICT DO NOTHING"] * 3,
    f"UPDATE market.roots SET {REV} WHERE id IN ({{a}}, {{b}})",
    f"UPDATE market.roots SET open = NOT open, {REV} WHERE id = {{a}}",
    f"UPDATE market.roots SET id = {{b}}, {REV} WHERE id = {{a}}",
    "UPDATE market.roots SET rev = rev WHERE id < {a}",
    "DELETE FROM market.roots WHERE id = {a}",
    "INSERT INTO market.{table} (root) SELECT id FROM market.roots WHERE id IN ({a}, {b})",
    f"UPDATE market.{{table}} SET {REV} WHERE root = {{a}}",
    f"UPDATE market.{{table}} SET root = {{b}}, {REV} WHERE {ANY}",
    f"UPDATE market.{{table}} SET root = NULL, {REV} WHERE {ANY}",
    f"DELETE FROM market.{{table}} WHERE {ANY}",
    "INSERT INTO market.groups SELECT {c} ON CONFLICT DO NOTHING",
    f"UPDATE market.groups SET {REV} WHERE id = {{c}}",
    f"UPDATE market.groups SET id = {{c}} + 1, {REV} WHERE id = {{c}}",
    "DELETE FROM market.groups WHERE id = {c}",
    *[f"UPDATE market.roots SET member = {ANY_GROUP}, {REV} WHERE id = {{a}}"] * 2,
)
TRUNCATIONS = ("TRUNCATE market.roots, market.parts, market.notes", "TRUNCATE market.parts, market.notes")
MEMBERS = "SELECT id FROM market.roots WHERE member = :id"
REFUSED = (DeadlockDetected, ForeignKeyViolation, SerializationFailure, UniqueViolation)


def documents(index: str) -> Projection:
    """The projection of the roots that are open, with their parts and notes."""
    return Projection(
        "market",
        Relation("market", "roots"),
        (KeyColumn("id", "pg_catalog.int4"),),
        Relation("market", "documents"),
        index,
        follow=(
            Follow(Relation("market", "parts"), key=("root",)),
            Follow(Relation("market", "notes"), key=("root",)),
            Follow(Relation("market", "groups"), keys=MEMBERS, parameters=("id",)),
        ),
    )


def rows(sql: psycopg.Connection) -> dict[str, Any]:
    """What an index has to hold."""
    return {key: json.loads(document) for key, document in sql.execute(ROWS)}


def trade(url: str, seed: int) -> None:
    """Run all sessions until each has made its transactions. Raises what the database refuses for good."""
    errors: list[BaseException] = []

    def session(number: int) -> None:
        try:
            with psycopg.connect(url, autocommit=True) as sql:
                sql.execute("SET deadlock_timeout = '20ms'")
                trader = Trader(sql, Random(seed * SESSIONS + number))
                for _ in range(TRANSACTIONS):
                    trader.transaction()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=session, args=[number]) for number in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


@dataclass
class Trader:
    """One session of the application."""

    sql: psycopg.Connection
    random: Random

    def transaction(self) -> None:
        """Some statements, some of them undone, and any end."""
        end = self.random.choice(["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"])
        with suppress(*REFUSED):
            self.sql.execute(self.random.choice(["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"]))
            for _ in range(self.random.randint(1, 5)):
                self._step()
            self._wait()
            self.sql.execute(end)
        self.sql.execute("ROLLBACK")

    def _step(self) -> None:
        if self.random.random() < 0.6:
            self._change()
            return
        self.sql.execute("SAVEPOINT s")
        try:
            self._change()
        except REFUSED:
            self.sql.execute("ROLLBACK TO s")
        if self.random.random() < 0.5:
            self.sql.execute("ROLLBACK TO s")

    def _change(self) -> None:
        a, b = self.random.sample(range(1, KEYS + 1), 2)
        table = self.random.choice(["parts", "notes"])
        statements = TRUNCATIONS if self.random.random() < 0.01 else STATEMENTS
        c = self.random.randint(1, 3)
        self.sql.execute(self.random.choice(statements).format(a=a, b=b, c=c, table=table))

    def _wait(self) -> None:
        if self.random.random() < 0.5:
            sleep(self.random.random() * 0.02)


class Past:
    """What the writes of one document have shown so far: no row of it may become older."""

    def __init__(self) -> None:
        self._root, self._gone = 0, True
        self._rows: Mapping[str, int] = {}
        self._newest: dict[str, int] = {}

    def write(self, document: str | None) -> str:
        """What is wrong with this write; empty: nothing."""
        if document is None:
            self._gone = True
            return ""
        shown = json.loads(document)
        rows = (shown["parts"] or {}) | (shown["notes"] or {}) | (shown["groups"] or {})
        problem = self._problem(shown["rev"], rows)
        self._root, self._gone, self._rows = shown["rev"], False, rows
        self._newest |= rows
        return problem

    def _problem(self, root: int, rows: Mapping[str, int]) -> str:
        if self._gone and root <= self._root:
            return "it came back after its delete"
        if root < self._root:
            return "its root became older"
        for row, revision in rows.items():
            newest = self._newest.get(row, 0)
            # A row that moves to another root and back is changed twice, if its root does not move itself.
            back = root == self._root and row not in self._rows and revision <= newest
            if revision < newest or back:
                return f"its {row} became older"
        return ""
