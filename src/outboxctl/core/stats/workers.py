"""Worker processes that say how they are: one row each, written again at every heartbeat."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, text

from outboxctl.core.schema.names import EVENTS, SAFE, WORKERS, parts

INTERVAL = 3.0  # seconds between two heartbeats
SILENT = 3 * INTERVAL  # seconds without one until a worker is held to be gone
KEPT = 86_400.0  # seconds that the row of a worker which fell silent is kept, for people to see
OTHERS_ROW = "the row of another login"  # in the words of the trigger that migration 0008 makes

# Insertions are counted by the server for itself (pg_stat): no index on done rows is needed. It counts
# a transaction when it ends, a busy session's at most once a second, and those rolled back too.
BEAT = text(f"""
WITH seen AS (
    SELECT sum(pg_stat_get_tuples_inserted(part))::bigint AS inserted FROM ({parts(EVENTS)}) p
), buried AS (
    DELETE FROM {WORKERS} WHERE id IN (
        SELECT id FROM {WORKERS} WHERE id <> CAST(:id AS uuid)
            AND heartbeat_at < coalesce(:now, now()) - make_interval(secs => :kept) FOR UPDATE SKIP LOCKED)
)
INSERT INTO {WORKERS} AS w (id, worker_id, host, pid, version, started_at, heartbeat_at, in_flight,
    outage_policy, circuit_open)
VALUES (CAST(:id AS uuid), :worker_id, :host, :pid, :version,
    coalesce(:now, now()) - make_interval(secs => :uptime), coalesce(:now, now()), :in_flight,
    :outage_policy, :circuit_open)
-- While the circuit was open nothing was sent: a pace over such a time is nobody's.
ON CONFLICT (id) DO UPDATE SET heartbeat_at = excluded.heartbeat_at, in_flight = excluded.in_flight,
    circuit_open = excluded.circuit_open,
    rate_out = CASE WHEN NOT w.circuit_open THEN :completed END / nullif(greatest(
        extract(epoch FROM excluded.heartbeat_at - w.heartbeat_at)::float8, 0), 0),
    rate_in = greatest((SELECT inserted FROM seen) - CAST(:inserted AS bigint), 0) / nullif(greatest(
        extract(epoch FROM excluded.heartbeat_at - w.heartbeat_at)::float8, 0), 0)
RETURNING (SELECT inserted FROM seen)
""")
# A schema of the release before has no such column, and this worker must work on it.
HAS_PROGRESS = text(f"""
SELECT EXISTS (SELECT FROM pg_attribute
    WHERE attrelid = to_regclass('{WORKERS}') AND attname = 'progress_at' AND NOT attisdropped)
""")
PROGRESS = text(f"""
UPDATE {WORKERS} SET progress_at = coalesce(:now, now()) - make_interval(secs => :progress_age)
WHERE id = CAST(:id AS uuid)
""")
LEAVE = text(f"DELETE FROM {WORKERS} WHERE id = CAST(:id AS uuid)")
# A slow disk may not hold the worker up for a row that only people read. A locked table does not: a worker's
# connections wait for no lock longer than a second.
UNIMPORTANT = "SET LOCAL synchronous_commit = off"

KNOWN = text(f"SELECT coalesce(has_table_privilege(to_regclass('{WORKERS}'), 'SELECT'), false)")
RATE = "CASE WHEN {0} BETWEEN 0 AND 1e12 THEN {0} END"  # neither NaN nor infinity: JSON has no word for them
AGE = "CASE WHEN isfinite({0}) THEN greatest(extract(epoch FROM coalesce(:now, now()) - {0})::float8, 0) END"
SEEN = text(f"""
SELECT id::text, worker_id, host, pid, version, {SAFE.format("started_at")}, {SAFE.format("heartbeat_at")},
    age, in_flight, outage_policy, circuit_open, {RATE.format("rate_in")}, {RATE.format("rate_out")},
    coalesce(age < :silent, false) AS alive, {AGE.format("progressed")}
FROM {WORKERS} w, LATERAL (SELECT {AGE.format("heartbeat_at")} AS age,
    (to_jsonb(w) ->> 'progress_at')::timestamptz AS progressed) a
ORDER BY alive DESC, worker_id, id LIMIT 1000
""")


@dataclass(frozen=True)
class Beat:
    """How one worker process is; `uptime` in seconds. `completed`: events done since its last heartbeat.

    `progress_age`: seconds since it last completed an event, or saw none waiting.
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


@dataclass(frozen=True)
class WorkerRow:
    """One worker as it last was; `alive` unless it missed three heartbeats. Rates in events a second.

    `rate_in` is what was inserted into the outbox by anybody, `rate_out` what this worker completed.
    `progress_age_seconds`: since it last completed an event, or saw none waiting; null where its release
    does not say so.
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
    progress_age_seconds: float | None = None


@dataclass(frozen=True)
class Flow:
    """What the living workers say together: events a second in and out, None while nobody knows."""

    rate_in: float | None
    rate_out: float | None
    circuit_open: bool | None

    def drain_seconds(self, lag: int, waiting: int = 0) -> float | None:
        """Seconds until `lag` events are gone at this pace; None if they would never be.

        None, too, where the pace says nothing of it: a circuit is open, or much of the lag is `waiting`
        for a retry.
        """
        if not lag:
            return 0.0
        if self.circuit_open or much_waits(lag, waiting):
            return None
        if self.rate_out is None or self.rate_out <= (self.rate_in or 0):
            return None
        return lag / (self.rate_out - (self.rate_in or 0))


def much_waits(lag: int, waiting: int) -> bool:
    """Whether more than a tenth of the lag waits for a retry, as in an outage and right after it.

    Then the times of the retries decide when the lag is gone, and the pace does not.
    """
    return waiting * 10 > lag


def beat(connection: Connection, own: Beat, inserted: int | None, *, now: datetime | None = None) -> int:
    """Write this worker's row and bury those silent for a day.

    Returns the insertions into the outbox that the server has counted so far, for the next heartbeat.
    """
    connection.exec_driver_sql(UNIMPORTANT)
    given = asdict(own) | {"inserted": inserted, "kept": KEPT, "now": now}
    counted = int(connection.execute(BEAT, given).scalar_one())
    if connection.execute(HAS_PROGRESS).scalar():
        connection.execute(PROGRESS, given)
    return counted


def leave(connection: Connection, id_: str) -> None:
    """Take this worker's row away: it stops."""
    connection.exec_driver_sql(UNIMPORTANT)
    connection.execute(LEAVE, {"id": id_})


def all_workers(connection: Connection, *, now: datetime | None = None) -> list[WorkerRow] | None:
    """All workers, the living first; None if there is no such table yet, or no right to read it."""
    if not connection.execute(KNOWN).scalar():
        return None
    return [WorkerRow(*row) for row in connection.execute(SEEN, {"silent": SILENT, "now": now})]


def clock(connection: Connection) -> datetime:
    """What time it is for the rows: the database's."""
    return cast("datetime", connection.exec_driver_sql("SELECT now()").scalar_one())


def flow(workers: list[WorkerRow] | None) -> Flow:
    """The pace of all living workers. Each sees the same events come in: their mean counts."""
    alive = [worker for worker in workers or [] if worker.alive]
    in_ = [worker.rate_in for worker in alive if worker.rate_in is not None]
    out = [worker.rate_out for worker in alive if worker.rate_out is not None]
    return Flow(
        sum(in_) / len(in_) if in_ else None,
        sum(out) if out else None,
        any(worker.circuit_open for worker in alive) if alive else None,
    )
