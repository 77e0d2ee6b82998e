"""The workers' heartbeats: one row for each process, updated every few seconds; the rates of all together."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from json import dumps
from math import isfinite
from typing import Any, cast

from outboxctl.core.schema.names import EVENTS, SAFE, WORKERS, parts
from outboxctl.core.sql import Connection, text

INTERVAL = 3.0  # seconds between two heartbeats
SILENT = 3 * INTERVAL  # seconds without one after which a worker counts as gone
KEPT = 86_400.0  # seconds that the row of a worker that is gone is kept, for people
OTHERS_ROW = "the row of another login"  # the text of the trigger

# The server's statistics count insertions, so no index on done rows is needed. They count a transaction when
# it ends, a busy session's at most once a second, and those rolled back too.
HEARTBEAT = text(f"""
WITH seen AS (
    SELECT sum(pg_stat_get_tuples_inserted(part))::bigint AS inserted FROM ({parts(EVENTS)}) p
), buried AS (
    DELETE FROM {WORKERS} WHERE id IN (
        SELECT id FROM {WORKERS} WHERE id <> CAST(:id AS uuid)
            AND heartbeat_at < now() - make_interval(secs => :kept) FOR UPDATE SKIP LOCKED)
)
INSERT INTO {WORKERS} AS w (id, worker_id, host, pid, version, started_at, heartbeat_at, in_flight,
    outage_policy, circuit_open, progress_at, outages)
VALUES (CAST(:id AS uuid), :worker_id, :host, :pid, :version,
    now() - make_interval(secs => :uptime), now(), :in_flight,
    :outage_policy, :circuit_open, now() - make_interval(secs => :progress_age),
    CAST(:outages AS jsonb))
-- While the circuit was open nothing was sent: there is no rate over such a time.
ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, in_flight = excluded.in_flight,
    circuit_open = excluded.circuit_open, progress_at = excluded.progress_at,
    outages = excluded.outages,
    rate_out = CASE WHEN NOT w.circuit_open THEN :completed END / nullif(greatest(
        extract(epoch FROM excluded.heartbeat_at - w.heartbeat_at)::float8, 0), 0),
    rate_in = greatest((SELECT inserted FROM seen) - CAST(:inserted AS bigint), 0) / nullif(greatest(
        extract(epoch FROM excluded.heartbeat_at - w.heartbeat_at)::float8, 0), 0)
RETURNING (SELECT inserted FROM seen)
""")
DELETE_WORKER = text(f"DELETE FROM {WORKERS} WHERE id = CAST(:id AS uuid)")
# A slow disk must not delay the worker for a row that only people read. A locked table does not: a worker's
# connections wait for a lock for a second at most.
ASYNCHRONOUS_COMMIT = "SET LOCAL synchronous_commit = off"

RATE = "CASE WHEN {0} BETWEEN 0 AND 1e12 THEN {0} END"  # neither NaN nor infinity, which JSON lacks
AGE = "CASE WHEN isfinite({0}) THEN greatest(extract(epoch FROM now() - {0})::float8, 0) END"
# What a silent worker last reported as in flight has been taken back since: counted is what it still holds,
# and what a living one of the same name holds is that one's.
ALL_WORKERS = text(f"""
WITH known AS (
    SELECT w.*, age, coalesce(age < :silent, false) AS alive
    FROM {WORKERS} w, LATERAL (SELECT {AGE.format("heartbeat_at")} AS age) a
), held AS (
    SELECT owner, count(*) AS events FROM {EVENTS} e WHERE status = 'processing'
        AND NOT EXISTS (SELECT FROM known k WHERE k.alive AND k.worker_id = e.owner) GROUP BY owner
)
SELECT id::text, worker_id, host, pid, version, {SAFE.format("started_at")}, {SAFE.format("heartbeat_at")},
    age, CASE WHEN alive THEN in_flight ELSE coalesce(events, 0) END, outage_policy, circuit_open,
    {RATE.format("rate_in")}, {RATE.format("rate_out")}, alive, {AGE.format("progress_at")},
    outages
