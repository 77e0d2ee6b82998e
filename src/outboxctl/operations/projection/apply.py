"""Putting a plan in force: the index first, then everything in the database in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from outboxctl.core.database import Database
from outboxctl.core.operator import audit
from outboxctl.core.projections import changes
from outboxctl.core.projections.trigger_names import tables_of
from outboxctl.core.schema.lock_wait import with_lock_retries
from outboxctl.core.search_path import quoted
from outboxctl.core.sql import Connection
from outboxctl.domain.printable import brief
from outboxctl.operations.projection.declaration import Declaration
from outboxctl.operations.projection.plan import plan
from outboxctl.operations.projection.resolved import Planned, PlanStep
from outboxctl.sink.index import lifecycle
from outboxctl.sink.index.index_setup import ensure
from outboxctl.sink.transport.client import Client

IN_DATABASE = ("view", "triggers", "declaration", "documents")


@dataclass(frozen=True)
class Applied:
    """What was done, and what is left (`rebuild`); no audit id where nothing had to be done."""

    planned: list[Planned]
    steps: dict[str, list[PlanStep]] = field(default_factory=dict)
    audit_id: str | None = None


def apply(
    database: Database,
    client: Client,
    declared: Sequence[Declaration],
    *,
    by: str,
    reason: str,
    built_in: str,
    with_triggers: bool | None = None,
    patience: float = 60.0,
    report: Callable[[str], None] = lambda _: None,
) -> Applied:
    """Do what `plan` says. Raises its errors, with nothing changed, and LockedError where tables stay locked.

    An index is made, and gets new fields, before the database is changed: a mapping that the engine refuses
    puts nothing in force. What is made there and then not used is empty.
    """
    options = {"built_in": built_in, "with_triggers": with_triggers}

    def write(connection: Connection) -> Applied:
        new = {each.projection.index for each in first if each.new_index}
        again = plan(connection, client, declared, **options, new_indexes=new)  # type: ignore[arg-type]
        return _write(connection, again, by=by, reason=reason)

    def prepare(connection: Connection) -> list[Planned]:
        first = plan(connection, client, declared, **options)  # type: ignore[arg-type]
        for each in first:
            _check_rights(connection, each)
        for each in first:
            _prepare(client, each)
        return first

    # Both under the lock that two applies wait for; no table is locked while the sink is asked.
    first = with_lock_retries(database, prepare, patience=patience, report=report)
    tables = {
        f"{quoted(table.schema)}.{quoted(table.name)}"
        for each in first
        for table in tables_of(each.projection)
    }
    applied = with_lock_retries(database, write, patience=patience, report=report, tables=tables)
    return Applied(applied.planned, _joined(first, applied), applied.audit_id)


def _check_rights(connection: Connection, planned: Planned) -> None:
    if any(step.what in ("view", "triggers") for step in planned.steps):
        wanted = tables_of(planned.projection) if planned.projection.triggers else ()
        changes.check_rights(connection, changes.outbox_schema(connection), wanted)


def _prepare(client: Client, planned: Planned) -> None:
    """Make the index, or add fields to its mapping."""
    index, body = planned.projection.index, planned.whole
    ensure(client, index, mappings=body["mappings"], settings=body["settings"])
    if planned.lacking:
        lifecycle.map_fields(client, index, planned.lacking)


def _write(connection: Connection, planned: list[Planned], *, by: str, reason: str) -> Applied:
    schema = changes.outbox_schema(connection)
    done = {each.projection.name: [s for s in each.steps if s.what in IN_DATABASE] for each in planned}
    names = [name for name, steps in done.items() if steps]
    if not names:
        return Applied(planned)
    for each in planned:
        if done[each.projection.name]:
            scripts = [*each.scripts, each.declare_sql(schema, by)]
            changes.run(connection, scripts)
    filters = {
        "projections": {name: [f"{s.what}: {brief(s.text, 200)}" for s in done[name]] for name in names}
    }
    act = audit.record(connection, "projection apply", by=by, reason=reason, filters=filters, ids=[])
    return Applied(planned, audit_id=act)


def _joined(first: list[Planned], applied: Applied) -> dict[str, list[PlanStep]]:
    """The steps that were done: those in the index, of the first look, and those in the database."""
    steps = {}
    for before, after in zip(first, applied.planned, strict=True):
        index = [step for step in before.steps if step.what in ("index", "mapping")]
        steps[after.projection.name] = [*(s for s in after.steps if s.what in IN_DATABASE), *index]
    return steps
