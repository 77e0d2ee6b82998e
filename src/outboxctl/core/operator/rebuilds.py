"""The state of rebuilds: a row each, by which another process resumes after a crash."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from json import loads
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, func, insert, literal, select, update

from outboxctl.core.operator import audit
from outboxctl.core.sql import Connection, text
from outboxctl.core.tables import REBUILDS
from outboxctl.domain.errors import UsageError

COLUMN = REBUILDS.c


class RebuildPhase(StrEnum):
    """The next step of a rebuild; each can be repeated from its start after a failure."""

    CREATE = "create"
    FILL = "fill"
    CATCH_UP = "catch_up"
    SWAP = "swap"
    RECONCILE = "reconcile"
    DONE = "done"
    ABORTED = "aborted"


class MoveState(StrEnum):
    """Of a rebuild whose old index may take no writes: its process runs, or does not."""

    RUNS = "runs"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class Rebuild:
    """One row. `action` is rebuild or rollback, `body` the final settings and mappings of the new index.

    `body` has the projection and the key up to which it is filled, too (`cursor`, as JSON in a text), and of
    the declared projections that have the index, joined by commas, the names (`projection`) and the stamps of
    their definitions (`definition`).

    `concrete`: ELASTIC_INDEX was an index, not an alias. `old_index` is None where there was neither.
    `kept_index` is the index that the alias no longer uses, kept until `kept_until`.
    """

    id: str
    action: str
    alias: str
    old_index: str | None
    new_index: str
    concrete: bool
    body: dict[str, Any]
    phase: str
    copied: int
    caught_up: int
    healed: int
    refused: int
    caught_up_to: datetime
    operator: str
    reason: str
    grace_seconds: float
    started_at: datetime
    swapped_at: datetime | None
    ended_at: datetime | None
    kept_index: str | None
    kept_until: datetime | None

    @property
    def place(self) -> tuple[str, str | None] | None:
        """The projection, and its key, up to which it is filled."""
        cursor = self.body.get("cursor")
        return None if cursor is None else tuple(loads(cursor))

    @property
    def projections(self) -> list[str]:
        """The names of the projections that it is filled from; one empty name: search_index."""
        return str(self.body.get("projection", "")).split(",")

    @property
    def unfinished(self) -> str | None:
        """The new index while it may be incomplete: with the aliases that a template adds."""
        return self.new_index if self.phase == RebuildPhase.CREATE else None


RETURNED = [cast(COLUMN.id, Text), *(COLUMN[each.name] for each in fields(Rebuild)[1:])]
# Values for `save`.
SWAPPING = {"swapped_at": func.now()}
ENDING = {
    "ended_at": func.now(),
    "kept_until": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, COLUMN.grace_seconds),
}
# A running rebuild holds this lock in a transaction of its own, which ends with its process, also behind a
# pooler in transaction mode. At READ COMMITTED an idle transaction has no snapshot, so it does not hold
# vacuum back; the server must not end it for being idle.
STAY_IDLE = """SELECT set_config(name, '0', true) FROM pg_settings
WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"""
IDLE = f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED; {STAY_IDLE}"
LOCK = text("SELECT pg_try_advisory_xact_lock(731610841, hashtext(:alias))")
# Any login may take an advisory lock: it is a rebuild's where its holder may change these rows.
HOLDERS = text(f"""
SELECT concat('pid ', a.pid, ', ', a.usename, ' (', a.application_name, ')'),
    has_table_privilege(a.usesysid, to_regclass('{REBUILDS}'), 'UPDATE')
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.classid = 731610841 AND l.granted
    AND l.objid::bigint = hashtext(:alias)::bigint & 4294967295
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
""")

# From the moment it is saved that the alias is about to move until it has moved.
MOVING = (COLUMN.phase == RebuildPhase.SWAP) & COLUMN.swapped_at.is_not(None) & COLUMN.ended_at.is_(None)


def lock(connection: Connection, alias: str) -> bool:
    """Whether this transaction holds, until it ends, the lock for a rebuild of `alias`."""
    connection.exec_driver_sql(IDLE)
    return bool(connection.execute(LOCK, {"alias": alias}).scalar_one())


def stay_idle(connection: Connection) -> None:
    """Let the server not end this transaction for being idle."""
    connection.exec_driver_sql(STAY_IDLE)


def still_locked(connection: Connection) -> None:
    """Raise UnreachableError (through its Database) if the server has ended that transaction."""
    connection.exec_driver_sql("SELECT 1")


def active_rebuild(connection: Connection, alias: str) -> Rebuild | None:
    """The unfinished rebuild of `alias`, whether its process runs or not."""
    return next(iter(_rebuilds(connection, COLUMN.alias == alias, COLUMN.ended_at.is_(None))), None)


def one(connection: Connection, id_: str) -> Rebuild:
    """The row of this id."""
    (row,) = _rebuilds(connection, COLUMN.id == id_)
    return row


def recent(connection: Connection, alias: str, *, limit: int) -> list[Rebuild]:
    """The latest rebuilds of `alias`, newest first."""
    return _rebuilds(connection, COLUMN.alias == alias, limit=limit)


def left(connection: Connection, projection: str) -> list[Rebuild]:
    """The rebuilds of a projection, whichever index it has: those under way, then those that keep one."""
    wanted = COLUMN.ended_at.is_(None) | COLUMN.kept_index.is_not(None)
    names = func.string_to_array(COLUMN.body["projection"].astext, ",")
    found = _rebuilds(connection, literal(projection) == func.any(names), wanted)
    return sorted(found, key=lambda row: row.ended_at is not None)


def overdue(connection: Connection, alias: str) -> list[Rebuild]:
    """The rebuilds whose kept index may be deleted."""
    kept = COLUMN.kept_index.is_not(None) & (COLUMN.kept_until <= func.now())
    return _rebuilds(connection, COLUMN.alias == alias, kept)


def _rebuilds(connection: Connection, *which: ColumnElement[bool], limit: int | None = None) -> list[Rebuild]:
    """Those of which all conditions hold, the newest first."""
    query = select(*RETURNED).where(*which).order_by(COLUMN.started_at.desc(), COLUMN.id).limit(limit)
    return [Rebuild(*row) for row in connection.execute(query)]


def not_kept(connection: Connection, alias: str, index: str) -> None:
    """Record that an index is no longer kept: it was deleted, or the alias uses it again."""
    of = (COLUMN.alias == alias) & (COLUMN.kept_index == index)
    connection.execute(update(REBUILDS).where(of).values(kept_index=None, updated_at=func.now()))


def runs(connection: Connection, alias: str) -> bool:
    """Whether a process rebuilds `alias` now."""
    return any(may for _, may in connection.execute(HOLDERS, {"alias": alias}))


def stranger(connection: Connection, alias: str) -> str | None:
    """A session that holds the lock of `alias` and is no rebuild."""
    return next((who for who, may in connection.execute(HOLDERS, {"alias": alias}) if not may), None)


def move_state(connection: Connection, alias: str) -> MoveState | None:
    """Whether a rebuild may have blocked writes of the index of `alias` to move it; None where none has.

    Raises OutboxctlError where this role may not read it.
    """
    if not _rebuilds(connection, COLUMN.alias == alias, MOVING):
        return None
    return MoveState.RUNS if runs(connection, alias) else MoveState.INTERRUPTED


def interrupted_moves(connection: Connection) -> list[Rebuild]:
    """The rebuilds that may have left an index without writes: no process goes on with them."""
    return [row for row in _rebuilds(connection, MOVING) if not runs(connection, row.alias)]


def begin(connection: Connection, **row: Any) -> Rebuild:
    """Insert a rebuild's row; it follows events from `caught_up_to` (None: now) on."""
    given = {name: value for name, value in row.items() if value is not None}
    return Rebuild(*connection.execute(insert(REBUILDS).values(given).returning(*RETURNED)).one())


