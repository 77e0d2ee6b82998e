"""The judge of documents: the SELECT and the engine, compared by text that keeps every digit."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.sql import SQL, Composable, Identifier

from engines.node import Node
from outboxctl.domain.printable import brief


def rows(sql: psycopg.Connection, view: str, keys: Sequence[str]) -> dict[str, Any]:
    """What an index has to hold: the rows of the view by the text of their key."""
    # As the worker reads them: the text of a time depends on the session.
    with sql.transaction():
        sql.execute("SET LOCAL TimeZone = 'UTC'; SET LOCAL search_path = pg_catalog")
        query = SQL("SELECT {}, to_json(v)::text FROM {} v").format(_key(keys), SQL(view))
        found = sql.execute(query).fetchall()
    documents = {id_: json.loads(text, parse_float=Decimal) for id_, text in found}
    assert len(documents) == len(found), f"{view} has several rows of one key"
    return documents


def held(engine: Node, index: str) -> dict[str, Any]:
    """What the index holds, by id."""
    engine.ok("POST", f"/{index}/_refresh")
    return {hit["_id"]: hit["_source"] for hit in engine.scan(index, source=True)}


def _key(keys: Sequence[str]) -> Composable:
    """A key as the contract has it: one text, several joined by `:`."""
    if len(keys) == 1:
        return SQL("{}::text").format(Identifier(keys[0]))
    escaped = (SQL("replace(replace({}::text, '%', '%25'), ':', '%3A')").format(Identifier(k)) for k in keys)
    return SQL(" || ':' || ").join(escaped)


def differences(
    sql: psycopg.Connection, engine: Node, *, view: str, keys: Sequence[str], index: str
) -> list[str]:
    """One line for each document that is missing, extra or not its row."""
    wanted, there = rows(sql, view, keys), held(engine, index)
    wrong = [f"{index}: {id_!r} is missing" for id_ in sorted(wanted.keys() - there.keys())]
    wrong += [f"{index}: {id_!r} has no row" for id_ in sorted(there.keys() - wanted.keys())]
    for id_ in sorted(wanted.keys() & there.keys()):
        if wanted[id_] != there[id_]:
            found, row = brief(str(there[id_]), 300), brief(str(wanted[id_]), 300)
            wrong.append(f"{index}: {id_!r} is {found}, its row is {row}")
    return wrong
