"""What a lone event cannot do without: the same round trips with nothing around them, one after the other.

No pool, no limits, no lanes, no client library: a message to each server, and the wait for its answer.
"""

import json
import socket
from contextlib import closing
from itertools import pairwise
from time import sleep, time
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg

from benchmarks.writer import TEXT
from outboxctl.core.schema import notify
from outboxctl.core.schema.names import EVENTS
from outboxctl.drills.bench.rig import Rig, must
from outboxctl.net.urls import check_database_url
from outboxctl.sink.delivery.bulk import FILTER

STEPS = ("notification", "claim", "bulk", "settle")
EVERY = 0.02  # seconds between two events, as in the cell with which they are compared
WARM_UP = 20  # events that do not count
WRITE = """
INSERT INTO {events} (id, entity_type, entity_id, op, event_version)
VALUES ('{id}', 'bare', '{id}', 'upsert', 1)
"""
# One row by its id: what makes a claim safe is not in it, nor its document.
CLAIM = """
BEGIN; UPDATE {events} SET status = 'processing', owner = 'bare', lease_token = '{id}', attempts = 1,
    lease_until = now() + interval '30 s', processing_started_at = now(), updated_at = now()
WHERE id = '{id}' RETURNING id; COMMIT
"""
# As the product settles: the transaction's id is known before its COMMIT is sent.
SETTLE = """
BEGIN; SELECT pg_current_xact_id(); UPDATE {events} SET status = 'done', processed_at = now(), owner = NULL,
    lease_token = NULL, lease_until = NULL, processing_started_at = NULL, updated_at = now() WHERE id = '{id}'
"""


class BareBulk:
    """One kept connection to the engine, and one document a request."""

    def __init__(self, rig: Rig) -> None:
        parts = urlsplit(rig.settings.sink_urls[0])
        self._host = f"{parts.hostname}:{parts.port}"
        target = f"/{rig.settings.elastic_index}/_bulk?filter_path={FILTER}&require_alias=true"
        self._head = f"PUT {target} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/x-ndjson\r\n"
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, id_: UUID) -> None:
        """Write a document, and wait until the engine says that it has it."""
        about = {"index": {"_id": f"bare:{id_}", "version": 1, "version_type": "external_gte"}}
        body = f"{json.dumps(about)}\n{json.dumps({'entity_id': str(id_), 'text': TEXT})}\n".encode()
        self.socket.sendall(f"{self._head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = b""
        while not answer.rstrip().endswith((b"]}", b"\r\n0")):
            part = self.socket.recv(65_536)
            must(bool(part), "the engine closed the connection")
            answer += part
        must(b'"errors":false' in answer, f"the engine refused a document: {answer[-300:]!r}")


class BareSteps:
    """A session that writes, claims and settles, and one that listens."""

    def __init__(self, rig: Rig, session: psycopg.Connection, ear: psycopg.Connection) -> None:
        self._session, self._ear, self._bulk = session, ear, BareBulk(rig)
        with rig.database.begin() as connection:
            ear.execute(f'LISTEN "{notify.status(connection).channel}"'.encode())

    def one(self) -> list[float]:
        """Seconds of each of STEPS for one event."""
        id_ = uuid4()
        self._send(WRITE, id_)
        committed = time()
        must(bool([*self._ear.notifies(timeout=5, stop_after=1)]), "there was no notification")
        heard = time()
        self._send(CLAIM, id_)
        claimed = time()
        self._bulk.send(id_)
        acknowledged = time()
        self._send(SETTLE, id_)
        self._session.execute("COMMIT")
        times = [committed, heard, claimed, acknowledged, time()]
        return [after - before for before, after in pairwise(times)]

    def close(self) -> None:
        """Close the connection to the engine."""
        self._bulk.socket.close()

    def _send(self, statement: str, id_: UUID) -> None:
        self._session.execute(statement.format(events=EVENTS, id=id_).encode())


def measure(rig: Rig, events: int) -> dict[str, list[float]]:
    """Seconds of each of STEPS for so many events, one each EVERY seconds; the table must notify."""
    url = check_database_url(rig.settings.require_database_url())
    with (
        psycopg.connect(url, autocommit=True) as session,
        psycopg.connect(url, autocommit=True) as ear,
        closing(BareSteps(rig, session, ear)) as steps,
    ):
        rows = [_paced(steps) for _ in range(WARM_UP + events)][WARM_UP:]
    return dict(zip(STEPS, map(list, zip(*rows, strict=True)), strict=True))


def _paced(steps: BareSteps) -> list[float]:
    began = time()
    row = steps.one()
    sleep(max(0.0, began + EVERY - time()))
    return row