def save(connection: Connection, rebuild: Rebuild, **changes: Any) -> Rebuild:
    """Write what changed, if the row is still in the phase of `rebuild`; returns the row.

    SWAPPING and ENDING may be among it. Raises UsageError if another process has changed the phase.
    """
    if "cursor" in changes:
        changes = {"body": rebuild.body | {"cursor": changes.pop("cursor")}} | changes
    same = (COLUMN.id == rebuild.id) & (COLUMN.phase == rebuild.phase) & COLUMN.ended_at.is_(None)
    written = update(REBUILDS).where(same).ordered_values(*changes.items(), ("updated_at", func.now()))
    row = connection.execute(written.returning(*RETURNED)).one_or_none()
    if row is None:
        raise UsageError(f"the rebuild of {rebuild.alias} was moved on by another process")
    return Rebuild(*row)


def record(connection: Connection, action: str, rebuild: Rebuild, *, by: str, reason: str) -> None:
    """Write an audit row for a rebuild; `affected` counts documents."""
    filters = {"alias": rebuild.alias, "old_index": rebuild.old_index, "new_index": rebuild.new_index}
    affected = rebuild.copied or rebuild.caught_up  # a rollback copies none
    audit.record(connection, action, by=by, reason=reason, filters=filters, ids=[], affected=affected)
