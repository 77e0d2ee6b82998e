"""Views at random: every document that a change has altered is among those that its follows find."""

import json
import os
from collections import defaultdict
from random import Random
from typing import Any

import psycopg
import pytest

from outboxctl.core.database import Database
from outboxctl.core.projections import dependencies, view_texts
from outboxctl.domain.keys_query import replaced
from outboxctl.domain.projection import Relation
from outboxctl.operations.projection.analysis.analyse import Analysis, analyse
from outboxctl.operations.projection.analysis.keys import TableKey
from projections.random_views import COLUMNS, SCHEMA, ViewMaker

ROUNDS = int(os.environ.get("PROJECTIONS_ROUNDS", "15"))
SEED = int(os.environ.get("PROJECTIONS_SEED", "1"))
WRITES = 30
VIEW, ROOT = Relation("s", "v"), Relation("s", "r")
Rows = dict[str, dict[str, Any]]  # of each table, by their text


def analysis(db: Database) -> Analysis:
    """As of a document whose key is that of the root."""
    with db.begin() as connection:
        used = dependencies.used(connection, VIEW)
        texts = view_texts.read(connection, VIEW, {*used, ROOT})
    return analyse(texts, VIEW, TableKey(ROOT, ("id",)))


def documents(sql: psycopg.Connection) -> dict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for value, text in sql.execute("SELECT id, to_jsonb(v)::text FROM s.v WHERE id IS NOT NULL ORDER BY 2"):
        found[value].append(text)
    return dict(found)


def rows(sql: psycopg.Connection) -> Rows:
    return {
        table: {
            json.dumps(row): row for (row,) in sql.execute(f"SELECT to_jsonb(t) FROM s.{table} t".encode())
        }
        for table in COLUMNS
    }


def keys(sql: psycopg.Connection, found: Analysis, table: str, row: dict[str, Any]) -> set[int]:
    """The keys of the documents behind a changed row."""
    every = {row["id"]} if table == "r" else set()
    for way in found.follows.get(Relation("s", table), ()):
        if way.key:
            every.add(row[way.key[0]])
        else:
            query = replaced(way.keys, lambda name: "NULL::int" if row[name] is None else str(row[name]))
            every |= {key for (key,) in sql.execute(query.encode())}
    return every


@pytest.mark.slow(reason="hundreds of changes of tables beneath views at random")
def test_what_a_change_alters_is_among_what_is_followed(db: Database, sql: psycopg.Connection) -> None:
    sql.execute(SCHEMA.encode())
    maker, proved = ViewMaker(Random(SEED)), 0
    for view in [maker.view() for _ in range(ROUNDS)]:
        sql.execute("DROP VIEW IF EXISTS s.v")
        sql.execute(f"CREATE VIEW s.v AS {view}".encode())
        found = analysis(db)
        assert (found.wrong_key, found.unknown_key) == ("", "")
        unproven = {table.name for table in found.unproven}
        before, had, altered = documents(sql), rows(sql), 0
        for _ in range(WRITES):
            statement = maker.write()
            sql.execute(statement.encode())
            after, has = documents(sql), rows(sql)
            changed = {each for each in {*before, *after} if before.get(each) != after.get(each)}
            rows_changed = [
                (table, row)
                for table in COLUMNS
                for one, other in ((had, has), (has, had))
                for text, row in one[table].items()
                if text not in other[table]
            ]
            if not unproven & {table for table, _ in rows_changed}:
                followed = {one for each in rows_changed for one in keys(sql, found, *each)}
                assert changed <= followed, (view, statement, found.follows)
                altered += bool(changed)
            before, had = after, has
        proved += bool(altered)
    assert proved > ROUNDS / 5, "most views prove nothing: the test has become blind"