FROM known LEFT JOIN held ON owner = worker_id
ORDER BY alive DESC, worker_id, id LIMIT 1000
""")


@dataclass(frozen=True)
class Outage:
    """What has taken no event for `seconds`: the search engine, or one projection's index or view.

    `projection` is null for the whole engine. `events` wait for it, which no worker counts by itself.
    """

    projection: str | None
    reason: str
    seconds: float
    since: datetime | None = None
    events: int = 0


@dataclass(frozen=True)
class HeartbeatRow:
    """The state of one worker process; `uptime` in seconds. `completed`: events done since the last one.

    `progress_age`: seconds since it last completed an event, or none was waiting.
    """

    id: str
    worker_id: str
    host: str
    pid: int
    version: str
    uptime: float
    in_flight: int
    outage_policy: str
    circuit_open: bool
    completed: int
    progress_age: float = 0.0
    outages: Sequence[Outage] = ()


@dataclass(frozen=True)
class WorkerRow:
    """One worker at its last heartbeat; `alive` unless three are missing. Rates in events a second.

    `in_flight` of a worker that is not alive are the events that it still holds, until they are reclaimed.

    `rate_in` counts insertions into the outbox by anybody, `rate_out` what this worker completed.
    `progress_age_seconds`: since it last completed an event, or none was waiting. `outages` as it sees them.
    """

    id: str
    worker_id: str
    host: str
    pid: int
    version: str
    started_at: datetime | None
    heartbeat_at: datetime | None
    heartbeat_age_seconds: float | None
    in_flight: int
    outage_policy: str
    circuit_open: bool
    rate_in: float | None
    rate_out: float | None
    alive: bool
    progress_age_seconds: float | None = None  # None: out of range
    outages: list[Outage] = field(default_factory=list)

    @property
    def state(self) -> str:
        """In a word: one that is not alive is `silent` while it holds events, `gone` once it holds none."""
        if self.alive:
            return "circuit open" if self.circuit_open else "alive"
        return "silent" if self.in_flight else "gone"


@dataclass(frozen=True)
class Flow:
    """The rates of all living workers together, in events a second; None while none has reported."""

    rate_in: float | None
    rate_out: float | None
    circuit_open: bool | None

    def drain_seconds(self, lag: int, waiting: int = 0) -> float | None:
        """Seconds until `lag` events are delivered at these rates; None if they would never be.

        None, too, where the rates do not decide it: a circuit is open, or more than a tenth of the lag is
        `waiting` for a retry.
        """
        if not lag:
            return 0.0
        if self.circuit_open or waiting * 10 > lag:
            return None
        if self.rate_out is None or self.rate_out <= (self.rate_in or 0):
            return None
        return lag / (self.rate_out - (self.rate_in or 0))


def write_heartbeat(connection: Connection, own: HeartbeatRow, inserted: int | None) -> int:
    """Write this worker's row and delete those of workers that are gone for a day.

    Returns the server's count of insertions into the outbox so far, for the next heartbeat.
    """
    connection.exec_driver_sql(ASYNCHRONOUS_COMMIT)
    values = asdict(own) | {"inserted": inserted, "kept": KEPT}
    values["outages"] = dumps(values["outages"])
    return int(connection.execute(HEARTBEAT, values).scalar_one())


def delete_worker(connection: Connection, id_: str) -> None:
    """Delete the row of a worker that stops."""
    connection.exec_driver_sql(ASYNCHRONOUS_COMMIT)
    connection.execute(DELETE_WORKER, {"id": id_})


def all_workers(connection: Connection) -> list[WorkerRow]:
    """All workers, the living first."""
    rows = connection.execute(ALL_WORKERS, {"silent": SILENT})
    return [_worker(WorkerRow(*row)) for row in rows]


def _worker(row: WorkerRow) -> WorkerRow:
    """Its outages, with the time since its last heartbeat; none where another program wrote the row."""
    age, found = row.heartbeat_age_seconds or 0.0, list[Outage]()
    with suppress(TypeError, KeyError, ValueError, OverflowError):
        for each in cast("Any", row.outages) or ():
            seconds, projection = float(each["seconds"]), each["projection"]
            if not (isfinite(seconds) and isinstance(projection, str | None)):
                raise ValueError
            since = row.heartbeat_at and row.heartbeat_at - timedelta(seconds=seconds)
            found.append(Outage(projection, str(each["reason"]), seconds + age, since))
    return replace(row, outages=found)


def outages(workers: Sequence[WorkerRow]) -> list[Outage]:
    """What living workers see, the longest of each, the whole engine first.

    The engine is not away where another one has delivered something since: one may be cut off from it.
    """
    alive, longest = [worker for worker in workers if worker.alive], dict[str | None, Outage]()
    for each in sorted((each for worker in alive for each in worker.outages), key=lambda each: each.seconds):
        if each.projection is not None or not any(
            _delivered_within(worker, each.seconds) for worker in alive
        ):
            longest[each.projection] = each
    return sorted(longest.values(), key=lambda each: (each.projection is not None, -each.seconds))


def _delivered_within(worker: WorkerRow, seconds: float) -> bool:
    """Whether it completed something after an outage began, and since it started itself, by a second."""
    age, began, seen = worker.progress_age_seconds, worker.started_at, worker.heartbeat_at
    if age is None or began is None or seen is None:
        return False
    up = (seen - began).total_seconds() + (worker.heartbeat_age_seconds or 0.0)
    return age + 1 < min(seconds, up)


def clock(connection: Connection) -> datetime:
    """The database's time."""
    return cast("datetime", connection.exec_driver_sql("SELECT now()").scalar_one())


def flow(workers: list[WorkerRow]) -> Flow:
    """The rates of all living workers: each reports the same insertions, so `rate_in` is their mean."""
    alive = [worker for worker in workers if worker.alive]
    in_ = [worker.rate_in for worker in alive if worker.rate_in is not None]
    out = [worker.rate_out for worker in alive if worker.rate_out is not None]
    return Flow(
        sum(in_) / len(in_) if in_ else None,
        sum(out) if out else None,
        any(worker.circuit_open for worker in alive) if alive else None,
    )
