"""Downgrade to an older schema; the migrations list what it removes."""

from collections.abc import Callable
from dataclasses import dataclass

from alembic import command
from alembic.script import Script, ScriptDirectory

from outboxctl.core.database import Database
from outboxctl.core.schema.lock_wait import PATIENCE, with_lock_retries
from outboxctl.core.schema.migrations import check_known, config, current
from outboxctl.core.schema.names import EVENTS, PROJECTIONS
from outboxctl.core.search_path import places
from outboxctl.core.sql import Connection, text
from outboxctl.core.stats import workers
from outboxctl.domain.errors import InconclusiveError, UsageError

EXISTS = text("SELECT to_regclass(:name) IS NOT NULL")
IN_FORCE = text(f"SELECT name FROM {PROJECTIONS} ORDER BY name")
HAS_COLUMN = text("""
SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = :column
               AND NOT attisdropped)
""")


@dataclass(frozen=True)
class Loss:
    """A `column`, `table`, `index` or `setting` that is removed; `rows`: how many have a value there."""

    kind: str
    name: str
    rows: int | None


@dataclass(frozen=True)
class DowngradePlan:
    """From which revision to which, what is removed, and the workers that are alive."""

    current: str
    target: str
    lost: list[Loss]
    workers: list[str]


def plan(connection: Connection, name: str, target: str | None) -> DowngradePlan:
    """What a downgrade of the database `name` to `target`, by default by one revision, would remove.

    Tables are scanned to count. Raises UsageError for a revision that is not an older one.
    """
    revision = current(connection)
    check_known(revision, name)
    steps = _steps(revision, target)
    lost = [_loss(connection, *removed) for step in steps for removed in step.module.TAKES]
    alive = _alive(connection)
    return DowngradePlan(str(revision), str(steps[-1].down_revision), [loss for loss in lost if loss], alive)


def apply(
    database: Database,
    made: DowngradePlan,
    *,
    patience: float = PATIENCE,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Go back as planned, in one transaction.

    Raises UsageError while workers are alive, InconclusiveError if the schema has changed since the plan,
    LockedError if a table stays locked (see `with_lock_retries`).
    """

    def go_back(connection: Connection) -> None:
        if current(connection) != made.current:
            raise InconclusiveError("somebody migrated the schema meanwhile; nothing was changed")
        refuse_beside_workers(_alive(connection))
        _refuse_with_projections(connection, made)
        command.downgrade(config(connection), made.target)

    with_lock_retries(database, go_back, patience=patience, report=report)


def refuse_beside_workers(alive: list[str]) -> None:
    """Raise UsageError if any worker is alive: it needs what is removed."""
    if alive:
        raise UsageError(
            f"workers are alive: {', '.join(alive[:5])}; nothing was changed",
            hint=f"stop them first; one that was killed counts as alive for {workers.SILENT:g} s",
        )


def _refuse_with_projections(connection: Connection, made: DowngradePlan) -> None:
    """Raise UsageError where triggers of projections would write to columns that are gone."""
    if not any(loss.name == PROJECTIONS for loss in made.lost):
        return
    names = list(connection.execute(IN_FORCE).scalars())
    if names:
        raise UsageError(
            f"projections are in force: {', '.join(names[:5])}; their triggers need columns that would go",
            hint="drop each first: outboxctl projection drop NAME --by WHO --reason WHY",
        )


def _steps(revision: str | None, target: str | None) -> list[Script]:
    """The migrations to undo, the newest first; the first one, which made the tables, stays."""
    scripts = ScriptDirectory.from_config(config()).walk_revisions()
    older = [script for script in scripts if script.down_revision and script.revision <= (revision or "")]
    targets = [str(script.down_revision) for script in older]
    if not targets or target not in (None, *targets):
        hint = f"older ones: {', '.join(targets) or 'none'}"
        raise UsageError(f"revision {target or 'none'} is none below {revision or 'none'}", hint=hint)
    return older[: targets.index(target or targets[0]) + 1]


def _alive(connection: Connection) -> list[str]:
    return [row.worker_id for row in workers.all_workers(connection) or [] if row.alive]


def _loss(connection: Connection, kind: str, name: str) -> Loss | None:
    """None if it is not there."""
    table, _, column = name.partition(".")
    if kind == "setting":
        return Loss(kind, name, None)
    full = places(connection).name(table, beside=EVENTS)  # an index lies beside its table
    if not connection.execute(EXISTS, {"name": full}).scalar():
        return None
    if kind == "column" and not connection.execute(HAS_COLUMN, {"table": full, "column": column}).scalar():
        return None
    counted = {"column": f"SELECT count({column}) FROM {table}", "table": f"SELECT count(*) FROM {table}"}
    rows = connection.exec_driver_sql(counted[kind]).scalar() if kind in counted else None
    return Loss(kind, name, rows)
