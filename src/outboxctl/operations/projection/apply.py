"""Putting a plan in force: the index first, then everything in the database in one transaction."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from outboxctl.core.database import Database
from outboxctl.core.operator import audit
from outboxctl.core.projections import changes, in_force
from outboxctl.core.projections.trigger_names import tables_of
from outboxctl.core.schema.lock_wait import with_lock_retries
from outboxctl.core.search_path import quoted
from outboxctl.core.sql import Connection
from outboxctl.domain.printable import brief
from outboxctl.domain.projection import Projection
from outboxctl.operations.projection import schemas
from outboxctl.operations.projection.declaration import Declaration
from outboxctl.operations.projection.drop import Dropped, drop
from outboxctl.operations.projection.plan import plan, require_own_indexes
from outboxctl.operations.projection.resolved import Planned, PlanStep
from outboxctl.sink.index import lifecycle
from outboxctl.sink.index.index_setup import ensure
from outboxctl.sink.transport.client import Client

T = TypeVar("T")
Progress = Callable[
    [str, int], AbstractContextManager[Callable[[int], None]]
]  # a label, and how much there is


@dataclass(frozen=True)
class Applied:
    """What was done, and what is left (`rebuild`); no audit id where nothing had to be done.

    `gone` are projections that were dropped: their schema is gone.
    """

    planned: list[Planned]
    steps: dict[str, list[PlanStep]] = field(default_factory=dict)
    audit_id: str | None = None
    gone: list[Dropped] = field(default_factory=list)


@dataclass(frozen=True)
class Applying:
    """What an `apply` works with, and who does it, why.

    `built_in` and `with_triggers` as `plan` has them. Each transaction waits for locks for `patience`
    seconds, and reports which.
    """

    database: Database
    client: Client
    by: str
    reason: str
    built_in: str
    with_triggers: bool | None = None
    patience: float = 60.0
    report: Callable[[str], None] = lambda _: None
    progress: Progress = lambda _label, _total: nullcontext(lambda _: None)
    known: in_force.Kept = field(default_factory=in_force.Kept)

    def apply(self, declared: Sequence[Declaration]) -> Applied:
        """Do what `plan` says. Raises its errors, with nothing changed, LockedError where tables stay locked.

        An index is made, and gets new fields, before the database is changed: a mapping that the engine
        refuses puts nothing in force. What is made there and then not used is empty.
        Each schema of those that a declaration is for is a transaction: after a LockedError those before it
        are applied. Before the first one all that differ in their tables are planned (`schemas.unlike`).
        """
        groups, gone = self.expanded(declared)
        self.look(groups)
        done = list[Applied]()
        with self.progress("applying", len(groups)) as advance:
            for group in groups:
                done.append(self.carry_out(group))
                advance(1)
        return Applied(
            [planned for each in done for planned in each.planned],
            {name: steps for each in done for name, steps in each.steps.items()},
            next((each.audit_id for each in done if each.audit_id), None),
            [self.drop(each.name) for each in gone],
        )

    def expanded(self, declared: Sequence[Declaration]) -> tuple[list[list[Declaration]], list[Projection]]:
        """What is applied together, and what is dropped."""
        with self.database.begin() as connection:
            for line in schemas.left_out(connection, declared):
                self.report(line)
            groups = schemas.by_schema(schemas.expand(connection, declared))
            return groups, schemas.gone(connection, declared)

    def look(self, groups: Sequence[Sequence[Declaration]]) -> None:
        """Raise what keeps any of several groups from being applied. Nothing is changed."""
        if len(groups) == 1:
            return  # it is planned as a whole before it is done
        with self.database.begin() as connection:
            every = [declared for group in groups for declared in group]
            require_own_indexes(self.client, every, self.known.read(connection), self.built_in)
            unlike = schemas.unlike(connection, groups)
        for group in unlike:
            self._retried(partial(self._plan, declared=group))

    def carry_out(self, declared: Sequence[Declaration]) -> Applied:
        """Do what there is to do: the index first, then everything in the database in one transaction."""
        first: list[list[Planned]] = []
        tables: set[str] = set()

        def act(connection: Connection) -> Applied:
            made = [each.projection.index for planned in first for each in planned if each.new_index]
            planned = self._plan(connection, declared, made)
            first.append(planned)
            every = {table for each in planned for table in tables_of(each.projection)}
            tables.update(f"{quoted(each.schema)}.{quoted(each.name)}" for each in every)
            _prepare(self.client, planned)  # no table is locked while the sink is asked
            audit_id = _write(connection, planned, by=self.by, reason=self.reason)
            # The indexes were made by the first look.
            indexes = ([s for s in each.steps if s.what in ("index", "mapping")] for each in first[0])
            pairs = zip(planned, indexes, strict=True)
            steps = {each.projection.name: [*_in_database(each), *its] for each, its in pairs}
            return Applied(planned, steps, audit_id)

        return self._retried(act, tables)

    def drop(self, name: str) -> Dropped:
        """Take a projection out of force whose schema is gone."""
        who = {"by": self.by, "reason": self.reason}
        return drop(self.database, name, **who, patience=self.patience, report=self.report)

    def _plan(
        self, connection: Connection, declared: Sequence[Declaration], new: Collection[str] = ()
    ) -> list[Planned]:
        options = {"built_in": self.built_in, "with_triggers": self.with_triggers, "known": self.known}
        planned = plan(connection, self.client, declared, **options, new_indexes=new)  # type: ignore[arg-type]
        for each in planned:
            _check_rights(connection, each)
        return planned

    def _retried(self, act: Callable[[Connection], T], tables: Collection[str] = ()) -> T:
        """Under the lock that two applies wait for."""
        return with_lock_retries(
            self.database, act, patience=self.patience, report=self.report, tables=tables
        )


def _check_rights(connection: Connection, planned: Planned) -> None:
    if any(step.what in ("view", "triggers") for step in planned.steps):
        wanted = tables_of(planned.projection) if planned.projection.triggers else ()
        changes.check_rights(connection, changes.outbox_schema(connection), wanted)


def _prepare(client: Client, planned: Sequence[Planned]) -> None:
    """Make the indexes that are not there, and add fields to the mappings of others."""
    for each in planned:
        body = each.whole
        for index, fields in each.lacking.items():
            if fields:
                lifecycle.map_fields(client, index, fields)
            else:
                ensure(client, index, mappings=body["mappings"], settings=body["settings"])


def _in_database(planned: Planned) -> list[PlanStep]:
    return [step for step in planned.steps if step.what in ("view", "triggers", "declaration", "documents")]


def _write(connection: Connection, planned: Sequence[Planned], *, by: str, reason: str) -> str | None:
    """Change the database; the id of the audit's row, if there was anything to do."""
    schema = changes.outbox_schema(connection)
    todo = {each.projection.name: steps for each in planned if (steps := _in_database(each))}
    if not todo:
        return None
    for each in planned:
        if each.projection.name in todo:
            changes.run(connection, [*each.scripts, each.declare_sql(schema, by)])
    done = {name: [f"{s.what}: {brief(s.text, 200)}" for s in steps] for name, steps in todo.items()}
    filters = {"projections": done}
    return audit.record(connection, "projection apply", by=by, reason=reason, filters=filters, ids=[])
