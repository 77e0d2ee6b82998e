"""S: how fast the sink alone accepts, from memory, the bytes that the worker sends."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import perf_counter
from uuid import uuid4

from benchmarks import tables
from benchmarks.rig import Rig, must
from outboxctl.core.delivery.claim import Claimed, claim
from outboxctl.core.documents.table import TableSource
from outboxctl.sink.delivery import bulk
from outboxctl.sink.index import index_setup
from outboxctl.sink.index.index_setup import MAPPING
from outboxctl.sink.index.named import Json
from outboxctl.sink.transport.client import Client
from outboxctl.sink.transport.open import connect
from outboxctl.sink.transport.request import request
from outboxctl.worker.lane.prepare import prepare

SENDERS = (1, 2, 3)
REQUEST_SIZE = 1_000  # documents
SNIPPET = 200
WARM_UP = 500_000  # documents; before that the engine's own code is still being compiled


def bodies(rig: Rig, events: int, size: int) -> list[bytes]:
    """Bulk bodies as the worker makes them from rows of the database, REQUEST_SIZE documents in each."""
    tables.pending(rig, events, size)
    return [bulk.body(prepare(batch).actions) for batch in iter(lambda: _claim(rig, REQUEST_SIZE), [])]


def text_of(rig: Rig, document: int) -> int:
    """Bytes of text that make a document of `document` bytes of JSON: the snippet repeats the first 200."""
    tables.pending(rig, 1, 1)
    (event,) = _claim(rig, 1)
    spare = document - len(event.document or "") + 2
    return max(1, spare // 2 if spare <= 2 * SNIPPET else spare - SNIPPET)


def _claim(rig: Rig, size: int) -> list[Claimed]:
    with rig.database.begin() as connection:
        events = claim(connection, owner="bench", token=str(uuid4()), size=size, lease=30).events
    keys = [event.document_id for event in events]
    read = TableSource().latest(rig.database, keys, seconds=30, max_bytes=None)
    return [
        event._replace(source_version=version, document=document)
        for event, version, document in zip(events, read.versions, read.texts, strict=True)
    ]


def warm_up(rig: Rig, requests: Sequence[bytes], events: int, *, documents: int = WARM_UP) -> None:
    """Send so many documents, so that the engine's own code is compiled."""
    for _ in range(-(-documents // events)):
        rate(rig, requests, max(SENDERS), events)


def limit(rig: Rig, requests: Sequence[bytes], events: int, mappings: Json = MAPPING) -> dict[int, float]:
    """Documents a second by number of senders, each into a fresh index; every document is counted."""
    return {senders: rate(rig, requests, senders, events, mappings) for senders in SENDERS}


def rate(
    rig: Rig,
    requests: Sequence[bytes],
    senders: int,
    events: int,
    mappings: Json = MAPPING,
    *,
    fresh: bool = True,
) -> float:
    """Documents a second by so many senders into an index that is `fresh`, or holds them; all are counted."""
    if fresh:
        tables.fresh_index(rig, mappings)
    with closing(connect(rig.settings, connections=senders)) as client, ThreadPoolExecutor(senders) as pool:
        started = perf_counter()
        failed = sum(pool.map(lambda body: send(rig, client, body), requests))
        seconds = perf_counter() - started
    indexed = index_setup.count(rig.client, rig.settings.elastic_index)
    must(not failed, f"{failed} requests had errors")
    must(indexed == events, f"{indexed} documents for {events} events")
    return events / seconds


def send(rig: Rig, client: Client, body: bytes) -> bool:
    """Send one request; whether an item of it was refused."""
    name = rig.settings.elastic_index
    options = {"filter_path": bulk.FILTER, "require_alias": True}
    return bool(request(client, "PUT", name, "_bulk", body=body, **options)["errors"])
