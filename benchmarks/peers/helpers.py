"""The client's own helpers as most people call them: from memory, default client, default chunks."""

import json
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import bulk, parallel_bulk, streaming_bulk
from sqlalchemy import text

from benchmarks.peers import index
from outboxctl.core.schema.names import DOCUMENT, SOURCE
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.sink.index.index_setup import count

NAME = "peers-helpers"
THREADS = 4
DOCUMENTS = text(f"SELECT {DOCUMENT} FROM {SOURCE} s")
Actions = list[dict[str, Any]]


def _one_by_one(sending: Iterable[object]) -> None:
    for _ in sending:
        pass


CALLS: dict[str, Callable[[Elasticsearch, Actions], object]] = {
    "helpers.bulk": bulk,
    "streaming_bulk": lambda client, actions: _one_by_one(streaming_bulk(client, actions)),
    "parallel_bulk, 4 threads": lambda client, actions: _one_by_one(
        parallel_bulk(client, actions, thread_count=THREADS)
    ),
}


def actions(rig: Rig) -> Actions:
    """The documents of the rows that are there, as the helpers want them."""
    with rig.database.begin() as connection:
        documents = [json.loads(row) for row in connection.execute(DOCUMENTS).scalars()]
    return [{"_index": NAME, "_id": f"{d['entity_type']}:{d['entity_id']}", "_source": d} for d in documents]


def rates(rig: Rig, given: Actions) -> dict[str, float]:
    """Documents a second by helper, each into a fresh index; every document is counted."""
    return {name: _rate(rig, given, call) for name, call in CALLS.items()}


def _rate(rig: Rig, given: Actions, call: Callable[[Elasticsearch, Actions], object]) -> float:
    index.fresh(rig, NAME)
    with Elasticsearch(rig.settings.elastic_url.get_secret_value()) as client:
        started = perf_counter()
        call(client, given)
        seconds = perf_counter() - started
    must(count(rig.client, NAME) == len(given), "not every document is there")
    return len(given) / seconds
