"""What the tests of `rebuild` share: rows without events, both sides as dictionaries, a live application."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg
from elasticsearch import Elasticsearch
from elasticsearch.helpers import scan

from fakes.postgres_proxy import Do, Proxy
from processes import Cli, Process, eventually, piped

REBUILD = ("rebuild",)
ROWS = """
INSERT INTO search_index (id, entity_type, entity_id, text, snippet, event_version)
SELECT gen_random_uuid(), CASE WHEN n %% 3 = 0 THEN 'page' ELSE 'block' END, gen_random_uuid(),
    'text ' || n, 'text', 1
FROM generate_series(1, %s) n
"""
PUT = """
WITH written AS (
    INSERT INTO search_index AS s (id, entity_type, entity_id, text, snippet, event_version)
    SELECT gen_random_uuid(), 'block', id, 'live ' || id, 'live', 1 FROM unnest(%s::uuid[]) id
    ON CONFLICT (entity_type, entity_id) DO UPDATE
        SET text = s.text || '.', event_version = s.event_version + 1
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'upsert', event_version, 'pending' FROM written
"""
TAKE_AWAY = """
WITH gone AS (
    DELETE FROM search_index WHERE entity_type = 'block' AND entity_id = ANY (%s::uuid[])
    RETURNING entity_type, entity_id, event_version
)
INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status)
SELECT gen_random_uuid(), entity_type, entity_id, 'delete', event_version + 1, 'pending' FROM gone
"""
Sides = dict[str, tuple[int, str]]


def rows(sql: psycopg.Connection) -> Sides:
    """Version and text of each source row, by document id."""
    found = sql.execute(
        "SELECT entity_type || ':' || entity_id, event_version, text FROM search_index"
    ).fetchall()
    return {id_: (version, text) for id_, version, text in found}


def documents(engine: Elasticsearch, index: str) -> Sides:
    """The same of each document, as a search finds them."""
    engine.indices.refresh(index=index)
    hits = scan(engine, query={"version": True}, index=index)
    return {hit["_id"]: (hit["_version"], hit["_source"]["text"]) for hit in hits}


def behind(engine: Elasticsearch, alias: str) -> list[str]:
    """The indexes behind an alias."""
    return sorted(engine.indices.get_alias(name=alias))


def indexes(engine: Elasticsearch, alias: str) -> list[str]:
    """All indexes of a test."""
    return sorted(engine.indices.get_alias(index=f"{alias}*", expand_wildcards="all"))


def put(sql: psycopg.Connection, *ids: Any) -> None:
    """Write or change entities, with their events."""
    sql.execute(PUT, [[str(each) for each in ids]])


def take_away(sql: psycopg.Connection, *ids: Any) -> None:
    """Delete entities, with their events."""
    sql.execute(TAKE_AWAY, [[str(each) for each in ids]])


class Application(threading.Thread):
    """Writes, changes and deletes about `rate` entities a second, each with its event, until stopped."""

    def __init__(self, url: str, *, rate: int, seed: int = 1) -> None:
        super().__init__(daemon=True)
        self._url, self._rate, self._rng = url, rate, Random(seed)
        self._entities: list[str] = []
        self._over = threading.Event()
        self.events = 0

    def run(self) -> None:
        """Ten at a time, each kind of act in its own transaction."""
        began = monotonic()
        with psycopg.connect(self._url, autocommit=True) as sql:
            while not self._over.wait(max(0.0, began + self.events / self._rate - monotonic())):
                self._act(sql)

    def _act(self, sql: psycopg.Connection) -> None:
        new = [str(uuid4()) for _ in range(5)]
        old = self._rng.sample(self._entities, min(3, len(self._entities)))
        gone = self._rng.sample(self._entities, 2) if len(self._entities) > 20 else []
        put(sql, *new, *old)
        take_away(sql, *gone)
        self._entities = [each for each in [*self._entities, *new] if each not in gone]
        self.events += len(new) + len(old) + len(gone)

    def stop(self) -> None:
        """Wait for the last act."""
        self._over.set()
        self.join()


@contextmanager
def started(cli: Cli, *args: str, command: Sequence[str] = REBUILD, **env: str) -> Iterator[Process]:
    """A running `outboxctl rebuild` or other command; killed at the end if it is still there."""
    process = piped([*command, *args], cli.env | env, cli.cwd)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def said(process: Process) -> tuple[int, Any, str]:
    """Exit code, report and stderr of one that ended."""
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err, err
    return process.wait(), json.loads(out) if out.strip() else None, err


@contextmanager
def held(
    cli: Cli,
    proxy: Proxy,
    sql: str,
    do: Do,
    within: str = "",
    *args: str,
    command: Sequence[str] = REBUILD,
    **env: str,
) -> Iterator[Any]:
    """A rebuild that stands still at a statement: yields the process and the rule that holds it."""
    rule = proxy.on(sql, do, within=within)
    with started(cli, "--yes", "--json", *args, command=command, DATABASE_URL=proxy.url, **env) as process:
        eventually(lambda: rule.reached.is_set() or process.poll() is not None, what=f"{sql} within {within}")
        assert process.poll() is None, process.communicate()
        yield process, rule


class AliasReader(threading.Thread):
    """Reads one document through an alias again and again, by its id and by a search, until stopped.

    `number` takes what only grows out of a hit. `steps_back` says where it was smaller than before.
    """

    def __init__(
        self, engine: Elasticsearch, alias: str, id_: str, number: Callable[[Mapping[str, Any]], int]
    ) -> None:
        super().__init__(daemon=True)
        self._engine, self._alias, self._id, self._number = engine, alias, id_, number
        self._over = threading.Event()
        self._highest: dict[str, int] = {}
        self.looks, self.steps_back = 0, list[str]()

    def run(self) -> None:
        """One request after the other, so that what is seen is in the order of time."""
        named = {"ids": {"values": [self._id]}}
        while not self._over.is_set():
            hits = [self._engine.get(index=self._alias, id=self._id).body]
            self._see("by its id", hits)
            found = self._engine.search(index=self._alias, query=named, version=True)
            self._see("by a search", found["hits"]["hits"])
            self.looks += 1

    def _see(self, how: str, hits: Sequence[Mapping[str, Any]]) -> None:
        number, before = max(map(self._number, hits), default=-1), self._highest.get(how, -1)
        if number < before:
            self.steps_back.append(f"{how}: from {before} to {number}")
        self._highest[how] = max(number, before)

    def stop(self) -> None:
        """Read no more."""
        self._over.set()
        self.join()


class Hammer(threading.Thread):
    """Has `act` done about a hundred times a second, in a session of its own, until stopped."""

    def __init__(self, url: str, act: Callable[[psycopg.Connection], object]) -> None:
        super().__init__(daemon=True)
        self._url, self._act, self._over = url, act, threading.Event()
        self.acts = 0

    def run(self) -> None:
        """Each in a transaction of its own."""
        with psycopg.connect(self._url, autocommit=True) as sql:
            while not self._over.wait(0.01):
                self._act(sql)
                self.acts += 1

    def stop(self) -> None:
        """Wait for the last act."""
        self._over.set()
        self.join()
