"""A new index while events flow: nothing is lost, and the name leads to it from one moment to the next."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from acceptance import lab
from processes import Cli, Worker, eventually

WHO = ("--by", "alice", "--reason", "new analyzer")
EVENT = (
    " INSERT INTO search_outbox_events (id, entity_type, entity_id, op, event_version, status, attempts, "
    "replay_count, created_at, updated_at) SELECT gen_random_uuid(), entity_type, entity_id, '{op}', "
    "event_version + {plus}, 'pending', 0, 0, now(), now() FROM changed"
)
SOME = "(SELECT id FROM search_index ORDER BY random() LIMIT 10)"
UPDATE = (
    f"WITH changed AS (UPDATE search_index SET event_version = event_version + 1, text = 'live ' || random() "
    f"WHERE id IN {SOME} RETURNING *)" + EVENT.format(op="upsert", plus=0)
)
DELETE = f"WITH changed AS (DELETE FROM search_index WHERE id IN {SOME} RETURNING *)" + EVENT.format(
    op="delete", plus=1
)


@contextmanager
def _writing(sql: lab.Sql) -> Iterator[None]:
    """Creations, changes and deletions, about 500 a second, until the block ends."""
    over = threading.Event()

    def write() -> None:
        while not over.wait(0.05):
            lab.load(sql, 12)
            sql.execute(UPDATE)
            sql.execute(DELETE)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield
    finally:
        over.set()
        writer.join()


def _rows(sql: lab.Sql) -> dict[str, Any]:
    query = "SELECT entity_type || ':' || entity_id, event_version, text FROM search_index"
    return {id_: (version, text) for id_, version, text in sql.execute(query)}


def _documents(engine: Elasticsearch, index: str) -> dict[str, Any]:
    engine.indices.refresh(index=index)
    answer = engine.search(index=index, size=10_000, track_total_hits=True)
    assert answer["hits"]["total"]["value"] == len(answer["hits"]["hits"])
    found = {hit["_id"]: hit["_source"] for hit in answer["hits"]["hits"]}
    return {id_: (body["event_version"], body["text"]) for id_, body in found.items()}


def _delivered(sql: lab.Sql) -> None:
    waiting = "SELECT count(*) FROM search_outbox_events WHERE status IN ('pending', 'processing')"
    eventually(lambda: lab.one(sql, waiting) == 0, within=30, what="everything is delivered")


def _whole(cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str, **env: str) -> None:
    """Both sides agree by the word of `verify` and by the eyes of an ordinary client."""
    _delivered(sql)
    report = cli.json("verify", "--full", env=env)
    assert (report["differences"], report["in_flight"]) == (0, 0)
    assert _documents(engine, index) == _rows(sql)
    assert set(lab.by_status(sql)) == {"done"}


@pytest.mark.slow(reason="rebuilds an index under traffic, and goes back")
@pytest.mark.real_engine
def test_a_rebuild_under_live_traffic_loses_nothing_and_leads_back(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str, worker: Callable[..., Worker]
) -> None:
    lab.load(sql, 1500)
    worker()
    _delivered(sql)
    (old,) = engine.indices.get_alias(name=index)
    with _writing(sql):
        cli.ok("rebuild", *WHO, "--yes")
    (new,) = engine.indices.get_alias(name=index)
    assert new != old
    _whole(cli, sql, engine, index)
    assert engine.indices.exists(index=old)
    (act,) = [each for each in cli.json("audit")["audit"] if each["action"] == "rebuild"]
    assert (act["operator"], act["reason"]) == ("alice", "new analyzer")
    with _writing(sql):
        cli.ok("rebuild", "--rollback", *WHO, "--yes")
    assert set(engine.indices.get_alias(name=index)) == {old}
    _whole(cli, sql, engine, index)


@pytest.mark.slow(reason="live traffic for many seconds")
@pytest.mark.real_engine
def test_a_concrete_index_becomes_an_alias_under_live_traffic(
    cli: Cli, sql: lab.Sql, engine: Elasticsearch, index: str, worker: Callable[..., Worker]
) -> None:
    name = f"{index}-plain"
    (like,) = engine.indices.get_mapping(index=index).values()
    engine.indices.create(index=name, mappings=like["mappings"])
    lab.load(sql, 500)
    worker(ELASTIC_INDEX=name)
    _delivered(sql)
    with _writing(sql):
        cli.ok("rebuild", *WHO, "--yes", env={"ELASTIC_INDEX": name})
    assert engine.indices.exists_alias(name=name)
    _whole(cli, sql, engine, name, ELASTIC_INDEX=name)
